-- What lies behind where each range is read, counted up to $7 per range, and what came late before that; nothing of a
-- customer who is being erased, of whom no fetch shows anything.
WITH asked AS MATERIALIZED (
    SELECT * FROM unnest($2::smallint[], $3::bigint[]) AS a (range, low)
), late AS MATERIALIZED (
    SELECT count(*) AS count, min(o.enqueued_at) AS oldest
    FROM (
        SELECT lane, range, position, enqueued_at, tenant, customer, generation FROM {s}.outbox
        WHERE xid = ANY ($4::text[]::xid8[])
        UNION ALL
        SELECT lane, range, position, enqueued_at, tenant, customer, generation FROM {s}.outbox
        WHERE xid >= $5::text::xid8 AND xid < pg_snapshot_xmax(pg_current_snapshot())
            AND ($6::text IS NULL OR xid < $6::text::xid8)
    ) o
    JOIN asked a ON a.range = o.range AND o.position <= a.low
    WHERE o.lane = $1 AND NOT EXISTS (
        SELECT FROM {s}.erasing e WHERE e.tenant = o.tenant AND e.digest = o.customer AND o.generation < e.below
    )
)
SELECT NULL::smallint AS range, l.count, NULL::bigint AS last, l.oldest,
       (SELECT last_value FROM {s}.outbox_positions) AS head,
       (SELECT count(*) FROM (
           SELECT FROM {s}.outbox_dead d WHERE d.lane = $1 AND NOT EXISTS (
               SELECT FROM {s}.erasing e WHERE e.tenant = d.tenant AND e.digest = d.customer AND d.generation < e.below
           )
           LIMIT $8
       ) c) AS dead
FROM late l
UNION ALL
SELECT a.range, c.count, c.last, f.enqueued_at, NULL, NULL
FROM asked a
CROSS JOIN LATERAL (
    SELECT count(*) AS count, min(b.position) AS first, max(b.position) AS last
    FROM (
        SELECT o.position FROM {s}.outbox o
        WHERE o.lane = $1 AND o.range = a.range AND o.position > a.low AND NOT EXISTS (
            SELECT FROM {s}.erasing e WHERE e.tenant = o.tenant AND e.digest = o.customer AND o.generation < e.below
        )
        ORDER BY o.position
        LIMIT $7
    ) b
) c
JOIN {s}.outbox f ON f.lane = $1 AND f.range = a.range AND f.position = c.first

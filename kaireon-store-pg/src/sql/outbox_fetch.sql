-- One snapshot for all of it. `asked` are the ranges with their fencing numbers, from where each is read on, how many
-- are read, and up to where entries that were not there before are looked for. `late` are those: entries of
-- transactions that the last snapshot ($7, $8) could not see, behind where the range is read already. Transactions
-- from $9 on began after it and lie before where it is read. Numbers from the future are another cluster's, which a
-- dump brought here. Row 0 is the head, 1 the entries that were known or came late, 2 what is read on.
WITH asked AS MATERIALIZED (
    SELECT * FROM unnest($2::smallint[], $3::bigint[], $4::bigint[], $5::integer[], $6::bigint[])
        AS a (range, token, reads_from, quota, low)
), held AS MATERIALIZED (
    SELECT count(*) AS count
    FROM asked a
    JOIN {s}.outbox_ranges r ON r.lane = $1 AND r.range = a.range AND r.token = a.token
    JOIN (
        SELECT DISTINCT owner FROM {s}.outbox_relays
        WHERE lane = $1 AND expires > coalesce($13::timestamptz, statement_timestamp())
    ) l ON l.owner = r.owner
    WHERE $1 <> 0 OR NOT EXISTS (
        SELECT FROM {s}.outbox_recalls c WHERE c.range = r.range AND c.token = r.token
    )
), late AS MATERIALIZED (
    SELECT o.range, o.position
    FROM (
        SELECT lane, range, position FROM {s}.outbox WHERE xid = ANY ($7::text[]::xid8[])
        UNION ALL
        SELECT lane, range, position FROM {s}.outbox
        WHERE xid >= $8::text::xid8 AND xid < pg_snapshot_xmax(pg_current_snapshot())
            AND ($9::text IS NULL OR xid < $9::text::xid8)
    ) o
    JOIN asked a ON a.range = o.range AND o.position <= a.low
    WHERE o.lane = $1
)
SELECT 0 AS part, NULL::smallint AS range, NULL::bigint AS position, NULL::bigint AS generation,
       pg_postmaster_start_time() AS at, NULL::bytea AS payload, false AS erased,
       h.count AS held, pg_current_snapshot()::text AS seen,
       (SELECT array_agg(range) FROM late) AS late_ranges, (SELECT array_agg(position) FROM late) AS late_positions
FROM held h
UNION ALL
SELECT 1, o.range, o.position, o.generation, o.enqueued_at, o.payload,
       EXISTS (SELECT FROM {s}.erasing e
               WHERE e.tenant = o.tenant AND e.digest = o.customer AND o.generation < e.below),
       NULL, NULL, NULL, NULL
FROM (
    SELECT range, position FROM late
    UNION
    SELECT * FROM unnest($10::smallint[], $11::bigint[]) AS k (range, position)
    ORDER BY position, range
    LIMIT $12
) k
JOIN {s}.outbox o ON o.lane = $1 AND o.range = k.range AND o.position = k.position
UNION ALL
SELECT 2, o.range, o.position, o.generation, o.enqueued_at, o.payload,
       EXISTS (SELECT FROM {s}.erasing e
               WHERE e.tenant = o.tenant AND e.digest = o.customer AND o.generation < e.below),
       NULL, NULL, NULL, NULL
FROM asked a
CROSS JOIN LATERAL (
    SELECT * FROM {s}.outbox b
    WHERE b.lane = $1 AND b.range = a.range AND b.position > a.reads_from
    ORDER BY b.position
    LIMIT a.quota
) o

-- The ranges are locked before anything is deleted, so that nobody takes them over meanwhile; where one is no longer
-- held, or was given by a server that this one took the place of, nothing is deleted. Answers whether they all were. Entries are looked up one by one in a subquery that is not
-- flattened: a join might read the whole table, with all that was deleted.
WITH asked AS MATERIALIZED (
    SELECT * FROM unnest($1::smallint[], $2::smallint[], $3::bigint[], $13::timestamptz[])
        AS a (lane, range, token, given_by)
), held AS MATERIALIZED (
    SELECT r.range
    FROM asked a
    JOIN {s}.outbox_ranges r ON r.lane = a.lane AND r.range = a.range AND r.token = a.token
    WHERE (a.given_by IS NULL OR a.given_by = pg_postmaster_start_time()) AND EXISTS (
        SELECT FROM {s}.outbox_relays l
        WHERE l.lane = r.lane AND l.expires > coalesce($10::timestamptz, statement_timestamp())
            AND l.owner = r.owner
    )
    FOR SHARE OF r
), all_held AS MATERIALIZED (
    SELECT (SELECT count(*) FROM held) = (SELECT count(*) FROM asked) AS yes
), delivered AS (
    DELETE FROM {s}.outbox
    WHERE (SELECT yes FROM all_held) AND ctid = ANY (ARRAY(
        SELECT f.ctid
        FROM unnest($4::smallint[], $5::smallint[], $6::bigint[]) AS w (lane, range, position)
        CROSS JOIN LATERAL (
            SELECT o.ctid FROM {s}.outbox o
            WHERE o.lane = w.lane AND o.range = w.range AND o.position = w.position
            OFFSET 0
        ) f
    ))
), poisoned AS (
    DELETE FROM {s}.outbox p
    USING (
        SELECT f.ctid AS place, w.reason
        FROM unnest($7::smallint[], $8::smallint[], $9::bigint[], $11::text[]) AS w (lane, range, position, reason)
        CROSS JOIN LATERAL (
            SELECT o.ctid FROM {s}.outbox o
            WHERE o.lane = w.lane AND o.range = w.range AND o.position = w.position
            OFFSET 0
        ) f
    ) w
    WHERE (SELECT yes FROM all_held) AND p.ctid = w.place
    RETURNING p.position, p.generation, p.enqueued_at, p.tenant, p.lane, p.range, p.customer, p.payload, w.reason
), letters AS (
    INSERT INTO {s}.outbox_dead
        (position, generation, enqueued_at, since, tenant, lane, range, customer, payload, reason)
    SELECT position, generation, enqueued_at, $12, tenant, lane, range, customer, payload, reason FROM poisoned
)
SELECT yes FROM all_held

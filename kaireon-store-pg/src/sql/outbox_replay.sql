-- Back into the lane as new entries, in the order they were asked for; nothing of a customer who is being erased.
WITH gone AS (
    DELETE FROM {s}.outbox_dead d
    USING unnest($2::smallint[], $3::bigint[]) WITH ORDINALITY AS w (range, position, place)
    WHERE d.lane = $1 AND d.range = w.range AND d.position = w.position AND NOT EXISTS (
        SELECT FROM {s}.erasing e WHERE e.tenant = d.tenant AND e.digest = d.customer AND d.generation < e.below
    )
    RETURNING d.generation, d.tenant, d.lane, d.range, d.customer, d.payload, w.place
)
INSERT INTO {s}.outbox (generation, enqueued_at, tenant, lane, range, customer, payload)
SELECT generation, $4, tenant, lane, range, customer, payload FROM gone ORDER BY place

-- Nothing of a customer who is being erased, of whom no fetch shows anything.
SELECT w.count, w.oldest, d.count
FROM {s}.tenants t
CROSS JOIN LATERAL (
    SELECT count(*) AS count, min(o.enqueued_at) AS oldest FROM {s}.outbox o
    WHERE o.lane = $1 AND o.tenant = t.id AND NOT EXISTS (
        SELECT FROM {s}.erasing e WHERE e.tenant = o.tenant AND e.digest = o.customer AND o.generation < e.below
    )
) w
CROSS JOIN LATERAL (
    SELECT count(*) AS count FROM {s}.outbox_dead d
    WHERE d.lane = $1 AND d.tenant = t.id AND NOT EXISTS (
        SELECT FROM {s}.erasing e WHERE e.tenant = d.tenant AND e.digest = d.customer AND d.generation < e.below
    )
) d
WHERE t.name = $2

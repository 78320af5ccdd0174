SELECT w.count, w.oldest, d.count
FROM {s}.tenants t
CROSS JOIN LATERAL (
    SELECT count(*) AS count, min(enqueued_at) AS oldest FROM {s}.outbox WHERE lane = $1 AND tenant = t.id
) w
CROSS JOIN LATERAL (
    SELECT count(*) AS count FROM {s}.outbox_dead WHERE lane = $1 AND tenant = t.id
) d
WHERE t.name = $2

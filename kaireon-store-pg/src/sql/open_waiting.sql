-- As open.sql, but waits for customers whom another transaction holds, in the order given, which is the same for all.
WITH held AS (
    SELECT w.tenant, c.*
    FROM unnest($1::integer[], $2::uuid[]) AS w (tenant, digest)
    CROSS JOIN LATERAL (
        SELECT k.digest, k.id, k.generation, k.packed
        FROM {s}.customers k
        WHERE k.tenant = w.tenant AND k.digest = w.digest
        FOR UPDATE
    ) c
)
SELECT t.id, t.epoch, coalesce(t.lanes, m.lanes) AS lanes, t.watermark,
       h.digest, h.id AS customer, h.generation, h.packed, t.name
FROM {s}.tenants t
CROSS JOIN {s}.meta m
LEFT JOIN held h ON h.tenant = t.id
WHERE t.id = ANY ($3::integer[])

-- Locks the customers of a batch that nobody holds and reads what is set for their tenants, in one snapshot taken
-- after the fences were locked. Each customer by an index look-up of its own: a locking subquery is not flattened
-- into a join that might read the whole table. The names say whose the numbers are now; to compare them here would
-- cost a join more.
WITH held AS (
    SELECT w.tenant, c.*
    FROM unnest($1::integer[], $2::uuid[]) AS w (tenant, digest)
    CROSS JOIN LATERAL (
        SELECT k.digest, k.id, k.generation, k.packed
        FROM {s}.customers k
        WHERE k.tenant = w.tenant AND k.digest = w.digest
        FOR UPDATE SKIP LOCKED
    ) c
)
SELECT t.id, t.epoch, coalesce(t.lanes, m.lanes) AS lanes, t.watermark,
       h.digest, h.id AS customer, h.generation, h.packed, t.name
FROM {s}.tenants t
CROSS JOIN {s}.meta m
LEFT JOIN held h ON h.tenant = t.id
WHERE t.id = ANY ($3::integer[])

SELECT customer, generation FROM {s}.tombstones
WHERE tenant = $1 AND ($2::uuid IS NULL OR customer > $2)
  AND EXISTS (SELECT FROM {s}.tenants WHERE id = $1 AND name = $4)
ORDER BY customer
LIMIT $3

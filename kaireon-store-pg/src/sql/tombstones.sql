SELECT customer, generation FROM {s}.tombstones
WHERE tenant = $1 AND ($2::uuid IS NULL OR customer > $2)
ORDER BY customer
LIMIT $3

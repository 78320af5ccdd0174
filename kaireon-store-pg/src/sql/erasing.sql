-- What is to be deleted; each line by one who holds it.
SELECT customer, tenant, digest, below, outbox_range, erasure, packed
FROM {s}.erasing
WHERE ($1::integer IS NULL OR tenant = $1) AND ($2::uuid IS NULL OR digest = $2)
ORDER BY customer
FOR UPDATE
LIMIT 1

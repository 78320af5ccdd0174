-- What is to be deleted of one customer; each line by one who holds it.
SELECT customer, tenant, digest, below, outbox_range, erasure, packed
FROM {s}.erasing
WHERE tenant = $1 AND digest = $2
ORDER BY customer
FOR UPDATE
LIMIT 1

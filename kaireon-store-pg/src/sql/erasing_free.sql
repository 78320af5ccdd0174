-- What is to be deleted and nobody is at: its caller may be gone.
SELECT customer, tenant, digest, below, outbox_range, erasure, packed
FROM {s}.erasing
WHERE $1::integer IS NULL OR tenant = $1
ORDER BY customer
FOR UPDATE SKIP LOCKED
LIMIT 1

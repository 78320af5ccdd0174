-- What is to be deleted and nobody is at: its caller may be gone. Of one customer the first line alone: a later one would
-- take the entries of an earlier one for its own, and count them.
SELECT e.customer, e.tenant, e.digest, e.below, e.outbox_range, e.erasure, e.packed
FROM {s}.erasing e
WHERE ($1::integer IS NULL OR e.tenant = $1) AND NOT EXISTS (
    SELECT FROM {s}.erasing b WHERE b.tenant = e.tenant AND b.digest = e.digest AND b.customer < e.customer
)
ORDER BY e.customer
FOR UPDATE OF e SKIP LOCKED
LIMIT 1

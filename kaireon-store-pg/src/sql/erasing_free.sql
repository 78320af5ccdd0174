-- What is to be deleted and nobody is at. A line that owes a receipt is left to who waits for the holder of the range, while
-- there is one.
SELECT customer, tenant, digest, below, outbox_range, erasure, packed
FROM {s}.erasing e
WHERE ($1::integer IS NULL OR tenant = $1)
    AND (erasure IS NULL OR NOT EXISTS (
        SELECT FROM {s}.outbox_ranges r
        JOIN {s}.outbox_relays l ON l.lane = 0 AND l.owner = r.owner
            AND l.expires > coalesce($2::timestamptz, statement_timestamp())
        WHERE r.lane = 0 AND r.range = e.outbox_range
    ))
ORDER BY customer
FOR UPDATE OF e SKIP LOCKED
LIMIT 1

-- Rows of erased customers do not count: they are no longer there to be purged.
WITH gone AS (
    DELETE FROM {s}.history
    WHERE customer >= $1::bigint << 40 AND customer <= ($1::bigint << 40) + 1099511627775 AND at < $2
    RETURNING customer
)
SELECT count(*) FROM gone JOIN {s}.customers c ON c.id = gone.customer

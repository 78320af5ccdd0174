-- As purge_history.
WITH gone AS (
    DELETE FROM {s}.decisions
    WHERE customer >= $1::bigint << 40 AND customer <= ($1::bigint << 40) + 1099511627775 AND at < $2
    RETURNING customer
)
SELECT count(*) FROM gone JOIN {s}.customers c ON c.id = gone.customer

-- With the fence's advisory lock held alone. The weakest lock that keeps the row: who only counts on the tenant's number,
-- as a purge or an erasure may do for long, is not in the way.
SELECT epoch FROM {s}.tenants WHERE id = $1 AND name = $2 FOR NO KEY UPDATE

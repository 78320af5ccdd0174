-- With the fence's advisory lock held alone.
SELECT epoch FROM {s}.tenants WHERE id = $1 AND name = $2 FOR UPDATE

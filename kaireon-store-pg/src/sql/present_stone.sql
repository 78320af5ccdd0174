SELECT generation FROM {s}.tombstones WHERE tenant = $1 AND customer = $2

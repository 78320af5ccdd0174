DELETE FROM {s}.dedupe WHERE tenant = $1 AND arrived < $2 AND at < $3

SELECT id FROM {s}.tenants WHERE name = $1

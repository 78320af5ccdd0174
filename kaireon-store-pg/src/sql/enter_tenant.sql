INSERT INTO {s}.tenants (name) VALUES ($1) ON CONFLICT (name) DO NOTHING

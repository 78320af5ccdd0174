INSERT INTO {s}.outbox_destinations (lane, name, scope, until) VALUES ($1, $2, $3, $4)
ON CONFLICT (lane) DO UPDATE SET name = excluded.name, scope = excluded.scope, until = excluded.until

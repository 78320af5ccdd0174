INSERT INTO {s}.outbox_relays (lane, expires, owner)
VALUES ($1, coalesce($3::timestamptz, statement_timestamp()) + $4 * interval '1 microsecond', $2)
ON CONFLICT (lane, expires, owner) DO UPDATE SET owner = excluded.owner
RETURNING expires

DELETE FROM {s}.outbox_relays
WHERE lane = $1 AND owner = $2 AND expires > coalesce($3::timestamptz, statement_timestamp())

SELECT DISTINCT owner FROM {s}.outbox_relays
WHERE lane = $1 AND expires > coalesce($2::timestamptz, statement_timestamp())

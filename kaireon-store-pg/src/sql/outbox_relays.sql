SELECT DISTINCT owner FROM {s}.outbox_relays
WHERE lane = $1 AND expires > statement_timestamp() + $2 * interval '1 microsecond'

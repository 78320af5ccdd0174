DELETE FROM {s}.outbox_relays
WHERE lane = $1 AND owner = $2 AND expires > statement_timestamp() + $3 * interval '1 microsecond'

SELECT (
    SELECT count(DISTINCT owner) FROM {s}.outbox_relays
    WHERE lane = $1 AND expires > coalesce($2::timestamptz, statement_timestamp())
) AS relays, (SELECT name FROM {s}.outbox_destinations WHERE lane = $1) AS destination

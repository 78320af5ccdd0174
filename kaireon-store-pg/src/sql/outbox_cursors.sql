SELECT range, low, seen::text AS seen, until::text AS until FROM {s}.outbox_cursors
WHERE lane = $1 AND range = ANY ($2) AND cluster = (SELECT system_identifier FROM pg_control_system())

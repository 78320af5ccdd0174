SELECT range, token, owner FROM {s}.outbox_ranges WHERE lane = $1 ORDER BY range

DELETE FROM {s}.outbox_recalls WHERE range = $1 AND token <= $2

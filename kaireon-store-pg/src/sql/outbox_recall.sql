WITH old AS (
    DELETE FROM {s}.outbox_recalls WHERE range = $1 AND token < $2
)
INSERT INTO {s}.outbox_recalls (range, token) VALUES ($1, $2) ON CONFLICT DO NOTHING

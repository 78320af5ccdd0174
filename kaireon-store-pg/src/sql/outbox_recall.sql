-- Of the holder of a range, where entries are to be deleted that it may have in hand. What earlier holders were asked is of
-- no use any more.
WITH held AS (
    SELECT r.range, r.token FROM {s}.outbox_ranges r
    WHERE r.lane = 0 AND r.range = $1 AND r.owner IS NOT NULL AND EXISTS (
        SELECT FROM {s}.outbox o
        WHERE o.lane = 0 AND o.range = $1 AND o.tenant = $2 AND o.customer = $3 AND o.generation < $4
    )
), old AS (
    DELETE FROM {s}.outbox_recalls c USING held WHERE c.range = held.range AND c.token < held.token
)
INSERT INTO {s}.outbox_recalls (range, token) SELECT range, token FROM held ON CONFLICT DO NOTHING

-- Where entries are deleted for which nobody waits: whoever erases the customer next does.
INSERT INTO {s}.outbox_recalls (range, token)
SELECT r.range, r.token FROM {s}.outbox_ranges r
WHERE r.lane = 0 AND r.range = $1 AND r.owner IS NOT NULL AND EXISTS (
    SELECT FROM {s}.outbox o
    WHERE o.lane = 0 AND o.range = $1 AND o.tenant = $2 AND o.customer = $3 AND o.generation < $4
)
ON CONFLICT DO NOTHING

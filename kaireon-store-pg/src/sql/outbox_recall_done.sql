-- Who holds the range still, by a lease that ended and that nobody took since, finds that it is to give it back.
DELETE FROM {s}.outbox_recalls c
WHERE c.range = $1 AND c.token <= $2 AND NOT EXISTS (
    SELECT FROM {s}.outbox_ranges r
    WHERE r.lane = 0 AND r.range = c.range AND r.token = c.token AND r.owner IS NOT NULL
)

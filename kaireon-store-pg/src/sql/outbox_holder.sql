-- The live holder of a range of `publish`, or those of every range, that are asked to give them back.
SELECT r.range, r.token
FROM {s}.outbox_recalls c
JOIN {s}.outbox_ranges r ON r.lane = 0 AND r.range = c.range AND r.token = c.token
WHERE ($1::smallint IS NULL OR c.range = $1) AND EXISTS (
    SELECT FROM {s}.outbox_relays l
    WHERE l.lane = 0 AND l.expires > coalesce($2::timestamptz, statement_timestamp()) AND l.owner = r.owner
)

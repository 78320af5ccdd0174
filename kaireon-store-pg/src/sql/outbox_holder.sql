-- Who may have entries of a customer in hand: the live holder of a range of `publish` where entries wait that are to be
-- deleted, or were.
SELECT r.range, r.token
FROM {s}.erasing e
JOIN {s}.outbox_ranges r ON r.lane = 0 AND r.range = e.outbox_range
WHERE e.tenant = $1 AND e.digest = $2
    AND EXISTS (
        SELECT FROM {s}.outbox_relays l
        WHERE l.lane = 0 AND l.expires > coalesce($3::timestamptz, statement_timestamp()) AND l.owner = r.owner
    )
    AND (
        EXISTS (SELECT FROM {s}.outbox_recalls c WHERE c.range = r.range AND c.token = r.token)
        OR EXISTS (
            SELECT FROM {s}.outbox o
            WHERE o.lane = 0 AND o.range = r.range AND o.tenant = $1 AND o.customer = $2 AND o.generation < e.below
        )
    )
LIMIT 1

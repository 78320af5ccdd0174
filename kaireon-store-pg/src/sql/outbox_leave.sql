-- Who gave everything back is no longer counted among those who share the lane.
DELETE FROM {s}.outbox_relays l
WHERE l.lane = $1 AND l.expires > coalesce($3::timestamptz, statement_timestamp()) AND l.owner = ANY ($2)
    AND NOT EXISTS (SELECT FROM {s}.outbox_ranges r WHERE r.lane = $1 AND r.owner = l.owner)

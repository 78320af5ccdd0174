SELECT EXISTS (
    SELECT FROM {s}.outbox_ranges r
    JOIN {s}.outbox_relays l ON l.lane = 0 AND l.owner = r.owner
        AND l.expires > coalesce($3::timestamptz, statement_timestamp())
    WHERE r.lane = 0 AND r.range = $1 AND r.token = $2
)

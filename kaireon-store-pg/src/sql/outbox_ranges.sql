SELECT r.range, r.token, r.owner, r.lane = 0 AND EXISTS (
    SELECT FROM {s}.outbox_recalls c WHERE c.range = r.range AND c.token = r.token
) AS recalled, pg_postmaster_start_time() AS server
FROM {s}.outbox_ranges r
WHERE r.lane = $1
ORDER BY r.range

-- Waits for a settlement that is under way in one of the ranges; locked in the order in which settlements lock.
WITH locked AS MATERIALIZED (
    SELECT range, owner FROM {s}.outbox_ranges
    WHERE lane = $1 AND range = ANY ($2::smallint[])
    ORDER BY range
    FOR UPDATE
)
UPDATE {s}.outbox_ranges r SET owner = NULL
FROM unnest($2::smallint[], $3::bigint[]) AS w (range, token)
JOIN locked USING (range)
WHERE r.lane = $1 AND r.range = w.range AND r.token = w.token
RETURNING locked.owner

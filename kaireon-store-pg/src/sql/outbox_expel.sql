-- Ends every lease of a lane that leads elsewhere from now on. Waits for a settlement that is under way in one of the
-- ranges; locked in the order in which settlements lock.
WITH locked AS MATERIALIZED (
    SELECT range FROM {s}.outbox_ranges WHERE lane = $1 AND owner IS NOT NULL ORDER BY range FOR UPDATE
), gone AS (
    DELETE FROM {s}.outbox_relays WHERE lane = $1
)
UPDATE {s}.outbox_ranges r SET owner = NULL FROM locked WHERE r.lane = $1 AND r.range = locked.range

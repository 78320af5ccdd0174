-- Before the lane itself: a replay that is under way ends first, and what it put back is found there.
DELETE FROM {s}.outbox_dead
WHERE range = $1 AND tenant = $2 AND customer = $3 AND generation < $4

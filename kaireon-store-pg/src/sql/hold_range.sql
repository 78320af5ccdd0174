-- A settlement holds the row while it moves an entry to the dead letters: it ends first, and what it moved is found there.
SELECT FROM {s}.outbox_ranges WHERE lane = ANY ('{0,1,2}') AND range = $1 ORDER BY lane FOR UPDATE

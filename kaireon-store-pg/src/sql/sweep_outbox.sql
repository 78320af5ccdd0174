DELETE FROM {s}.outbox
WHERE lane = ANY ('{0,1,2}') AND range = $1 AND tenant = $2 AND customer = $3 AND generation < $4

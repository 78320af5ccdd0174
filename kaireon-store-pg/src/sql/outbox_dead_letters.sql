SELECT range, position, generation, enqueued_at, since, reason, payload FROM {s}.outbox_dead
WHERE lane = $1 AND (range, position) > ($2, $3)
ORDER BY range, position
LIMIT $4

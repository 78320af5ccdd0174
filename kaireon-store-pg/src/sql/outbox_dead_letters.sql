-- Nothing of a customer who is being erased.
SELECT range, position, generation, enqueued_at, since, reason, payload FROM {s}.outbox_dead d
WHERE lane = $1 AND (range, position) > ($2, $3) AND NOT EXISTS (
    SELECT FROM {s}.erasing e WHERE e.tenant = d.tenant AND e.digest = d.customer AND d.generation < e.below
)
ORDER BY range, position
LIMIT $4

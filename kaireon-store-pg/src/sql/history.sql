-- The customer and the watermark are scalar subqueries and not joined, so that the rows come from the index in the
-- order of time and only those of one millisecond are sorted.
SELECT h.at, h.tie, h.value_micros, h.rank, h.classification, h.direction, h.id, h.idempotency_key, h.offer,
       h.creative, h.channel, h.interaction_type, h.outcome, h.placement, h.category, h.campaign, h.recommendation,
       h.attributes::text AS attributes
FROM {s}.history h
WHERE h.customer = (SELECT id FROM {s}.customers WHERE tenant = $1 AND digest = $2)
  AND h.at >= greatest($3::timestamptz, (SELECT watermark FROM {s}.tenants WHERE id = $1))
  AND h.at < $4::timestamptz
  AND h.at <= $5::timestamptz
  AND (h.at, h.id, h.tie) < ($5::timestamptz, $6::text COLLATE "C", $7::bigint)
  AND ($8::text IS NULL OR h.offer = $8)
  AND ($9::text IS NULL OR h.creative = $9)
  AND ($10::text IS NULL OR h.channel = $10)
  AND ($11::text[] IS NULL OR h.interaction_type = ANY ($11))
ORDER BY h.at DESC, h.id DESC, h.tie DESC
LIMIT $12

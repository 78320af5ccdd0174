-- A tenant's customers by their numbers, each with its rows in the order of time. The page is cut before customers are
-- joined: rows of one who was erased meanwhile have none, and are passed over.
SELECT p.at, p.tie, p.value_micros, p.rank, p.classification, p.direction, p.id, p.idempotency_key, p.offer,
       p.creative, p.channel, p.interaction_type, p.outcome, p.placement, p.category, p.campaign, p.recommendation,
       p.attributes::text AS attributes, p.customer AS number, c.customer AS customer, c.generation
FROM (
    SELECT * FROM {s}.history h
    WHERE h.customer >= $2 AND h.customer <= ($1::bigint << 40) + 1099511627775
      AND (h.customer, h.at) >= ($2, $3::timestamptz)
      AND (h.customer, h.at, h.id, h.tie) > ($2, $3::timestamptz, $4::text COLLATE "C", $5::bigint)
      AND h.at >= coalesce((SELECT watermark FROM {s}.tenants WHERE id = $1::integer), '-infinity')
      AND EXISTS (SELECT FROM {s}.tenants WHERE id = $1::integer AND name = $7)
    ORDER BY h.customer, h.at, h.id, h.tie
    LIMIT $6
) p
LEFT JOIN {s}.customers c ON c.id = p.customer
ORDER BY p.customer, p.at, p.id, p.tie

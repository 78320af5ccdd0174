-- As scan.sql.
SELECT p.at, p.id, p.flow, p.offers::text AS offers, p.attributes::text AS attributes, p.customer AS number,
       c.customer AS customer, c.generation
FROM (
    SELECT * FROM {s}.decisions d
    WHERE d.customer >= $2 AND d.customer <= ($1::bigint << 40) + 1099511627775
      AND (d.customer, d.at) >= ($2, $3::timestamptz)
      AND (d.customer, d.at, d.id) > ($2, $3::timestamptz, $4::text COLLATE "C")
      AND d.at >= coalesce((SELECT watermark FROM {s}.tenants WHERE id = $1::integer), '-infinity')
      AND EXISTS (SELECT FROM {s}.tenants WHERE id = $1::integer AND name = $6)
    ORDER BY d.customer, d.at, d.id
    LIMIT $5
) p
LEFT JOIN {s}.customers c ON c.id = p.customer
ORDER BY p.customer, p.at, p.id

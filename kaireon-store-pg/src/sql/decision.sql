-- Of an erased customer the number is gone, so nothing is joined.
SELECT d.at, d.id, d.flow, d.offers::text AS offers, d.attributes::text AS attributes, c.customer
FROM {s}.decisions d
JOIN {s}.customers c ON c.id = d.customer
JOIN {s}.tenants t ON t.id = d.tenant
WHERE d.tenant = $1 AND t.name = $3 AND d.id = $2 AND d.at >= coalesce(t.watermark, '-infinity')

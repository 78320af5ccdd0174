-- Where there is no such customer: the number that the tenant has, to be compared with the one that was asked under.
SELECT c.packed, CASE WHEN c.packed IS NULL THEN (SELECT t.id FROM {s}.tenants t WHERE t.name = $3) END AS number
FROM (SELECT) one
LEFT JOIN {s}.customers c ON c.tenant = $1 AND c.digest = $2

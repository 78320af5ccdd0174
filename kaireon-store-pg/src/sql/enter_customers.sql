-- Enters customers who have no row, in the order of the index, so that two batches wait for each other in one
-- direction only. Who is not returned has one that another transaction holds or has just made.
INSERT INTO {s}.customers (id, tenant, digest, generation, customer, packed)
SELECT (w.tenant::bigint << 40) + nextval('{s}.customer_numbers'), w.tenant, w.digest, 0, w.customer, ''
FROM unnest($1::integer[], $2::uuid[], $3::text[]) AS w (tenant, digest, customer)
ORDER BY w.tenant, w.digest
ON CONFLICT (tenant, digest) DO NOTHING
RETURNING tenant, digest, id

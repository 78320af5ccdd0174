-- Looked up after the customers were entered: an erasure that came before the entry is seen, one that comes after it
-- waits for the entry.
SELECT s.tenant, s.customer, s.generation
FROM unnest($1::integer[], $2::uuid[]) AS w (tenant, customer)
JOIN {s}.tombstones s ON s.tenant = w.tenant AND s.customer = w.customer

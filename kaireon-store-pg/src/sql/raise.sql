-- Takes a customer's number away, and with it all that hangs on it, and gives a fresh one under a higher generation.
-- The caller holds the row.
WITH before AS (
    INSERT INTO {s}.erasing (customer, tenant, digest, below, outbox_range, packed)
    SELECT c.id, c.tenant, c.digest, $2, $3, c.packed FROM {s}.customers c WHERE c.id = $1
), stone AS (
    INSERT INTO {s}.tombstones AS s (tenant, customer, generation)
    SELECT c.tenant, c.digest, $2 FROM {s}.customers c WHERE c.id = $1
    ON CONFLICT (tenant, customer) DO UPDATE SET generation = greatest(s.generation, excluded.generation)
)
UPDATE {s}.customers SET id = (tenant::bigint << 40) + nextval('{s}.customer_numbers'), generation = $2, packed = ''
WHERE id = $1
RETURNING id

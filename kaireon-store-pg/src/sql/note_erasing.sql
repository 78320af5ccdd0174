INSERT INTO {s}.erasing (customer, tenant, digest, below, outbox_range, erasure, packed)
VALUES ($1, $2, $3, $4, $5, $6, $7)

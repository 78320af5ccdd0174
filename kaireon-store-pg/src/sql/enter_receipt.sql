INSERT INTO {s}.receipts (tenant, customer, erasure, generation, erased_at) VALUES ($1, $2, $3, $4, $5)

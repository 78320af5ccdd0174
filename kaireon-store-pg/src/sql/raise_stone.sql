INSERT INTO {s}.tombstones AS s (tenant, customer, generation) VALUES ($1, $2, $3)
ON CONFLICT (tenant, customer) DO UPDATE SET generation = greatest(s.generation, excluded.generation)

-- Arrivals are the server's time unless they are given. In the order of the index: two batches with the same keys wait for each other in one direction only.
INSERT INTO {s}.dedupe (arrived, at, tenant, digest, content, id_uuid, id)
SELECT coalesce(w.arrived, statement_timestamp()), w.at, w.tenant, w.digest, w.content, w.id_uuid, w.id
FROM unnest($1::timestamptz[], $2::timestamptz[], $3::integer[], $4::uuid[], $5::uuid[], $6::uuid[], $7::text[])
    AS w (arrived, at, tenant, digest, content, id_uuid, id)
ON CONFLICT (tenant, digest) DO NOTHING
RETURNING tenant, digest

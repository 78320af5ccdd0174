SELECT d.tenant, d.digest, d.content, d.id_uuid, d.id
FROM unnest($1::integer[], $2::uuid[]) AS w (tenant, digest)
CROSS JOIN LATERAL (
    SELECT k.* FROM {s}.dedupe k WHERE k.tenant = w.tenant AND k.digest = w.digest OFFSET 0
) d

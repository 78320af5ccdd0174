INSERT INTO {s}.outbox (generation, enqueued_at, tenant, lane, range, customer, payload)
SELECT w.* FROM unnest($1::bigint[], $2::timestamptz[], $3::integer[], $4::smallint[], $5::smallint[], $6::uuid[],
    $7::bytea[]) AS w (generation, enqueued_at, tenant, lane, range, customer, payload)

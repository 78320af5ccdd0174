INSERT INTO {s}.decisions (customer, at, tenant, id, flow, offers, attributes)
SELECT w.customer, w.at, w.tenant, w.id, w.flow, w.offers::json, w.attributes::json
FROM unnest($1::bigint[], $2::timestamptz[], $3::integer[], $4::text[], $5::text[], $6::text[], $7::text[])
    AS w (customer, at, tenant, id, flow, offers, attributes)

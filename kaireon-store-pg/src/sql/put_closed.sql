UPDATE {s}.closed c SET stats = w.stats
FROM unnest($1::bigint[], $2::smallint[], $3::integer[], $4::smallint[], $5::text[], $6::bytea[])
    AS w (customer, period_type, first_day, dimension, value, stats)
WHERE c.customer = w.customer AND c.period_type = w.period_type AND c.first_day = w.first_day
    AND c.dimension = w.dimension AND c.value = w.value

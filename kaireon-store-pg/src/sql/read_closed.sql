SELECT c.customer, c.period_type, c.first_day, c.dimension, c.value, c.stats
FROM unnest($1::bigint[], $2::smallint[], $3::integer[], $4::smallint[], $5::text[])
    AS w (customer, period_type, first_day, dimension, value)
CROSS JOIN LATERAL (
    SELECT k.* FROM {s}.closed k
    WHERE k.customer = w.customer AND k.period_type = w.period_type AND k.first_day = w.first_day
        AND k.dimension = w.dimension AND k.value = w.value
    OFFSET 0
) c

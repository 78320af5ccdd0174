-- Most periods close once. Those that have a row already are not returned, and are merged (read_closed, put_closed).
INSERT INTO {s}.closed (customer, period_type, first_day, dimension, value, stats)
SELECT w.* FROM unnest($1::bigint[], $2::smallint[], $3::integer[], $4::smallint[], $5::text[], $6::bytea[])
    AS w (customer, period_type, first_day, dimension, value, stats)
ON CONFLICT DO NOTHING
RETURNING customer, period_type, first_day, dimension, value

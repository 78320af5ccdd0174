-- The packed value and closed rows in one snapshot: a period may move from the one to the others at any time.
WITH who AS (SELECT id, packed FROM {s}.customers WHERE tenant = $1 AND digest = $2)
SELECT packed, NULL::smallint AS period_type, NULL::integer AS first_day, NULL::smallint AS dimension,
       NULL::text AS value, NULL::bytea AS stats
FROM who
UNION ALL
SELECT NULL, c.period_type, c.first_day, c.dimension, c.value, c.stats
FROM unnest($3::smallint[], $4::integer[], $5::integer[]) AS w (period_type, oldest, newest)
CROSS JOIN LATERAL (
    SELECT k.* FROM {s}.closed k
    WHERE k.customer = (SELECT id FROM who) AND k.period_type = w.period_type
        AND k.first_day BETWEEN w.oldest AND w.newest
    OFFSET 0
) c

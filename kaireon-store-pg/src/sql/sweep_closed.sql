DELETE FROM {s}.closed WHERE customer = $1
RETURNING period_type, first_day, dimension, value, stats

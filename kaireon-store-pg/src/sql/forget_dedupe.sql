DELETE FROM {s}.dedupe
WHERE tenant = $1 AND at < $3
    AND arrived < coalesce($2::timestamptz, statement_timestamp()) - $4 * interval '1 microsecond'

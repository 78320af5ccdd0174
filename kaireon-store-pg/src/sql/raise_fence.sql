UPDATE {s}.tenants t SET epoch = $2, lanes = coalesce($3, t.lanes)
FROM {s}.meta m
WHERE t.id = $1
RETURNING t.epoch, coalesce(t.lanes, m.lanes) AS lanes, m.incarnation,
    left(pg_walfile_name(pg_current_wal_lsn()), 8) AS timeline,
    (pg_current_xact_id()::text::numeric + 1)::text AS sequence

-- The number of the transaction that comes next grows with every commit. The timeline is another one after each
-- promotion and each restored backup; a replica does not say which it will be.
SELECT coalesce(t.epoch, 0) AS epoch, coalesce(t.lanes, m.lanes) AS lanes, m.incarnation,
       CASE WHEN pg_is_in_recovery() THEN '00000000' ELSE left(pg_walfile_name(pg_current_wal_lsn()), 8) END AS timeline,
       pg_snapshot_xmax(pg_current_snapshot())::text AS sequence
FROM {s}.meta m LEFT JOIN {s}.tenants t ON t.name = $1

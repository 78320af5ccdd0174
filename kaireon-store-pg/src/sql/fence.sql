-- The number of the transaction that comes next grows with every commit.
SELECT coalesce(t.epoch, 0) AS epoch, coalesce(t.lanes, m.lanes) AS lanes, m.incarnation,
       pg_snapshot_xmax(pg_current_snapshot())::text AS sequence
FROM {s}.meta m LEFT JOIN {s}.tenants t ON t.name = $1

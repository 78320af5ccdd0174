-- This transaction's own number is above all that were running when the snapshots were taken.
INSERT INTO {s}.outbox_cursors AS c (lane, range, low, seen, until, cluster)
SELECT r.lane, r.range, w.low, w.seen::pg_snapshot, pg_current_xact_id(),
       (SELECT system_identifier FROM pg_control_system())
FROM unnest($1::smallint[], $2::smallint[], $3::bigint[], $4::bigint[], $5::text[])
    AS w (lane, range, token, low, seen)
JOIN {s}.outbox_ranges r ON r.lane = w.lane AND r.range = w.range AND r.token = w.token
ON CONFLICT (lane, range) DO UPDATE
SET low = excluded.low, seen = excluded.seen, until = excluded.until, cluster = excluded.cluster

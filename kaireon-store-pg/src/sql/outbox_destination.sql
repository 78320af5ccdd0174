-- The time is that by which leases end. One row, also where nothing is in force.
SELECT d.name, d.scope, d.until, coalesce($2::timestamptz, statement_timestamp()) AS now
FROM (VALUES ($1::smallint)) AS asked (lane)
LEFT JOIN {s}.outbox_destinations d ON d.lane = asked.lane

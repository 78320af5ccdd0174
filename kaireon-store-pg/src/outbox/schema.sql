-- What has to be told. `position` is drawn from one sequence within the transaction that writes, so whoever was
-- answered before another was called lies before it, also when the later one joined an older transaction of a host's.
-- `xid` says which snapshots can see an entry: by it a relay finds what commits late, behind where it reads already.
-- It comes before `position` because defaults are drawn in the order of columns: a transaction has its number before
-- it draws its first position.
CREATE SEQUENCE {s}.outbox_positions AS bigint;
CREATE TABLE {s}.outbox (
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    position bigint NOT NULL DEFAULT nextval('{s}.outbox_positions'),
    generation bigint NOT NULL,
    enqueued_at timestamptz NOT NULL,
    tenant integer NOT NULL,
    lane smallint NOT NULL,
    range smallint NOT NULL,
    customer uuid,
    payload bytea NOT NULL,
    PRIMARY KEY (lane, range, position)
) WITH (
    -- All of it is deleted again and again: vacuum by count, not by share, and never lock writers out to give the
    -- end of the file back.
    autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 20000,
    autovacuum_analyze_scale_factor = 0.05, autovacuum_vacuum_insert_threshold = 200000, vacuum_truncate = off
);
-- Entries of one transaction share one compressed tuple of this index.
CREATE INDEX outbox_by_xid ON {s}.outbox (xid);

CREATE TABLE {s}.outbox_dead (
    position bigint NOT NULL,
    generation bigint NOT NULL,
    enqueued_at timestamptz NOT NULL,
    since timestamptz NOT NULL,
    tenant integer NOT NULL,
    lane smallint NOT NULL,
    range smallint NOT NULL,
    customer uuid,
    payload bytea NOT NULL,
    reason text NOT NULL,
    PRIMARY KEY (lane, range, position)
);

-- Who holds which range of which lane, under which fencing number. Rows change only when a range changes hands, so a
-- transaction that stays open does not pile up versions in front of those who check them.
CREATE TABLE {s}.outbox_ranges (
    lane smallint NOT NULL,
    range smallint NOT NULL,
    token bigint NOT NULL,
    owner text,
    PRIMARY KEY (lane, range)
);
INSERT INTO {s}.outbox_ranges (lane, range, token)
SELECT lane, range, 0 FROM generate_series(0, 2) AS lane, generate_series(0, 63) AS range;

-- Until when each relay lives: a row of its own for each renewal, found by its end, so that a look-up never walks
-- over the versions of earlier renewals.
CREATE TABLE {s}.outbox_relays (
    lane smallint NOT NULL,
    expires timestamptz NOT NULL,
    owner text NOT NULL,
    PRIMARY KEY (lane, expires, owner)
);

-- From where the next holder of a range reads on: up to `low`, all that `seen` can see is settled. It only saves
-- walking over what was deleted: an entry that is there is undelivered, whatever stands here. `until` is a
-- transaction number above all that were running at `seen`; `cluster` is whose numbers these are.
CREATE TABLE {s}.outbox_cursors (
    lane smallint NOT NULL,
    range smallint NOT NULL,
    low bigint NOT NULL,
    seen pg_snapshot NOT NULL,
    until xid8 NOT NULL,
    cluster bigint NOT NULL,
    PRIMARY KEY (lane, range)
);

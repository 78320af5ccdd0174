-- What the store was made with, and the lanes of tenants whose fence names none. One row.
CREATE TABLE {s}.meta (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    incarnation bigint NOT NULL,
    key_check uuid NOT NULL,
    own_key bytea,
    lanes smallint NOT NULL
);

-- A tenant's number leads the numbers of its customers, so that one index on them is in the order of tenants.
CREATE TABLE {s}.tenants (
    id integer GENERATED ALWAYS AS IDENTITY (MAXVALUE 8388607) PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE,
    epoch bigint NOT NULL DEFAULT 0,
    lanes smallint,
    watermark timestamptz
);

CREATE SEQUENCE {s}.customer_numbers AS bigint MAXVALUE 1099511627775;

-- One row per customer: the unit of locking. Rows elsewhere hang on `id`, so an erasure takes this row away and all
-- of them are out of sight at once. `packed` is rewritten by every batch: room for it on the same page keeps such
-- updates out of the indexes, and it stays in the row.
CREATE TABLE {s}.customers (
    id bigint PRIMARY KEY,
    tenant integer NOT NULL,
    digest uuid NOT NULL,
    generation bigint NOT NULL,
    customer text NOT NULL,
    packed bytea NOT NULL,
    UNIQUE (tenant, digest)
) WITH (fillfactor = 70, toast_tuple_target = 8160, autovacuum_vacuum_scale_factor = 0.05);
ALTER TABLE {s}.customers ALTER COLUMN packed SET STORAGE MAIN;

-- Months are partitions. The index ends at the time: rows of one customer and millisecond are few, and are sorted as
-- they are read.
CREATE TABLE {s}.history (
    customer bigint NOT NULL,
    at timestamptz NOT NULL,
    tie bigint NOT NULL,
    value_micros bigint,
    rank bigint,
    classification smallint NOT NULL,
    direction smallint NOT NULL,
    id text COLLATE "C" NOT NULL,
    idempotency_key text,
    offer text NOT NULL,
    creative text NOT NULL,
    channel text NOT NULL,
    interaction_type text NOT NULL,
    outcome text,
    placement text,
    category text,
    campaign text,
    recommendation text,
    attributes json
) PARTITION BY RANGE (at);
CREATE INDEX history_of_customer ON {s}.history (customer, at);

-- Stats of periods that are no longer in a customer's packed value.
CREATE TABLE {s}.closed (
    customer bigint NOT NULL,
    period_type smallint NOT NULL,
    first_day integer NOT NULL,
    dimension smallint NOT NULL,
    value text COLLATE "C" NOT NULL,
    stats bytea NOT NULL,
    PRIMARY KEY (customer, period_type, first_day, dimension, value)
);

CREATE TABLE {s}.decisions (
    customer bigint NOT NULL,
    at timestamptz NOT NULL,
    tenant integer NOT NULL,
    id text COLLATE "C" NOT NULL,
    flow text NOT NULL,
    offers json NOT NULL,
    attributes json,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX decisions_of_customer ON {s}.decisions (customer, at);

-- Exact idempotency over all partitions. `at` is the time of the row: the record may go once the row is gone (it lies
-- before the watermark) and the horizon has passed since it arrived.
CREATE TABLE {s}.dedupe (
    arrived timestamptz NOT NULL,
    at timestamptz NOT NULL,
    tenant integer NOT NULL,
    digest uuid NOT NULL,
    content uuid NOT NULL,
    id_uuid uuid,
    id text,
    PRIMARY KEY (tenant, digest)
);
CREATE INDEX dedupe_by_arrival ON {s}.dedupe USING brin (arrived);

CREATE TABLE {s}.tombstones (
    tenant integer NOT NULL,
    customer uuid NOT NULL,
    generation bigint NOT NULL,
    PRIMARY KEY (tenant, customer)
);

-- The numbers of customers that an erasure or a higher generation has taken away, while rows of theirs are left.
CREATE TABLE {s}.erasing (
    customer bigint PRIMARY KEY,
    tenant integer NOT NULL,
    digest uuid NOT NULL,
    below bigint NOT NULL,
    outbox_range smallint NOT NULL,
    erasure text,
    packed bytea NOT NULL
);
-- Every entry of the outbox that is read, counted or replayed is looked up here.
CREATE INDEX erasing_by_digest ON {s}.erasing (tenant, digest, customer);

CREATE TABLE {s}.receipts (
    tenant integer NOT NULL,
    customer uuid NOT NULL,
    erasure text NOT NULL,
    generation bigint NOT NULL,
    erased_at timestamptz NOT NULL,
    history bigint NOT NULL DEFAULT 0,
    summaries bigint NOT NULL DEFAULT 0,
    decisions bigint NOT NULL DEFAULT 0,
    outbox bigint NOT NULL DEFAULT 0,
    finished boolean NOT NULL DEFAULT false,
    PRIMARY KEY (tenant, customer, erasure)
);

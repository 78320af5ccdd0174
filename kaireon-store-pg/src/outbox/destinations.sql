-- Where each lane leads: the destination whose relays are granted leases, until when it stays in force though no relay
-- of it lives, and whether it is a process's own (0) or every process's (1). Who lives is in `outbox_relays`.
CREATE TABLE {s}.outbox_destinations (
    lane smallint PRIMARY KEY,
    name text NOT NULL,
    scope smallint NOT NULL,
    until timestamptz NOT NULL
);

-- Relays that are gone. Only when ranges change hands: with a transaction held open this walks over old versions.
DELETE FROM {s}.outbox_relays
WHERE lane = $1 AND expires <= coalesce($2::timestamptz, statement_timestamp())

-- Ranges of `publish` whose holders of these numbers are to give them back: entries of a customer were erased that they may
-- have in hand. A number that is no longer the range's means nothing.
CREATE TABLE {s}.outbox_recalls (
    range smallint NOT NULL,
    token bigint NOT NULL,
    PRIMARY KEY (range, token)
);

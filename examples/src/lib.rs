//! What the examples share: the data set that quickstart replays.

pub mod open_bandit;

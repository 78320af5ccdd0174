//! How each part ended.

use std::fmt;

use kaireon_core::Error;
use serde::Serialize;

/// One part of an [`Infra`](crate::Infra).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Part {
    /// The interaction store, with its coalescing writer; each store of a tenant switch.
    Store,
    /// The relay from the store's outbox to the event stream.
    Relay,
    /// The relays between the stores of a tenant switch. Absent without one.
    Replication,
    /// The event stream, with its producers.
    Events,
    /// The search index.
    Search,
    /// The cache.
    Cache,
    /// The settings of a tenant switch. Absent without one.
    Settings,
}

impl Part {
    /// Every part, in the order in which a shutdown drains them.
    pub const ALL: [Self; 7] = [
        Self::Relay,
        Self::Replication,
        Self::Events,
        Self::Search,
        Self::Cache,
        Self::Store,
        Self::Settings,
    ];

    /// The part's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Relay => "relay",
            Self::Replication => "replication",
            Self::Events => "events",
            Self::Search => "search",
            Self::Cache => "cache",
            Self::Settings => "settings",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a part ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// What it had accepted is done, and it let go.
    Drained,
    /// The deadline passed first. It was told to end, and goes on doing so by itself; what the relay had not
    /// delivered waits in the outbox for the next start.
    TimedOut,
    /// It ended with this error.
    Failed(Error),
    /// It lives on in the set that a reset put in place.
    CarriedOver,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drained => f.write_str("drained"),
            Self::TimedOut => f.write_str("timed out"),
            Self::Failed(error) => write!(f, "failed: {error}"),
            Self::CarriedOver => f.write_str("carried over"),
        }
    }
}

/// How each part of a set ended, after a shutdown or a reset.
#[derive(Clone, Debug)]
#[must_use = "a part may have timed out or failed"]
pub struct DrainReport {
    parts: Vec<(Part, Outcome)>,
}

impl DrainReport {
    pub(crate) fn new(parts: Vec<(Part, Outcome)>) -> Self {
        Self { parts }
    }

    /// Notes a failure that came after a part had ended.
    pub(crate) fn fail(&mut self, part: Part, outcome: Outcome) {
        self.parts.retain(|(of, _)| *of != part);
        self.parts.push((part, outcome));
    }

    /// Each part with its outcome.
    pub fn parts(&self) -> impl Iterator<Item = (Part, &Outcome)> {
        self.parts.iter().map(|(part, outcome)| (*part, outcome))
    }

    /// How one part ended.
    #[must_use]
    pub fn outcome(&self, part: Part) -> Option<&Outcome> {
        self.parts()
            .find(|(of, _)| *of == part)
            .map(|(_, outcome)| outcome)
    }

    /// Whether no part timed out or failed.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.parts()
            .all(|(_, outcome)| matches!(outcome, Outcome::Drained | Outcome::CarriedOver))
    }
}

impl fmt::Display for DrainReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (part, outcome)) in self.parts().enumerate() {
            write!(f, "{}{part} {outcome}", if at == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

//! Entries that were moved aside.

use super::{Lane, OutboxEntry, Position};
use crate::Result;
use crate::store::{MAX_PAGE, check_limit};
use crate::time::Timestamp;

/// An entry that was moved aside. It has left the order, and counts as undelivered in every gate.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The entry as it was.
    pub entry: OutboxEntry,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
}

impl DeadLetter {
    /// A dead letter.
    #[must_use]
    pub fn new(entry: OutboxEntry, reason: String, since: Timestamp) -> Self {
        Self { entry, reason, since }
    }
}

/// Names a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeadLetterId {
    /// The range of the entry.
    pub range: u16,
    /// Its position.
    pub position: Position,
}

/// Which dead letters to read, by range and position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterQuery {
    /// Of this lane.
    pub lane: Lane,
    /// How many at most, 1 to [`MAX_PAGE`].
    pub limit: u32,
    /// Behind this one.
    pub cursor: Option<DeadLetterId>,
}

impl DeadLetterQuery {
    /// The first page of a lane.
    #[must_use]
    pub fn new(lane: Lane) -> Self {
        Self {
            lane,
            limit: MAX_PAGE,
            cursor: None,
        }
    }

    /// Checks the bounds.
    ///
    /// # Errors
    /// `InvalidInput` naming `limit`.
    pub fn check(&self) -> Result<()> {
        check_limit(self.limit)
    }
}

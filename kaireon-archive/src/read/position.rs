//! Where a reading has come.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Chunk;
use crate::Day;

/// How far one day was read. Objects that come later are read when the day is read again from here; what was read is
/// not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayPosition {
    /// The objects that were read to their end.
    pub(super) done: BTreeSet<String>,
    /// The object that was begun, and behind which of its lines to go on.
    pub(super) begun: Option<Begun>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Begun {
    pub(super) name: String,
    /// Lines have other numbers once an erasure went over the object: it is read again then from its first line.
    pub(super) sha256: String,
    pub(super) lines: u64,
}

impl DayPosition {
    /// Before everything.
    #[must_use]
    pub fn start() -> Self {
        Self::default()
    }

    /// How many objects of the day were read to their end.
    #[must_use]
    pub fn objects_done(&self) -> usize {
        self.done.len()
    }
}

/// How far a tenant's records of one kind were read: kept wherever its owner likes, as JSON or otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadProgress {
    pub(super) days: BTreeMap<Day, DayPosition>,
}

impl ReadProgress {
    /// Before everything.
    #[must_use]
    pub fn start() -> Self {
        Self::default()
    }

    /// Notes that a chunk was applied. Chunks of one day are applied in the order in which they came; those of several
    /// days may be applied in any.
    pub fn advance<T>(&mut self, chunk: &Chunk<T>) {
        self.days.insert(chunk.day, chunk.position.clone());
    }

    /// How far one day was read.
    #[must_use]
    pub fn day(&self, day: Day) -> DayPosition {
        self.days.get(&day).cloned().unwrap_or_default()
    }
}

//! For whom entries are written, and how that stands.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;
use crate::{Error, Result};

/// For whom an entry is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Lane {
    /// For the event stream; in order per customer.
    Publish,
    /// For a second store during a migration; in no promised order.
    Replicate,
    /// For the export; in no promised order.
    Archive,
}

impl Lane {
    /// Every lane.
    pub const ALL: [Self; 3] = [Self::Publish, Self::Replicate, Self::Archive];

    /// The lane's name, as in metrics and keys.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Replicate => "replicate",
            Self::Archive => "archive",
        }
    }

    const fn bit(self) -> u8 {
        match self {
            Self::Publish => 1,
            Self::Replicate => 2,
            Self::Archive => 4,
        }
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of lanes. Serde writes it as its [bits](Self::bits), and refuses those of no lane.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct LaneSet(u8);

impl LaneSet {
    /// No lane.
    pub const NONE: Self = Self(0);

    /// These lanes.
    #[must_use]
    pub fn of(lanes: &[Lane]) -> Self {
        lanes.iter().fold(Self::NONE, |set, &lane| set.with(lane))
    }

    /// The set with one more lane.
    #[must_use]
    pub const fn with(self, lane: Lane) -> Self {
        Self(self.0 | lane.bit())
    }

    /// The set with one lane less.
    #[must_use]
    pub const fn without(self, lane: Lane) -> Self {
        Self(self.0 & !lane.bit())
    }

    /// The set with these lanes on and those off; a lane that is in both is off.
    #[must_use]
    pub const fn changed(self, on: Self, off: Self) -> Self {
        Self((self.0 | on.0) & !off.0)
    }

    /// Whether a lane is in the set.
    #[must_use]
    pub const fn contains(self, lane: Lane) -> bool {
        self.0 & lane.bit() != 0
    }

    /// Whether no lane is in the set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The lanes in the set.
    pub fn iter(self) -> impl Iterator<Item = Lane> {
        Lane::ALL.into_iter().filter(move |&lane| self.contains(lane))
    }

    /// One bit per lane, for adapters to keep.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The set of these bits; unknown bits are dropped.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & 7)
    }
}

impl From<LaneSet> for u8 {
    fn from(lanes: LaneSet) -> Self {
        lanes.bits()
    }
}

/// The set of exactly these bits.
impl TryFrom<u8> for LaneSet {
    type Error = Error;

    /// # Errors
    /// `InvalidInput` naming `lanes`, where a bit is of no lane.
    fn try_from(bits: u8) -> Result<Self> {
        let lanes = Self::from_bits(bits);
        if lanes.bits() != bits {
            return Err(Error::invalid("lanes", "holds a bit of no lane"));
        }
        Ok(lanes)
    }
}

impl fmt::Debug for LaneSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// How a lane stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LaneStatus {
    /// Entries that wait.
    pub backlog: u64,
    /// When the oldest of them was written.
    pub oldest: Option<Timestamp>,
    /// Entries that were moved aside. A store need not count beyond 10,000 of them.
    pub dead_letters: u64,
    /// How many relays hold leases of it, or have asked for some within their ttl.
    pub relays: u16,
    /// The name of the [destination](super::Destination) in force.
    pub destination: Option<String>,
}

/// What one tenant's records have left in a lane.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TenantBacklog {
    /// Entries that wait.
    pub waiting: u64,
    /// When the oldest of them was written.
    pub oldest: Option<Timestamp>,
    /// Entries that were moved aside.
    pub dead_letters: u64,
}

impl TenantBacklog {
    /// A backlog.
    #[must_use]
    pub const fn new(waiting: u64, oldest: Option<Timestamp>, dead_letters: u64) -> Self {
        Self {
            waiting,
            oldest,
            dead_letters,
        }
    }

    /// Whether everything was delivered: nothing waits and nothing was moved aside.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.waiting == 0 && self.dead_letters == 0
    }
}

impl LaneStatus {
    /// A status.
    #[must_use]
    pub fn new(backlog: u64, oldest: Option<Timestamp>, dead_letters: u64) -> Self {
        Self {
            backlog,
            oldest,
            dead_letters,
            relays: 0,
            destination: None,
        }
    }

    /// The same with who reads it.
    #[must_use]
    pub fn read_by(mut self, relays: u16, destination: Option<String>) -> Self {
        self.relays = relays;
        self.destination = destination;
        self
    }

    /// Whether everything was delivered: nothing waits and nothing was moved aside.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.backlog == 0 && self.dead_letters == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_read_only_of_lanes_that_there_are() {
        for bits in 0..=7_u8 {
            let lanes: LaneSet = serde_json::from_str(&bits.to_string()).unwrap();
            assert_eq!(lanes, LaneSet::from_bits(bits));
            assert_eq!(serde_json::to_string(&lanes).unwrap(), bits.to_string());
        }
        for wrong in [8, 9, 255] {
            assert!(
                serde_json::from_str::<LaneSet>(&wrong.to_string()).is_err(),
                "{wrong}"
            );
            assert_eq!(LaneSet::try_from(wrong).unwrap_err().field(), Some("lanes"));
        }
    }
}

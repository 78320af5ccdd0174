//! The right to a range, and what is done under it.

use std::time::Duration;

use super::{Destination, Lane, Position};
use crate::time::Timestamp;

/// The right to a range of a lane, until it expires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The lane.
    pub lane: Lane,
    /// The range.
    pub range: u16,
    /// The fencing number: each new holder of the range gets a higher one.
    pub token: u64,
    /// When another may take the range, by the store's clock.
    pub expires: Timestamp,
}

/// A request for ranges of a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseRequest {
    /// The lane.
    pub lane: Lane,
    /// Who asks: unique per relay. The same owner renews what it holds.
    pub owner: String,
    /// How long the leases last.
    pub ttl: Duration,
    /// The most ranges to hold after this call, those held already included. What is held beyond it is given
    /// back.
    pub max_ranges: u16,
    /// Where the relay delivers to.
    pub destination: Destination,
}

/// How many relays hold leases of a lane, to share ranges fairly.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leased {
    /// Every lease that the owner holds now.
    pub leases: Vec<Lease>,
    /// How many owners hold unexpired leases of the lane or have asked for some within their ttl, the asker
    /// included. An owner who is refused is not counted.
    pub owners: u16,
    /// The name of the destination in force, where that is another than the asker's: nothing was granted.
    pub refused: Option<String>,
    /// Ranges among the leases that the owner is to give back as soon as it delivers nothing of them, and with them what
    /// it has read of them: entries of a customer of theirs were erased. It may ask for them again at once. Until it has
    /// given one back, or lost it, the erasure gives no receipt, and [`fetch`](super::Outbox::fetch) reads nothing of it.
    pub recalled: Vec<u16>,
}

impl Leased {
    /// The answer to a request.
    #[must_use]
    pub fn new(leases: Vec<Lease>, owners: u16) -> Self {
        Self {
            leases,
            owners,
            refused: None,
            recalled: Vec::new(),
        }
    }

    /// The answer to who delivers elsewhere: the lane leads to this destination, and so many relays read it.
    #[must_use]
    pub fn elsewhere(destination: String, owners: u16) -> Self {
        Self {
            leases: Vec::new(),
            owners,
            refused: Some(destination),
            recalled: Vec::new(),
        }
    }

    /// The same, where these of the ranges are to be given back.
    #[must_use]
    pub fn recalling(mut self, ranges: Vec<u16>) -> Self {
        self.recalled = ranges;
        self
    }
}

/// A range to fetch from, and what of it the caller does not want.
///
/// Who delivers, and must keep the order of each customer, names what it has in hand (`in_flight`). Who reads a whole
/// lane page by page and leaves much of it there, so that naming it all would have no bound, names where the last page
/// ended (`after`). Where both are given, an entry is returned that neither keeps back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchFrom {
    /// The lease on the range.
    pub lease: Lease,
    /// Only entries behind this position. An entry that commits late may lie before it: it is passed over, and what its
    /// customer recorded after it is returned. So begin again at `None` from time to time, and do not depend on the
    /// order in between.
    pub after: Option<Position>,
    /// Entries that the caller has in hand: fetched before and not settled yet. They are not returned; whatever else
    /// waits is, wherever it lies, an entry that committed late under an older position included.
    pub in_flight: Vec<Position>,
}

impl FetchFrom {
    /// All that waits in a range.
    #[must_use]
    pub const fn all(lease: Lease) -> Self {
        Self {
            lease,
            after: None,
            in_flight: Vec::new(),
        }
    }

    /// What waits in a range behind the end of the last page.
    #[must_use]
    pub const fn page(lease: Lease, after: Option<Position>) -> Self {
        Self {
            lease,
            after,
            in_flight: Vec::new(),
        }
    }

    /// What waits in a range and is not in hand.
    #[must_use]
    pub const fn but(lease: Lease, in_flight: Vec<Position>) -> Self {
        Self {
            lease,
            after: None,
            in_flight,
        }
    }
}

/// What became of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// The range.
    pub range: u16,
    /// The entry.
    pub position: Position,
    /// What became of it.
    pub verdict: Verdict,
}

/// What became of an entry's delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was delivered, or needs no delivery: remove it.
    Delivered,
    /// It cannot be delivered, for this reason: move it aside.
    Poisoned(String),
}

//! The outbox: what has to be told to others, written in the same atomic unit as what was recorded.
//!
//! Entries lie in named lanes. Each entry belongs to one of [`RANGES`] ranges of customers; a relay leases ranges
//! and so has each customer's entries to itself, in commit order. A fencing number in the lease keeps a relay
//! that was stopped and came back from completing entries of ranges it has lost.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::event::Event;
use crate::store::{Generation, MAX_PAGE, Page, check_limit};
use crate::time::Timestamp;
use crate::{CustomerId, Decision, Error, Interaction, Result, TenantId};

/// Into how many ranges of customers each lane is divided: as many relays can share the work of a lane.
pub const RANGES: u16 = 64;

/// The range that a customer's entries lie in: the first 8 bytes of BLAKE3 over tenant, NUL, customer, modulo
/// [`RANGES`]. The same on every store.
#[must_use]
pub fn range_of(tenant: &TenantId, partition: &str) -> u16 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(tenant.as_str().as_bytes());
    hasher.update(&[0]);
    hasher.update(partition.as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u16::try_from(u64::from_le_bytes(first) % u64::from(RANGES)).unwrap_or_default()
}

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

/// A set of lanes.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
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

impl fmt::Debug for LaneSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// Where an entry lies in its range: grows with commit order within one customer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position(pub u64);

/// What an entry tells.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum OutboxPayload {
    /// An interaction was recorded.
    Interaction(Interaction),
    /// A decision was recorded.
    Decision(Decision),
    /// An event of the host's own.
    Host(HostEvent),
}

/// An event of the host's own, on its way through the outbox.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostEvent {
    /// Whose.
    pub tenant: TenantId,
    /// The customer it is about, if any: its erasure drops the event, and its events keep their order.
    pub customer: Option<CustomerId>,
    /// The event; its partition key decides the order where there is no customer. An event of a customer that has
    /// no key of its own is published under the customer's, as the customer's interactions are.
    pub event: Event,
}

impl HostEvent {
    /// The text that decides the range: the customer, or the event's partition key, or its type.
    #[must_use]
    pub fn partition(&self) -> &str {
        let key = || {
            self.event
                .key()
                .unwrap_or_else(|| self.event.event_type().as_str())
        };
        self.customer.as_ref().map_or_else(key, CustomerId::as_str)
    }
}

/// One entry of a lane.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct OutboxEntry {
    /// The lane.
    pub lane: Lane,
    /// The range of customers.
    pub range: u16,
    /// The place in the range.
    pub position: Position,
    /// Whose.
    pub tenant: TenantId,
    /// The generation the record was accepted under.
    pub generation: Generation,
    /// When the entry was written.
    pub enqueued_at: Timestamp,
    /// What it tells.
    pub payload: OutboxPayload,
}

impl OutboxEntry {
    /// An entry.
    #[must_use]
    pub fn new(
        lane: Lane,
        (range, position): (u16, Position),
        generation: Generation,
        enqueued_at: Timestamp,
        payload: OutboxPayload,
    ) -> Self {
        let tenant = match &payload {
            OutboxPayload::Interaction(interaction) => interaction.tenant.clone(),
            OutboxPayload::Decision(decision) => decision.tenant.clone(),
            OutboxPayload::Host(host) => host.tenant.clone(),
        };
        Self {
            lane,
            range,
            position,
            tenant,
            generation,
            enqueued_at,
            payload,
        }
    }

    /// The customer it is about, if any.
    #[must_use]
    pub fn customer(&self) -> Option<&CustomerId> {
        match &self.payload {
            OutboxPayload::Interaction(interaction) => Some(&interaction.customer),
            OutboxPayload::Decision(decision) => Some(&decision.customer),
            OutboxPayload::Host(host) => host.customer.as_ref(),
        }
    }

    /// The text within the tenant whose entries keep their order.
    #[must_use]
    pub fn partition(&self) -> &str {
        match &self.payload {
            OutboxPayload::Interaction(interaction) => interaction.customer.as_str(),
            OutboxPayload::Decision(decision) => decision.customer.as_str(),
            OutboxPayload::Host(host) => host.partition(),
        }
    }

    /// The event that is published for it.
    #[must_use]
    pub fn to_event(&self) -> Event {
        match &self.payload {
            OutboxPayload::Interaction(interaction) => Event::interaction_recorded(interaction),
            OutboxPayload::Decision(decision) => Event::decision_made(decision),
            OutboxPayload::Host(HostEvent {
                tenant,
                customer: Some(customer),
                event,
            }) => event.clone().or_keyed_by(tenant, customer),
            OutboxPayload::Host(host) => host.event.clone(),
        }
    }
}

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
#[derive(Clone, Debug)]
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
}

/// How many relays hold leases of a lane, to share ranges fairly.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Leased {
    /// Every lease that the owner holds now.
    pub leases: Vec<Lease>,
    /// How many owners hold unexpired leases of the lane or have asked for some within their ttl, the asker
    /// included.
    pub owners: u16,
}

impl Leased {
    /// The answer to a request.
    #[must_use]
    pub fn new(leases: Vec<Lease>, owners: u16) -> Self {
        Self { leases, owners }
    }
}

/// A range to fetch from, and where to begin.
#[derive(Clone, Debug)]
pub struct FetchFrom {
    /// The lease on the range.
    pub lease: Lease,
    /// Only entries behind this position, so that what is in flight is not fetched twice. Begin again at `None`
    /// whenever nothing is in flight: an entry may commit late under an older position.
    pub after: Option<Position>,
}

/// What became of an entry.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// The range.
    pub range: u16,
    /// The entry.
    pub position: Position,
    /// What became of it.
    pub verdict: Verdict,
}

/// What became of an entry's delivery.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// It was delivered, or needs no delivery: remove it.
    Delivered,
    /// It cannot be delivered, for this reason: move it aside.
    Poisoned(String),
}

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
#[derive(Clone, Debug)]
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

/// How a lane stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LaneStatus {
    /// Entries that wait.
    pub backlog: u64,
    /// When the oldest of them was written.
    pub oldest: Option<Timestamp>,
    /// Entries that were moved aside.
    pub dead_letters: u64,
}

impl LaneStatus {
    /// A status.
    #[must_use]
    pub fn new(backlog: u64, oldest: Option<Timestamp>, dead_letters: u64) -> Self {
        Self {
            backlog,
            oldest,
            dead_letters,
        }
    }

    /// Whether everything was delivered: nothing waits and nothing was moved aside.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.backlog == 0 && self.dead_letters == 0
    }
}

/// The outbox of a store.
///
/// # Errors
/// As every operation of a store; `Fenced` where a lease is no longer held.
#[async_trait]
pub trait Outbox: Send + Sync + fmt::Debug {
    /// The lanes in force for tenants whose fence names none.
    async fn lanes(&self) -> Result<LaneSet>;

    /// Sets the lanes in force for tenants whose fence names none. Durable on `Ok`; a record whose call begins
    /// after it is written into exactly these.
    async fn set_lanes(&self, lanes: LaneSet) -> Result<()>;

    /// Appends events of the host's own to the `publish` lane, all or none, whether or not the lane is in force.
    ///
    /// # Errors
    /// `Erased` cannot happen: an event draws its customer's present generation.
    async fn append(&self, events: Vec<HostEvent>) -> Result<()>;

    /// Renews the owner's leases and takes free or expired ranges, up to the bound.
    async fn lease(&self, request: LeaseRequest) -> Result<Leased>;

    /// Gives leases back at once. Leases that are no longer held are ignored.
    async fn release(&self, leases: Vec<Lease>) -> Result<()>;

    /// Reads the oldest entries of leased ranges, in order of position within each range; `limit` over all of
    /// them. Entries of erased generations are not among them.
    ///
    /// # Errors
    /// `Fenced` where one of the leases is no longer held.
    async fn fetch(&self, from: Vec<FetchFrom>, limit: u32) -> Result<Vec<OutboxEntry>>;

    /// Settles entries of leased ranges, all or none, durable on `Ok`. Entries that are gone are ignored.
    ///
    /// # Errors
    /// `Fenced` where one of the ranges is not covered by a lease that is still held; nothing is settled then.
    async fn settle(&self, leases: &[Lease], settlements: Vec<Settlement>) -> Result<()>;

    /// Lists the entries that were moved aside, by range and position.
    async fn dead_letters(&self, query: DeadLetterQuery) -> Result<Page<DeadLetter, DeadLetterId>>;

    /// Puts dead letters back into their lane, as new entries behind all others; returns how many were found.
    async fn replay(&self, lane: Lane, ids: Vec<DeadLetterId>) -> Result<u64>;

    /// How a lane stands.
    async fn status(&self, lane: Lane) -> Result<LaneStatus>;

    /// Returns when entries may have been written to the lane since it counted `seen`, or after `at_most`; the
    /// answer is the count to ask with next time. Ask with 0 first: it returns at once if anything was ever
    /// written. Because the count is the caller's, no wake-up is lost between a fetch and the wait behind it, and
    /// several relays do not take each other's.
    ///
    /// Provided as waiting `at_most`: polling. A store that can wake its relays overrides it.
    async fn wait(&self, lane: Lane, seen: u64, at_most: Duration) -> Result<u64> {
        let _ = lane;
        tokio::time::sleep(at_most).await;
        Ok(seen)
    }
}

const _: fn(&dyn Outbox) = |_| {};

/// The error of a lease that is no longer held.
#[must_use]
pub fn lease_lost(backend: &'static str, operation: &'static str) -> Error {
    Error::new(crate::ErrorKind::Fenced, "the lease on a range is no longer held")
        .with_backend(backend)
        .with_operation(operation)
}

//! The outbox: what has to be told to others, written in the same atomic unit as what was recorded.
//!
//! Entries lie in named lanes. Each entry belongs to one of [`RANGES`] ranges of customers; a relay leases ranges
//! and so has each customer's entries to itself, in commit order. A fencing number in the lease keeps a relay
//! that was stopped and came back from completing entries of ranges it has lost.

mod dead_letter;
mod destination;
mod entry;
mod lane;
mod lease;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

pub use dead_letter::{DeadLetter, DeadLetterId, DeadLetterQuery};
pub use destination::{Admission, Destination, DestinationScope, LaneDestination};
pub use entry::{HostEvent, OutboxEntry, OutboxPayload, Position};
pub use lane::{Lane, LaneSet, LaneStatus, TenantBacklog};
pub use lease::{FetchFrom, Lease, LeaseRequest, Leased, Settlement, Verdict};

use crate::store::Page;
use crate::{Error, Result, TenantId};

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

    /// Adds lanes to those in force for tenants whose fence names none, and takes others out of them; returns what is in
    /// force then. One atomic unit: of those who change different lanes at the same time none undoes another's change,
    /// as whoever reads the set and sets it would. A lane that is named in both is out. Durable on `Ok`, and for records
    /// as [`set_lanes`](Self::set_lanes).
    async fn change_lanes(&self, on: LaneSet, off: LaneSet) -> Result<LaneSet>;

    /// Appends events of the host's own to the `publish` lane, all or none, whether or not the lane is in force.
    ///
    /// # Errors
    /// `Erased` cannot happen: an event draws its customer's present generation.
    async fn append(&self, events: Vec<HostEvent>) -> Result<()>;

    /// Renews the owner's leases and takes free or expired ranges, up to the bound; grants nothing where the lane leads
    /// [elsewhere](Destination). An expired range that nobody has taken keeps its number when its owner asks again:
    /// what the owner has delivered of it meanwhile can be settled.
    ///
    /// # Errors
    /// `InvalidInput` naming `destination`.
    async fn lease(&self, request: LeaseRequest) -> Result<Leased>;

    /// Gives leases back at once. Leases that are no longer held are ignored; an owner who has given back every range
    /// of a lane is no longer counted there.
    async fn release(&self, leases: Vec<Lease>) -> Result<()>;

    /// Reads the oldest entries of leased ranges that the caller does not have in hand or behind it, in order of
    /// position within each range; `limit` over all of them. Entries of erased generations are not among them. An entry
    /// that cannot be read is moved to the dead letters, with that as its reason, and the others are returned.
    ///
    /// # Errors
    /// `Fenced` where one of the leases is no longer held, or its range is to be [given back](Leased::recalled).
    async fn fetch(&self, from: Vec<FetchFrom>, limit: u32) -> Result<Vec<OutboxEntry>>;

    /// Settles entries of leased ranges, all or none, durable on `Ok`. Entries that are gone are ignored.
    ///
    /// # Errors
    /// `Fenced` where one of the ranges is not covered by a lease that is still held; nothing is settled then.
    async fn settle(&self, leases: &[Lease], settlements: Vec<Settlement>) -> Result<()>;

    /// Lists the entries that were moved aside, by range and position. One that cannot be read is left out and logged;
    /// it counts in [`status`](Self::status).
    async fn dead_letters(&self, query: DeadLetterQuery) -> Result<Page<DeadLetter, DeadLetterId>>;

    /// Puts dead letters back into their lane, as new entries behind all others; returns how many were found.
    async fn replay(&self, lane: Lane, ids: Vec<DeadLetterId>) -> Result<u64>;

    /// How a lane stands.
    async fn status(&self, lane: Lane) -> Result<LaneStatus>;

    /// What one tenant's records have left in a lane, counted one by one: nothing is missing that was acknowledged, or
    /// refused by the tenant's [fence](crate::InteractionStore::raise_fence), before the call. It costs by the length
    /// of the lane, so it is for the moments that depend on it (a store is drained before another takes over), and
    /// [`status`](Self::status) is for watching.
    async fn backlog(&self, lane: Lane, tenant: &TenantId) -> Result<TenantBacklog>;

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

/// How long an erasure, or a tombstone that is installed, waits for a relay to let go of what it may have in hand of the
/// customer, where that relay renews its leases all the while. The call fails with [`still_in_hand`] then, and a second one
/// waits on.
pub const ERASURE_PATIENCE: Duration = Duration::from_secs(30);

/// The error of a call that erases, where a relay has entries of the customer in hand still. All else is done.
#[must_use]
pub fn still_in_hand(backend: &'static str, operation: &'static str) -> Error {
    let context = "a relay has entries of the customer in hand still, whose delivery does not end";
    Error::new(crate::ErrorKind::Timeout, context)
        .with_backend(backend)
        .with_operation(operation)
        .with_transient(true)
        .with_effect(crate::Effect::Unknown)
}

/// The error of a lease that is no longer held.
#[must_use]
pub fn lease_lost(backend: &'static str, operation: &'static str) -> Error {
    Error::new(crate::ErrorKind::Fenced, "the lease on a range is no longer held")
        .with_backend(backend)
        .with_operation(operation)
}

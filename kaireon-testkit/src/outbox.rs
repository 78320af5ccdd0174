//! The outbox's suite: what was recorded is told, once it is acknowledged, in order, to whoever holds the range.
//!
//! Its cases are part of the store's list, because an outbox is a store's.

#![allow(clippy::unwrap_used, reason = "a case is a test: its panic is the report")]

pub mod dead_letters;
pub mod destinations;
pub mod entries;
pub mod leases;
pub mod relays;
pub mod settling;

use std::sync::Arc;
use std::time::Duration;

use kaireon_core::outbox::{
    Destination, FetchFrom, HostEvent, Lane, Lease, LeaseRequest, Leased, OutboxEntry, RANGES, Settlement,
    Verdict,
};
use kaireon_core::{Event, Outbox};

use crate::world::World;

/// How long leases last in cases that do not wait for their end.
const TTL: Duration = Duration::from_secs(60);

/// An event of the host's own, about a customer or nobody.
pub(crate) fn host_event(world: &World<'_>, customer: Option<&str>, id: &str) -> HostEvent {
    let event = Event::new("model.updated.v1", &serde_json::json!({ "model": id })).unwrap();
    HostEvent {
        tenant: world.tenant.clone(),
        customer: customer.map(|customer| world.customer(customer)),
        event: event.with_id(id).unwrap(),
    }
}

/// Asks for ranges.
pub(crate) async fn lease(
    outbox: &Arc<dyn Outbox>,
    lane: Lane,
    owner: &str,
    ttl: Duration,
    max_ranges: u16,
) -> Leased {
    let request = LeaseRequest {
        lane,
        owner: owner.to_owned(),
        ttl,
        max_ranges,
        destination: Destination::unnamed(),
    };
    outbox.lease(request).await.unwrap()
}

/// Asks for every range.
pub(crate) async fn lease_all(outbox: &Arc<dyn Outbox>, lane: Lane, owner: &str) -> Vec<Lease> {
    lease(outbox, lane, owner, TTL, RANGES).await.leases
}

/// What waits in leased ranges, from the beginning.
pub(crate) async fn fetch(
    outbox: &Arc<dyn Outbox>,
    leases: &[Lease],
    limit: u32,
) -> kaireon_core::Result<Vec<OutboxEntry>> {
    let from = leases.iter().map(|lease| FetchFrom::all(lease.clone())).collect();
    outbox.fetch(from, limit).await
}

pub(crate) fn settled(entry: &OutboxEntry, verdict: Verdict) -> Settlement {
    Settlement {
        range: entry.range,
        position: entry.position,
        verdict,
    }
}

async fn settle_all(
    outbox: &Arc<dyn Outbox>,
    lane: Lane,
    owner: &str,
    verdict: &Verdict,
) -> Vec<OutboxEntry> {
    let leases = lease_all(outbox, lane, owner).await;
    let mut all = Vec::new();
    loop {
        let entries = fetch(outbox, &leases, 100).await.unwrap();
        if entries.is_empty() {
            break;
        }
        let settlements = entries
            .iter()
            .map(|entry| settled(entry, verdict.clone()))
            .collect();
        outbox.settle(&leases, settlements).await.unwrap();
        all.extend(entries);
        assert!(all.len() < 100_000, "a lane is drained");
    }
    outbox.release(leases).await.unwrap();
    all
}

/// Delivers all that waits, as one relay would; returns it in the order of delivery.
pub(crate) async fn drain(outbox: &Arc<dyn Outbox>, lane: Lane, owner: &str) -> Vec<OutboxEntry> {
    settle_all(outbox, lane, owner, &Verdict::Delivered).await
}

/// Moves all that waits aside.
pub(crate) async fn poison_all(outbox: &Arc<dyn Outbox>, lane: Lane) -> Vec<OutboxEntry> {
    settle_all(
        outbox,
        lane,
        "poisoner",
        &Verdict::Poisoned("cannot be read".into()),
    )
    .await
}

/// The ids of the events that entries tell of.
pub(crate) fn ids(entries: &[OutboxEntry]) -> Vec<String> {
    entries
        .iter()
        .map(|entry| entry.to_event().id().to_owned())
        .collect()
}

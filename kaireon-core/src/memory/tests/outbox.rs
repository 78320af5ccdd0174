//! Leases, order, settling and waiting.

use std::time::Duration;

use chrono::TimeDelta;

use super::{anna, erasure, event, noon, store, tenant};
use crate::memory::{MemoryOptions, MemoryPlace, MemoryStore};
use crate::outbox::{
    DeadLetterQuery, Destination, FetchFrom, HostEvent, Lane, LaneSet, Lease, LeaseRequest, Outbox,
    OutboxEntry, OutboxPayload, RANGES, Settlement, Verdict,
};
use crate::time::ManualClock;
use crate::{CustomerId, Error, ErrorKind, Event, InteractionStore};

const TTL: Duration = Duration::from_secs(10);

async fn lease(outbox: &dyn Outbox, owner: &str, max_ranges: u16) -> (Vec<Lease>, u16) {
    let request = LeaseRequest {
        lane: Lane::Publish,
        owner: owner.to_owned(),
        ttl: TTL,
        max_ranges,
        destination: Destination::unnamed(),
    };
    let leased = outbox.lease(request).await.unwrap();
    (leased.leases, leased.owners)
}

async fn fetch(outbox: &dyn Outbox, leases: &[Lease]) -> Result<Vec<OutboxEntry>, Error> {
    let from = |lease: &Lease| FetchFrom::all(lease.clone());
    outbox.fetch(leases.iter().map(from).collect(), 100).await
}

fn verdict(entry: &OutboxEntry, verdict: Verdict) -> Settlement {
    Settlement {
        range: entry.range,
        position: entry.position,
        verdict,
    }
}

/// A store that publishes, with two events of one customer waiting.
async fn publishing() -> (MemoryStore, ManualClock) {
    let clock = ManualClock::at(noon());
    let options = MemoryOptions::default().with_clock(clock.clone());
    let store = MemoryPlace::new(options.with_lanes(LaneSet::of(&[Lane::Publish]))).open();
    store.record_event(event("a")).await.unwrap();
    store.record_event(event("b")).await.unwrap();
    (store, clock)
}

#[tokio::test]
async fn ranges_are_shared_renewed_given_back_and_taken_over_with_higher_tokens() {
    let (store, clock) = publishing().await;
    let outbox = store.outbox().unwrap();
    let (all, owners) = lease(&*outbox, "one", u16::MAX).await;
    assert_eq!((all.len(), owners), (usize::from(RANGES), 1));
    let (none, owners) = lease(&*outbox, "two", 32).await;
    assert_eq!((none.len(), owners), (0, 2));
    let (half, _) = lease(&*outbox, "one", 32).await;
    assert!(
        half.iter()
            .all(|lease| all.iter().any(|first| first.token == lease.token))
    );
    let (other, _) = lease(&*outbox, "two", 32).await;
    assert_eq!((half.len(), other.len()), (32, 32));
    assert!(
        other
            .iter()
            .all(|lease| all.iter().all(|first| first.token < lease.token))
    );
    // What was given back is fenced, what was kept is not.
    assert_eq!(fetch(&*outbox, &all).await.unwrap_err().kind(), ErrorKind::Fenced);
    assert!(fetch(&*outbox, &half).await.is_ok());
    clock.advance(TimeDelta::seconds(10));
    assert_eq!(
        fetch(&*outbox, &half).await.unwrap_err().kind(),
        ErrorKind::Fenced
    );
    let (renewed, owners) = lease(&*outbox, "one", 32).await;
    assert_eq!((renewed.len(), owners), (32, 1));
    assert_eq!(renewed.len(), half.len());
    assert!(
        fetch(&*outbox, &half).await.is_ok(),
        "an expired lease that nobody took is renewed"
    );
}

#[tokio::test]
async fn entries_come_in_order_and_are_settled_all_or_none() {
    let (store, _) = publishing().await;
    let outbox = store.outbox().unwrap();
    let (leases, _) = lease(&*outbox, "one", RANGES).await;
    let entries = fetch(&*outbox, &leases).await.unwrap();
    let ids: Vec<&str> = entries
        .iter()
        .filter_map(|entry| match &entry.payload {
            OutboxPayload::Interaction(interaction) => Some(interaction.id.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(ids, ["id-of-a", "id-of-b"]);
    let delivered = || vec![verdict(&entries[0], Verdict::Delivered)];
    let mut lost = leases.clone();
    lost.iter_mut().for_each(|lease| lease.token += 1_000);
    for wrong in [&lost[..], &[]] {
        let error = outbox.settle(wrong, delivered()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Fenced);
    }
    assert_eq!(outbox.status(Lane::Publish).await.unwrap().backlog, 2);
    outbox.settle(&leases, delivered()).await.unwrap();
    outbox.settle(&leases, delivered()).await.unwrap();
    let in_hand = FetchFrom::but(
        leases[usize::from(entries[1].range)].clone(),
        vec![entries[1].position],
    );
    assert!(outbox.fetch(vec![in_hand], 10).await.unwrap().is_empty());
    assert_eq!(fetch(&*outbox, &leases).await.unwrap(), entries[1..]);
}

#[tokio::test]
async fn what_is_poisoned_is_listed_counted_replayed_and_erased() {
    let (store, _) = publishing().await;
    let outbox = store.outbox().unwrap();
    let (leases, _) = lease(&*outbox, "one", RANGES).await;
    let entries = fetch(&*outbox, &leases).await.unwrap();
    let poisoned = |entry| verdict(entry, Verdict::Poisoned("too large".to_owned()));
    let settlements = entries.iter().map(poisoned).collect();
    outbox.settle(&leases, settlements).await.unwrap();
    let status = outbox.status(Lane::Publish).await.unwrap();
    assert_eq!(
        (status.backlog, status.dead_letters, status.is_empty()),
        (0, 2, false)
    );
    let mut query = DeadLetterQuery::new(Lane::Publish);
    query.limit = 1;
    let first = outbox.dead_letters(query.clone()).await.unwrap();
    assert_eq!(first.items[0].reason, "too large");
    query.cursor = first.next;
    let second = outbox.dead_letters(query).await.unwrap();
    assert_eq!((second.items.len(), second.next), (1, None));
    let id = first.next.unwrap();
    assert_eq!(outbox.replay(Lane::Publish, vec![id, id]).await.unwrap(), 1);
    let back = fetch(&*outbox, &leases).await.unwrap();
    assert!(back[0].position > entries[1].position);
    outbox.release(leases).await.unwrap();
    let receipt = store.erase_customer(erasure("1")).await.unwrap();
    assert_eq!(receipt.deleted["outbox"], 2);
    assert!(outbox.status(Lane::Publish).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_hosts_own_events_are_written_whatever_lanes_are_in_force() {
    let (store, _) = store();
    let outbox = store.outbox().unwrap();
    let own = |customer: Option<CustomerId>| HostEvent {
        tenant: tenant(),
        customer,
        event: Event::new("model.updated.v1", &7).unwrap(),
    };
    store.erase_customer(erasure("1")).await.unwrap();
    outbox.append(vec![own(Some(anna())), own(None)]).await.unwrap();
    let (leases, _) = lease(&*outbox, "one", RANGES).await;
    let entries = fetch(&*outbox, &leases).await.unwrap();
    let generations: Vec<u32> = entries.iter().map(|entry| entry.generation.0).collect();
    assert_eq!(generations, [1, 0]);
    outbox.release(leases).await.unwrap();
    store.erase_customer(erasure("2")).await.unwrap();
    assert_eq!(outbox.status(Lane::Publish).await.unwrap().backlog, 1);
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_with_a_write_a_disconnect_or_its_time() {
    let (store, _) = publishing().await;
    let outbox = store.outbox().unwrap();
    let hour = Duration::from_secs(3_600);
    let seen = outbox.wait(Lane::Publish, 0, hour).await.unwrap();
    assert_ne!(seen, 0, "something was written before");
    assert_eq!(outbox.wait(Lane::Publish, seen, hour).await.unwrap(), seen);
    let begun = tokio::time::Instant::now();
    let write = store.record_event(event("c"));
    let (woken, written) = tokio::join!(outbox.wait(Lane::Publish, seen, hour), write);
    assert!(woken.unwrap() != seen && written.unwrap().is_new());
    let waits = outbox.wait(Lane::Archive, 0, hour);
    let (woken, _) = tokio::join!(waits, store.disconnect());
    assert_eq!(woken.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

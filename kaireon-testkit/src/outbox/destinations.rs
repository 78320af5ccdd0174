//! A lane leads to one destination at a time, whatever its relays are configured for.

use std::sync::Arc;
use std::time::Duration;

use kaireon_core::outbox::{Destination, Lane, Lease, LeaseRequest, Leased, RANGES, Verdict};
use kaireon_core::{ErrorKind, Outbox};

use super::{TTL, fetch, host_event, ids, settled};
use crate::StoreFixture;
use crate::world::{Need, World};

/// Short enough to wait for on a real clock.
const SHORT: Duration = Duration::from_millis(400);

/// Long enough to look before it ends.
const HOLD: Duration = Duration::from_millis(1_500);

async fn ask(outbox: &Arc<dyn Outbox>, owner: &str, destination: Destination, ttl: Duration) -> Leased {
    let request = LeaseRequest {
        lane: Lane::Publish,
        owner: owner.to_owned(),
        ttl,
        max_ranges: RANGES,
        destination,
    };
    outbox.lease(request).await.unwrap()
}

fn held(name: &str) -> Destination {
    Destination {
        hold: HOLD,
        ..Destination::shared(name)
    }
}

async fn loses(world: &World<'_>, outbox: &Arc<dyn Outbox>, lost: &[Lease], entry: &str) {
    world.refused(fetch(outbox, lost, 10).await, ErrorKind::Fenced);
    let status = outbox.status(Lane::Publish).await.unwrap();
    assert_eq!((status.backlog, status.destination.as_deref()), (1, Some(entry)));
}

/// Who delivers to another place gets no range, is told where the lane leads, and is not counted.
pub async fn a_lane_leads_to_one_destination_at_a_time(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Outbox]).await {
        return;
    }
    let (outbox, other) = (world.outbox(), world.second_handle().await.outbox().unwrap());
    let status = outbox.status(Lane::Publish).await.unwrap();
    assert_eq!((status.relays, status.destination), (0, None));
    let event = host_event(&world, Some("anna"), "e");
    outbox.append(vec![event]).await.unwrap();
    let first = ask(&outbox, "first", held("one"), TTL).await;
    assert_eq!((first.leases.len(), first.owners, first.refused), (64, 1, None));
    for (owner, destination) in [
        ("second", held("two")),
        ("third", Destination::process("three")),
        ("fourth", Destination::unnamed()),
    ] {
        for outbox in [&outbox, &other] {
            let refused = ask(outbox, owner, destination.clone(), TTL).await;
            assert_eq!((refused.leases.len(), refused.owners), (0, 1), "{owner}");
            assert_eq!(refused.refused.as_deref(), Some("one"), "{owner}");
        }
    }
    let status = other.status(Lane::Publish).await.unwrap();
    assert_eq!((status.relays, status.destination.as_deref()), (1, Some("one")));
    // Who delivers to the same place shares the work.
    let fifth = ask(&other, "fifth", held("one"), TTL).await;
    assert_eq!((fifth.leases.len(), fifth.owners, fifth.refused), (0, 2, None));
    assert_eq!(ids(&fetch(&outbox, &first.leases, 10).await.unwrap()), ["e"]);
    // Each lane leads where it leads.
    let request = LeaseRequest {
        lane: Lane::Archive,
        owner: "second".to_owned(),
        ttl: TTL,
        max_ranges: RANGES,
        destination: held("two"),
    };
    assert_eq!(other.lease(request.clone()).await.unwrap().leases.len(), 64);
    for wrong in [String::new(), "x".repeat(257), "a\nb".to_owned()] {
        let request = LeaseRequest {
            destination: Destination::shared(wrong),
            ..request.clone()
        };
        let error = world.refused(other.lease(request).await, ErrorKind::InvalidInput);
        assert_eq!(error.field(), Some("destination"));
    }
}

/// The lane stays a destination's for its hold after its last relay, and is another's then; what waits is told there.
pub async fn a_lane_is_left_to_another_destination_when_its_relays_are_gone_for_its_hold(
    fixture: &dyn StoreFixture,
) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Outbox]).await {
        return;
    }
    let (outbox, other) = (world.outbox(), world.second_handle().await.outbox().unwrap());
    let event = host_event(&world, Some("anna"), "e");
    outbox.append(vec![event]).await.unwrap();
    let first = ask(&outbox, "first", held("one"), SHORT).await.leases;
    world.pass(SHORT + SHORT / 2).await;
    // Nobody is left, but somebody may come back.
    let refused = ask(&other, "second", held("two"), TTL).await;
    assert_eq!((refused.owners, refused.refused.as_deref()), (0, Some("one")));
    let back = ask(&outbox, "third", held("one"), SHORT).await;
    assert_eq!((back.leases.len(), back.refused), (64, None));
    outbox.release(back.leases).await.unwrap();
    let refused = ask(&other, "second", held("two"), TTL).await;
    assert_eq!(
        refused.refused.as_deref(),
        Some("one"),
        "also when it left in order"
    );
    world.pass(SHORT + HOLD + SHORT).await;
    let second = ask(&other, "second", held("two"), TTL).await;
    assert_eq!(
        (second.leases.len(), second.owners, second.refused),
        (64, 1, None)
    );
    loses(&world, &outbox, &first, "two").await;
    let late = ask(&outbox, "first", held("one"), TTL).await;
    assert_eq!(late.refused.as_deref(), Some("two"));
    assert_eq!(ids(&fetch(&other, &second.leases, 10).await.unwrap()), ["e"]);
}

/// A process's own subscribers get what is recorded while nobody else wants it, and no longer.
pub async fn a_destination_of_all_takes_the_lane_from_a_process_s_own(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Outbox]).await {
        return;
    }
    let (outbox, other) = (world.outbox(), world.second_handle().await.outbox().unwrap());
    let event = host_event(&world, Some("anna"), "e");
    outbox.append(vec![event]).await.unwrap();
    let process = |name: &str| Destination::process(name);
    let first = ask(&outbox, "first", process("1"), TTL).await.leases;
    let refused = ask(&other, "second", process("2"), TTL).await;
    assert_eq!(refused.refused.as_deref(), Some("1"));
    // A process that gives everything back leaves the lane at once.
    outbox.release(first).await.unwrap();
    let second = ask(&other, "second", process("2"), TTL).await.leases;
    let entries = fetch(&other, &second, 10).await.unwrap();
    assert_eq!((second.len(), entries.len()), (64, 1));
    let broker = ask(&outbox, "third", held("broker"), TTL).await;
    assert_eq!(
        (broker.leases.len(), broker.owners, broker.refused),
        (64, 1, None)
    );
    let late = vec![settled(&entries[0], Verdict::Delivered)];
    world.refused(other.settle(&second, late).await, ErrorKind::Fenced);
    loses(&world, &other, &second, "broker").await;
    let refused = ask(&other, "second", process("2"), TTL).await;
    assert_eq!(refused.refused.as_deref(), Some("broker"));
    assert_eq!(ids(&fetch(&outbox, &broker.leases, 10).await.unwrap()), ["e"]);
}

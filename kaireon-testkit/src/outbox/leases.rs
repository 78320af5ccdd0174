//! Ranges are leased: to one relay at a time, for a time, with a number that only grows.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kaireon_core::ErrorKind;
use kaireon_core::outbox::{Lane, Lease, RANGES, Verdict};

use super::{TTL, fetch, host_event, lease, lease_all, settled};
use crate::StoreFixture;
use crate::world::{Need, World, together};

/// Short enough to wait for on a real clock.
const SHORT: Duration = Duration::from_millis(400);

fn ranges(leases: &[Lease]) -> BTreeSet<u16> {
    leases.iter().map(|lease| lease.range).collect()
}

/// What one relay holds no other gets, also on another handle; each lane has leases of its own.
pub async fn a_range_is_leased_to_one_relay_at_a_time(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Outbox]).await {
        return;
    }
    let (outbox, other) = (world.outbox(), world.second_handle().await.outbox().unwrap());
    let first = lease(&outbox, Lane::Publish, "first", TTL, 40).await;
    assert_eq!(
        (first.leases.len(), ranges(&first.leases).len(), first.owners),
        (40, 40, 1)
    );
    assert!(
        first
            .leases
            .iter()
            .all(|lease| lease.lane == Lane::Publish && lease.range < RANGES)
    );
    let second = lease(&other, Lane::Publish, "second", TTL, RANGES).await;
    assert_eq!((second.leases.len(), second.owners), (24, 2));
    assert!(ranges(&first.leases).is_disjoint(&ranges(&second.leases)));
    let third = lease(&other, Lane::Publish, "third", TTL, RANGES).await;
    assert_eq!(
        (third.leases.len(), third.owners),
        (0, 3),
        "who asks in vain is counted"
    );
    assert_eq!(
        lease(&other, Lane::Archive, "second", TTL, RANGES)
            .await
            .leases
            .len(),
        usize::from(RANGES)
    );
}

/// A relay that asks for less gives the rest back, and another takes it.
pub async fn ranges_beyond_the_bound_are_given_back(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Outbox]).await {
        return;
    }
    let outbox = world.outbox();
    assert_eq!(
        lease_all(&outbox, Lane::Publish, "first").await.len(),
        usize::from(RANGES)
    );
    assert_eq!(
        lease(&outbox, Lane::Publish, "second", TTL, 32)
            .await
            .leases
            .len(),
        0
    );
    let first = lease(&outbox, Lane::Publish, "first", TTL, 32).await;
    assert_eq!((first.leases.len(), first.owners), (32, 2));
    let second = lease(&outbox, Lane::Publish, "second", TTL, 32).await;
    assert_eq!(second.leases.len(), 32);
    assert!(ranges(&first.leases).is_disjoint(&ranges(&second.leases)));
    assert!(
        fetch(&outbox, &first.leases, 10).await.is_ok() && fetch(&outbox, &second.leases, 10).await.is_ok()
    );
    assert_eq!(
        lease(&outbox, Lane::Publish, "first", TTL, 0).await.leases.len(),
        0
    );
}

/// A lease that was not renewed in time is another's to take, under a higher number.
pub async fn a_lease_expires_and_its_number_grows(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Outbox]).await {
        return;
    }
    let outbox = world.outbox();
    outbox
        .append(vec![host_event(&world, Some("anna"), "e")])
        .await
        .unwrap();
    let first = lease(&outbox, Lane::Publish, "first", SHORT, RANGES).await.leases;
    let entries = fetch(&outbox, &first, 10).await.unwrap();
    assert_eq!(entries.len(), 1);
    world.pass(SHORT + Duration::from_millis(100)).await;
    let second = lease_all(&outbox, Lane::Publish, "second").await;
    assert_eq!(second.len(), usize::from(RANGES), "expired ranges are taken");
    for lease in &second {
        let before = first
            .iter()
            .find(|before| before.range == lease.range)
            .expect("all were held");
        assert!(lease.token > before.token, "each new holder gets a higher number");
    }
    // The first comes back, and finds that it has lost them.
    world.refused(fetch(&outbox, &first, 10).await, ErrorKind::Fenced);
    let settlements = vec![settled(&entries[0], Verdict::Delivered)];
    world.refused(outbox.settle(&first, settlements).await, ErrorKind::Fenced);
    assert_eq!(
        fetch(&outbox, &second, 10).await.unwrap(),
        entries,
        "what was not settled is delivered again"
    );
}

/// Renewing keeps a lease beyond its first end.
pub async fn a_renewed_lease_is_kept(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Outbox]).await {
        return;
    }
    let outbox = world.outbox();
    let first = lease(&outbox, Lane::Publish, "first", SHORT, 10).await.leases;
    for _ in 0..4 {
        world.pass(SHORT / 2).await;
        let renewed = lease(&outbox, Lane::Publish, "first", SHORT, 10).await.leases;
        assert_eq!(ranges(&renewed), ranges(&first), "the same ranges are renewed");
        assert!(fetch(&outbox, &renewed, 10).await.is_ok());
    }
    assert!(
        fetch(&outbox, &first, 10).await.is_ok(),
        "a renewed lease keeps its number"
    );
    let second = lease_all(&outbox, Lane::Publish, "second").await;
    assert!(ranges(&first).is_disjoint(&ranges(&second)));
}

/// A relay that comes too late, and finds that nobody was quicker, goes on as if it had not been late: what it has
/// delivered meanwhile it settles.
pub async fn an_expired_lease_that_nobody_took_keeps_its_number(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Outbox]).await {
        return;
    }
    let (outbox, other) = (world.outbox(), world.second_handle().await.outbox().unwrap());
    outbox
        .append(vec![host_event(&world, Some("anna"), "e")])
        .await
        .unwrap();
    let first = lease(&outbox, Lane::Publish, "first", SHORT, RANGES).await.leases;
    let entries = fetch(&outbox, &first, 10).await.unwrap();
    assert_eq!(entries.len(), 1);
    world.pass(SHORT + Duration::from_millis(100)).await;
    let settlements = vec![settled(&entries[0], Verdict::Delivered)];
    world.refused(
        outbox.settle(&first, settlements.clone()).await,
        ErrorKind::Fenced,
    );
    // Who asks in between takes what it asked for, and no more.
    let second = lease(&other, Lane::Publish, "second", TTL, 10).await.leases;
    assert_eq!(second.len(), 10);
    let again = lease(&outbox, Lane::Publish, "first", TTL, RANGES).await.leases;
    assert_eq!(again.len(), usize::from(RANGES) - 10);
    let held = |lease: &Lease| {
        let mut first = first.iter();
        first.any(|held| (held.range, held.token) == (lease.range, lease.token))
    };
    assert!(again.iter().all(held), "what nobody took keeps its number");
    assert!(!second.iter().any(held), "what was taken has another one");
    // The rest comes back under higher numbers.
    other.release(second.clone()).await.unwrap();
    let rest = lease(&outbox, Lane::Publish, "first", TTL, RANGES).await.leases;
    for lease in rest.iter().filter(|lease| ranges(&second).contains(&lease.range)) {
        let mut taken = second.iter();
        assert!(taken.any(|taken| taken.range == lease.range && taken.token < lease.token));
    }
    assert_eq!(rest.len(), usize::from(RANGES));
    outbox.settle(&rest, settlements).await.unwrap();
    assert_eq!(fetch(&outbox, &rest, 10).await.unwrap(), []);
}

/// A released lease is free at once; releasing what was lost does nothing.
pub async fn a_released_lease_is_free_at_once(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Outbox]).await {
        return;
    }
    let outbox = world.outbox();
    let first = lease_all(&outbox, Lane::Publish, "first").await;
    outbox.release(first.clone()).await.unwrap();
    world.refused(fetch(&outbox, &first, 10).await, ErrorKind::Fenced);
    let second = lease_all(&outbox, Lane::Publish, "second").await;
    assert_eq!(second.len(), usize::from(RANGES));
    outbox.release(first).await.unwrap();
    outbox.release(Vec::new()).await.unwrap();
    assert!(
        fetch(&outbox, &second, 10).await.is_ok(),
        "another's lease is not released"
    );
}

/// Relays that ask at the same time never share a range.
pub async fn concurrent_requests_never_share_a_range(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Outbox]).await {
        return;
    }
    let outboxes = [world.outbox(), world.second_handle().await.outbox().unwrap()];
    let ask = |n: usize| {
        let outbox = Arc::clone(&outboxes[n % 2]);
        async move {
            let mut held = Vec::new();
            for most in [3, 20, 10, 9] {
                held = lease(&outbox, Lane::Publish, &format!("relay-{n}"), TTL, most)
                    .await
                    .leases;
                assert!(held.len() <= usize::from(most));
            }
            held
        }
    };
    let held = together((0..8).map(ask)).await;
    let all: Vec<u16> = held.iter().flatten().map(|lease| lease.range).collect();
    assert_eq!(
        all.iter().collect::<BTreeSet<_>>().len(),
        all.len(),
        "no range has two holders"
    );
    assert!(all.len() >= 8, "and none goes without");
}

/// A relay that leaves in order takes its share of the count with it, so that the others take over all of its ranges.
pub async fn who_has_given_back_every_range_is_no_longer_counted(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Outbox]).await {
        return;
    }
    let (outbox, other) = (world.outbox(), world.second_handle().await.outbox().unwrap());
    let mut first = lease(&outbox, Lane::Publish, "first", TTL, 32).await.leases;
    assert_eq!(lease(&other, Lane::Publish, "second", TTL, 32).await.owners, 2);
    let last = first.split_off(31);
    outbox.release(first).await.unwrap();
    assert_eq!(
        lease(&other, Lane::Publish, "second", TTL, 32).await.owners,
        2,
        "it holds one still"
    );
    outbox.release(last).await.unwrap();
    let second = lease(&other, Lane::Publish, "second", TTL, RANGES).await;
    assert_eq!((second.owners, second.leases.len()), (1, usize::from(RANGES)));
    assert_eq!(other.status(Lane::Publish).await.unwrap().relays, 1);
    // It may come again.
    assert_eq!(lease(&outbox, Lane::Publish, "first", TTL, 1).await.owners, 2);
}

//! Fetching and settling: in order, idempotent, and only under a lease that is still held.

use kaireon_core::ErrorKind;
use kaireon_core::outbox::{FetchFrom, Lane, LaneSet, OutboxEntry, Position, Verdict};

use super::{fetch, host_event, ids, lease, lease_all, settled};
use crate::StoreFixture;
use crate::world::{Built, Need, World, noon};

/// Settled entries are gone for good; settling them again does nothing.
pub async fn settled_entries_are_gone_and_settling_again_does_nothing(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Outbox]).await {
        return;
    }
    let outbox = world.outbox();
    outbox.set_lanes(LaneSet::of(&[Lane::Publish])).await.unwrap();
    for n in 0..6 {
        world.record(&world.event(&format!("c{}", n % 3)).built()).await;
    }
    let leases = lease_all(&outbox, Lane::Publish, "relay").await;
    let entries = fetch(&outbox, &leases, 100).await.unwrap();
    assert_eq!(
        fetch(&outbox, &leases, 100).await.unwrap(),
        entries,
        "fetching takes nothing away"
    );
    let delivered = || {
        entries[..4]
            .iter()
            .map(|entry| settled(entry, Verdict::Delivered))
            .collect::<Vec<_>>()
    };
    for _ in 0..3 {
        outbox.settle(&leases, delivered()).await.unwrap();
        let mut left = ids(&fetch(&outbox, &leases, 100).await.unwrap());
        let mut expected = ids(&entries[4..]);
        left.sort();
        expected.sort();
        assert_eq!(left, expected);
    }
    // An entry that is gone cannot be poisoned any more.
    let poisoned = vec![settled(&entries[0], Verdict::Poisoned("late".into()))];
    outbox.settle(&leases, poisoned).await.unwrap();
    let status = outbox.status(Lane::Publish).await.unwrap();
    assert_eq!((status.backlog, status.dead_letters), (2, 0));
    outbox.settle(&leases, Vec::new()).await.unwrap();
}

/// Where one range is not covered, nothing is settled.
pub async fn what_no_lease_covers_is_not_settled(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Outbox]).await {
        return;
    }
    let outbox = world.outbox();
    outbox
        .append(
            (0..20)
                .map(|n| host_event(&world, Some(&format!("c{n}")), &format!("e{n}")))
                .collect(),
        )
        .await
        .unwrap();
    let leases = lease_all(&outbox, Lane::Publish, "relay").await;
    let entries = fetch(&outbox, &leases, 100).await.unwrap();
    let delivered = || {
        entries
            .iter()
            .map(|entry| settled(entry, Verdict::Delivered))
            .collect::<Vec<_>>()
    };
    let but_one: Vec<_> = leases
        .iter()
        .filter(|lease| lease.range != entries[7].range)
        .cloned()
        .collect();
    world.refused(outbox.settle(&but_one, delivered()).await, ErrorKind::Fenced);
    world.refused(outbox.settle(&[], delivered()).await, ErrorKind::Fenced);
    assert_eq!(
        fetch(&outbox, &leases, 100).await.unwrap(),
        entries,
        "nothing was settled"
    );
}

/// A relay that lost one range to another settles nothing of a call that names it.
pub async fn a_relay_that_lost_a_range_settles_nothing(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Outbox]).await {
        return;
    }
    let outbox = world.outbox();
    outbox
        .append(
            (0..20)
                .map(|n| host_event(&world, Some(&format!("c{n}")), &format!("e{n}")))
                .collect(),
        )
        .await
        .unwrap();
    let leases = lease_all(&outbox, Lane::Publish, "first").await;
    let entries = fetch(&outbox, &leases, 100).await.unwrap();
    let lost: Vec<_> = leases
        .iter()
        .filter(|lease| lease.range == entries[3].range)
        .cloned()
        .collect();
    outbox.release(lost).await.unwrap();
    let second = lease(&outbox, Lane::Publish, "second", super::TTL, 1)
        .await
        .leases;
    assert_eq!((second.len(), second[0].range), (1, entries[3].range));
    let delivered = entries
        .iter()
        .map(|entry| settled(entry, Verdict::Delivered))
        .collect();
    world.refused(outbox.settle(&leases, delivered).await, ErrorKind::Fenced);
    assert_eq!(
        outbox.status(Lane::Publish).await.unwrap().backlog,
        20,
        "all or none is settled"
    );
    // Of what it still holds, it may settle.
    let kept = entries.iter().filter(|entry| entry.range != entries[3].range);
    let kept: Vec<_> = kept.map(|entry| settled(entry, Verdict::Delivered)).collect();
    let left = 20 - kept.len() as u64;
    outbox.settle(&leases, kept).await.unwrap();
    assert_eq!(outbox.status(Lane::Publish).await.unwrap().backlog, left);
}

/// Entries come in the order of their positions, up to the limit, and all but what the caller has in flight: also what
/// lies before that.
pub async fn fetch_returns_the_oldest_in_order_but_what_is_in_flight(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Outbox]).await {
        return;
    }
    let outbox = world.outbox();
    outbox.set_lanes(LaneSet::of(&[Lane::Publish])).await.unwrap();
    let id = |n: i64| format!("{:02}", (n * 7) % 30);
    for n in 0..30 {
        world
            .record(&world.event("anna").id(id(n)).timestamp(noon(-n)).built())
            .await;
    }
    let leases = lease_all(&outbox, Lane::Publish, "relay").await;
    let all = fetch(&outbox, &leases, 100).await.unwrap();
    assert_eq!(ids(&all), (0..30).map(id).collect::<Vec<_>>());
    assert!(all.windows(2).all(|pair| pair[0].position < pair[1].position));
    let lease = leases
        .iter()
        .find(|lease| lease.range == all[0].range)
        .unwrap()
        .clone();
    let but = async |in_flight: Vec<Position>, limit| {
        let lease = lease.clone();
        let from = vec![FetchFrom::but(lease, in_flight)];
        outbox.fetch(from, limit).await.unwrap()
    };
    let mut in_flight = Vec::new();
    let mut found = Vec::new();
    loop {
        let page = but(in_flight.clone(), 7).await;
        assert!(page.len() <= 7);
        if page.is_empty() {
            break;
        }
        in_flight.extend(page.iter().map(|entry| entry.position));
        found.extend(page);
    }
    assert_eq!(found, all, "page by page it is the same");
    let (odd, even): (Vec<_>, Vec<_>) = all.iter().cloned().enumerate().partition(|(n, _)| n % 2 == 1);
    let odd = odd.into_iter().map(|(_, entry)| entry.position);
    let even: Vec<OutboxEntry> = even.into_iter().map(|(_, entry)| entry).collect();
    assert_eq!(but(odd.collect(), 100).await, even, "whatever else waits comes");
    assert_eq!(
        but(Vec::new(), 100).await,
        all,
        "what is in hand no more comes again"
    );
    let elsewhere: Vec<_> = leases
        .iter()
        .filter(|other| other.range != lease.range)
        .cloned()
        .collect();
    assert_eq!(
        fetch(&outbox, &elsewhere, 100).await.unwrap(),
        [],
        "entries of ranges that were not named do not come"
    );
    assert_eq!(outbox.fetch(Vec::new(), 10).await.unwrap(), []);
}

/// Whoever reads a whole lane page by page reads on behind the last page, past what it left there, and from the beginning
/// when it asks for that; what it has in hand besides is passed over.
pub async fn fetch_goes_on_behind_a_position(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Outbox]).await {
        return;
    }
    let outbox = world.outbox();
    let events = (0..30).map(|n| host_event(&world, Some("anna"), &format!("e{n}")));
    outbox.append(events.collect()).await.unwrap();
    let leases = lease_all(&outbox, Lane::Publish, "pager").await;
    // The whole is read by another handle, so that the pager's has no memory of it at first.
    let other = world.second_handle().await.outbox().unwrap();
    let all = fetch(&other, &leases, 100).await.unwrap();
    assert_eq!(all.len(), 30);
    let lease = leases
        .iter()
        .find(|lease| lease.range == all[0].range)
        .unwrap()
        .clone();
    let read = async |after: Option<usize>, in_flight: &[usize], limit| {
        let from = FetchFrom {
            lease: lease.clone(),
            after: after.map(|n| all[n].position),
            in_flight: in_flight.iter().map(|n| all[*n].position).collect(),
        };
        outbox.fetch(vec![from], limit).await.unwrap()
    };
    assert_eq!(
        read(Some(19), &[], 5).await,
        all[20..25],
        "past what was never read"
    );
    assert_eq!(
        read(Some(9), &[10, 11, 13], 2).await,
        [all[12].clone(), all[14].clone()]
    );
    let most: Vec<usize> = (11..29).collect();
    assert_eq!(
        read(Some(10), &most, 1).await,
        all[29..],
        "however much is in hand"
    );
    for _ in 0..2 {
        let mut found: Vec<OutboxEntry> = Vec::new();
        while found.len() < all.len() {
            let page = read(found.len().checked_sub(1), &[], 7).await;
            assert_eq!(
                page,
                all[found.len()..(found.len() + 7).min(30)],
                "page by page, and again"
            );
            found.extend(page);
        }
        assert_eq!(read(Some(29), &[], 7).await, [], "nothing lies behind the last");
    }
    assert_eq!(
        read(Some(10), &most, 1).await,
        all[29..],
        "however much is in hand"
    );
    let some = all[..12].iter().map(|entry| settled(entry, Verdict::Delivered));
    outbox.settle(&leases, some.collect()).await.unwrap();
    assert_eq!(
        read(Some(9), &[13], 3).await,
        [all[12].clone(), all[14].clone(), all[15].clone()]
    );
    assert_eq!(read(None, &[], 100).await, all[12..]);
}

/// A relay that was stopped and comes back moves nothing aside of what is another's by now.
pub async fn a_relay_that_lost_a_range_moves_nothing_aside(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Outbox]).await {
        return;
    }
    let (outbox, other) = (world.outbox(), world.second_handle().await.outbox().unwrap());
    let events = (0..2).map(|n| host_event(&world, Some("anna"), &format!("e{n}")));
    outbox.append(events.collect()).await.unwrap();
    let first = lease_all(&outbox, Lane::Publish, "first").await;
    let entries = fetch(&outbox, &first, 10).await.unwrap();
    outbox.release(first.clone()).await.unwrap();
    let second = lease_all(&other, Lane::Publish, "second").await;
    let poisoned = || vec![settled(&entries[0], Verdict::Poisoned("too large".into()))];
    world.refused(outbox.settle(&first, poisoned()).await, ErrorKind::Fenced);
    let status = outbox.status(Lane::Publish).await.unwrap();
    assert_eq!((status.backlog, status.dead_letters), (2, 0));
    assert_eq!(fetch(&other, &second, 10).await.unwrap(), entries);
    other.settle(&second, poisoned()).await.unwrap();
    let status = outbox.status(Lane::Publish).await.unwrap();
    assert_eq!((status.backlog, status.dead_letters), (1, 1));
}

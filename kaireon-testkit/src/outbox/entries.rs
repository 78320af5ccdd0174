//! What is written into which lane, and in which order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kaireon_core::outbox::{Lane, LaneSet, OutboxPayload, TenantBacklog, range_of};
use kaireon_core::store::{Generation, RecordBatch};
use kaireon_core::{ErrorKind, OfferId, TenantId};

use super::{drain, fetch, host_event, ids, lease_all};
use crate::StoreFixture;
use crate::world::{Built, Need, World, noon, together};

/// A change of one lane leaves the others as whoever changes them at the same time has them.
pub async fn changes_of_different_lanes_do_not_undo_each_other(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Outbox]).await {
        return;
    }
    let outboxes = [world.outbox(), world.second_handle().await.outbox().unwrap()];
    let of = |lane| LaneSet::of(&[lane]);
    outboxes[0].set_lanes(of(Lane::Publish)).await.unwrap();
    let changed = outboxes[1]
        .change_lanes(of(Lane::Archive), of(Lane::Publish))
        .await;
    assert_eq!(changed.unwrap(), of(Lane::Archive));
    let both = outboxes[0]
        .change_lanes(LaneSet::of(&Lane::ALL), of(Lane::Archive))
        .await;
    assert_eq!(both.unwrap(), LaneSet::of(&[Lane::Publish, Lane::Replicate]));
    let nothing = outboxes[1].change_lanes(LaneSet::NONE, LaneSet::NONE).await;
    assert_eq!(nothing.unwrap(), LaneSet::of(&[Lane::Publish, Lane::Replicate]));
    for round in 0..20 {
        let change = |(n, lane): (usize, Lane)| {
            let outbox = Arc::clone(&outboxes[n % 2]);
            async move {
                let (on, off) = match (round + n).is_multiple_of(2) {
                    true => (of(lane), LaneSet::NONE),
                    false => (LaneSet::NONE, of(lane)),
                };
                outbox.change_lanes(on, off).await.unwrap();
                (lane, on.contains(lane))
            }
        };
        let changed = together(Lane::ALL.into_iter().enumerate().map(change)).await;
        let lanes = outboxes[0].lanes().await.unwrap();
        for (lane, is_on) in changed {
            assert_eq!(lanes.contains(lane), is_on, "{lane} in round {round}: {lanes:?}");
        }
    }
    // And records go by it.
    outboxes[1].set_lanes(LaneSet::NONE).await.unwrap();
    outboxes[0]
        .change_lanes(of(Lane::Archive), LaneSet::NONE)
        .await
        .unwrap();
    world.record(&world.event("anna").built()).await;
    for lane in Lane::ALL {
        let backlog = outboxes[0].status(lane).await.unwrap().backlog;
        assert_eq!(backlog, u64::from(lane == Lane::Archive), "{lane}");
    }
}

/// A record is written into exactly the lanes that were in force when its call began.
pub async fn records_are_written_into_exactly_the_lanes_in_force(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Outbox]).await {
        return;
    }
    let outbox = world.outbox();
    assert_eq!(
        outbox.lanes().await.unwrap(),
        LaneSet::NONE,
        "a new store tells nobody"
    );
    let sets = [
        &[][..],
        &[Lane::Publish],
        &[Lane::Archive, Lane::Replicate],
        &Lane::ALL,
        &[],
        &[Lane::Replicate],
    ];
    let mut expected = BTreeMap::new();
    for (n, set) in sets.into_iter().enumerate() {
        let lanes = LaneSet::of(set);
        outbox.set_lanes(lanes).await.unwrap();
        assert_eq!(
            world
                .second_handle()
                .await
                .outbox()
                .unwrap()
                .lanes()
                .await
                .unwrap(),
            lanes
        );
        world
            .record(&world.event("anna").id(format!("id-{n}")).built())
            .await;
        for &lane in set {
            expected
                .entry(lane)
                .or_insert_with(Vec::new)
                .push(format!("id-{n}"));
        }
        for lane in Lane::ALL {
            let waiting = outbox.status(lane).await.unwrap().backlog;
            assert_eq!(
                waiting,
                expected.get(&lane).map_or(0, Vec::len) as u64,
                "{lane} after {set:?}"
            );
        }
    }
    for lane in Lane::ALL {
        let mut found = ids(&drain(&outbox, lane, "relay").await);
        found.sort();
        assert_eq!(found, expected.remove(&lane).unwrap_or_default());
    }
}

/// The entry is there when the call returns, for single records, batches and decisions alike.
pub async fn an_entry_is_there_when_its_record_is_acknowledged(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Outbox]).await {
        return;
    }
    let outbox = world.outbox();
    outbox.set_lanes(LaneSet::of(&[Lane::Publish])).await.unwrap();
    let mut waiting = 0;
    for n in 0..6_u32 {
        let events: Vec<_> = (0..=n).map(|_| world.event(&format!("c{n}")).built()).collect();
        match n {
            0 => world.record(&events[0]).await,
            _ => world.record_all(&events).await,
        }
        waiting += u64::from(n) + 1;
        if world.can.decisions {
            world
                .store
                .record_decision(world.decision(&format!("r{n}"), "anna", n))
                .await
                .unwrap();
            waiting += 1;
        }
        assert_eq!(outbox.status(Lane::Publish).await.unwrap().backlog, waiting);
        let leases = lease_all(&outbox, Lane::Publish, "relay").await;
        assert_eq!(
            fetch(&outbox, &leases, 1_000).await.unwrap().len() as u64,
            waiting
        );
    }
}

/// What was not recorded is not told: duplicates, conflicts, refusals.
pub async fn duplicates_and_refusals_write_no_entry(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Outbox]).await {
        return;
    }
    let outbox = world.outbox();
    outbox.set_lanes(LaneSet::of(&Lane::ALL)).await.unwrap();
    let event = world.event("anna").id("only").built();
    world.record(&event).await;
    world.store.record_event(event.clone()).await.unwrap();
    let wrong = event
        .edited(|fields| fields.offer = OfferId::new("other").unwrap())
        .unwrap();
    world.refused(world.store.record_event(wrong.clone()).await, ErrorKind::Conflict);
    let outcome = world
        .store
        .record_events(RecordBatch::live([event.clone(), wrong, event]))
        .await
        .unwrap();
    assert!(!outcome.is_complete());
    for lane in Lane::ALL {
        assert_eq!(ids(&drain(&outbox, lane, "relay").await), ["only"], "{lane}");
    }
}

/// An entry holds the record as it was accepted, in the range that follows from its customer.
pub async fn an_entry_holds_its_record_as_it_was_accepted(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Outbox]).await {
        return;
    }
    let outbox = world.outbox();
    outbox.set_lanes(LaneSet::of(&Lane::ALL)).await.unwrap();
    let event = world
        .event("anna")
        .campaign("c")
        .rank(3)
        .value("1.25".parse().unwrap())
        .attributes(serde_json::json!({ "a": world.mark("b") }));
    let event = event.built();
    world.record(&event).await;
    for lane in Lane::ALL {
        let entries = drain(&outbox, lane, "relay").await;
        let [entry] = &entries[..] else {
            panic!("{lane} tells it once")
        };
        assert_eq!(entry.payload, OutboxPayload::Interaction(event.clone()));
        assert_eq!(
            (entry.lane, entry.generation, &entry.tenant),
            (lane, Generation::ZERO, &event.tenant)
        );
        assert_eq!(entry.range, range_of(&event.tenant, event.customer.as_str()));
        assert_eq!(
            entry.to_event().envelope(),
            kaireon_core::Event::interaction_recorded(&event).envelope()
        );
    }
    if world.can.decisions {
        let decision = world.decision("r", "anna", 4);
        world.store.record_decision(decision.clone()).await.unwrap();
        let entries = drain(&outbox, Lane::Publish, "relay").await;
        assert_eq!(entries[0].payload, OutboxPayload::Decision(decision.clone()));
        assert_eq!(
            entries[0].range,
            range_of(&decision.tenant, decision.customer.as_str())
        );
    }
}

/// A before B of one customer, when A was acknowledged before B was called, whatever kind each is.
pub async fn entries_of_a_customer_keep_the_order_of_their_acknowledgements(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Outbox]).await {
        return;
    }
    let outbox = world.outbox();
    outbox.set_lanes(LaneSet::of(&[Lane::Publish])).await.unwrap();
    let other = world.second_handle().await;
    let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for n in 0..60_i64 {
        let name = format!("c{}", n % 4);
        let told = expected.entry(world.mark(&name)).or_default();
        // Neither ids nor timestamps grow.
        let id = format!("{:03}", (n * 37) % 101);
        let event = |id: String| world.event(&name).id(id).timestamp(noon(-n)).built();
        match n % 5 {
            0 => world.record(&event(id.clone())).await,
            1 => drop(other.record_event(event(id.clone())).await.unwrap()),
            2 => {
                world
                    .record_all(&[event(format!("{id}-b")), event(format!("{id}-a"))])
                    .await;
                told.push(format!("{id}-b"));
                told.push(format!("{id}-a"));
                continue;
            }
            3 if world.can.decisions => {
                world
                    .store
                    .record_decision(world.decision(&id, &name, 1))
                    .await
                    .unwrap();
            }
            _ => outbox
                .append(vec![host_event(&world, Some(&name), &id)])
                .await
                .unwrap(),
        }
        told.push(id);
    }
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in drain(&outbox, Lane::Publish, "relay").await {
        let customer = entry
            .customer()
            .expect("all of these have a customer")
            .to_string();
        found
            .entry(customer)
            .or_default()
            .push(entry.to_event().id().to_owned());
    }
    assert_eq!(found, expected);
}

/// Customers that write at the same time each keep their order.
pub async fn concurrent_customers_each_keep_their_order(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Outbox]).await {
        return;
    }
    let outbox = world.outbox();
    outbox.set_lanes(LaneSet::of(&[Lane::Publish])).await.unwrap();
    let writer = |task: i64| {
        let store = Arc::clone(&world.store);
        let event = |n: i64| {
            world
                .event(&format!("c{task}"))
                .id(format!("{task}-{n}"))
                .timestamp(noon(-n))
                .built()
        };
        let events: Vec<_> = (0..25).map(event).collect();
        async move {
            for event in events {
                store.record_event(event).await.unwrap();
            }
        }
    };
    together((0..8).map(writer)).await;
    let found = ids(&drain(&outbox, Lane::Publish, "relay").await);
    for task in 0..8 {
        let mine: Vec<_> = found
            .iter()
            .filter(|id| id.starts_with(&format!("{task}-")))
            .cloned()
            .collect();
        let expected: Vec<_> = (0..25).map(|n| format!("{task}-{n}")).collect();
        assert_eq!(mine, expected, "customer {task}");
    }
}

/// Events of the host's own go out whether or not the lane is in force, all of a call, in order.
pub async fn host_events_are_appended_in_order_whatever_lanes_are_in_force(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Outbox]).await {
        return;
    }
    let outbox = world.outbox();
    outbox.append(Vec::new()).await.unwrap();
    let keyed = |id: &str| {
        let mut host = host_event(&world, None, id);
        host.event = host.event.with_key("model-7").unwrap();
        host
    };
    outbox
        .append((0..20).map(|n| keyed(&format!("m{n}"))).collect())
        .await
        .unwrap();
    outbox
        .append(
            (0..5)
                .map(|n| host_event(&world, Some("anna"), &format!("a{n}")))
                .collect(),
        )
        .await
        .unwrap();
    outbox.append(vec![keyed("m20")]).await.unwrap();
    assert_eq!(outbox.status(Lane::Publish).await.unwrap().backlog, 26);
    assert_eq!(outbox.status(Lane::Archive).await.unwrap().backlog, 0);
    let entries = drain(&outbox, Lane::Publish, "relay").await;
    let of = |letter: char| -> Vec<String> {
        ids(&entries)
            .into_iter()
            .filter(|id| id.starts_with(letter))
            .collect()
    };
    assert_eq!(of('m'), (0..=20).map(|n| format!("m{n}")).collect::<Vec<_>>());
    assert_eq!(of('a'), (0..5).map(|n| format!("a{n}")).collect::<Vec<_>>());
    let sent = keyed("m3");
    let found = entries
        .iter()
        .find(|entry| entry.to_event().id() == "m3")
        .expect("it was appended");
    assert_eq!(found.range, range_of(&world.tenant, "model-7"));
    let event = found.to_event();
    assert_eq!(
        (event.event_type(), event.key()),
        (sent.event.event_type(), Some("model-7"))
    );
    assert_eq!(
        event.payload::<serde_json::Value>().unwrap(),
        serde_json::json!({ "model": "m3" })
    );
}

/// A status counts what waits and says since when; a lane that was never written is empty.
pub async fn a_status_counts_what_waits_and_since_when(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Outbox]).await {
        return;
    }
    let outbox = world.outbox();
    for lane in Lane::ALL {
        let status = outbox.status(lane).await.unwrap();
        assert!(status.is_empty() && status.oldest.is_none());
    }
    outbox.set_lanes(LaneSet::of(&[Lane::Publish])).await.unwrap();
    world.record(&world.event("anna").built()).await;
    let first = outbox.status(Lane::Publish).await.unwrap();
    assert_eq!((first.backlog, first.dead_letters), (1, 0));
    let since = first.oldest.expect("something waits");
    if let Some(clock) = fixture.clock() {
        assert_eq!(
            since,
            kaireon_core::time::Clock::now(&clock),
            "by the store's clock"
        );
    }
    world.pass(Duration::from_millis(50)).await;
    for n in 0..4 {
        world.record(&world.event(&format!("c{n}")).built()).await;
    }
    let second = outbox.status(Lane::Publish).await.unwrap();
    assert_eq!((second.backlog, second.oldest), (5, Some(since)));
    drain(&outbox, Lane::Publish, "relay").await;
    let last = outbox.status(Lane::Publish).await.unwrap();
    assert!(last.is_empty() && last.oldest.is_none());
}

/// What one tenant's records have left is counted by itself, what was moved aside as well, in the lane that is asked.
pub async fn a_tenants_backlog_is_its_own(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Outbox]).await {
        return;
    }
    let outbox = world.outbox();
    let nobody = TenantId::new(format!("{}-nobody", world.tenant)).unwrap();
    let none = TenantBacklog::default();
    assert_eq!(outbox.backlog(Lane::Publish, &nobody).await.unwrap(), none);
    outbox
        .set_lanes(LaneSet::of(&[Lane::Publish, Lane::Archive]))
        .await
        .unwrap();
    let other = TenantId::new(format!("{}-2", world.tenant)).unwrap();
    for n in 0..3 {
        world.record(&world.event(&format!("c{n}")).built()).await;
    }
    let moved = super::poison_all(&outbox, Lane::Publish).await;
    assert_eq!(moved.len(), 3);
    world.pass(Duration::from_millis(50)).await;
    let mut since = None;
    for n in 0..2 {
        world.record(&world.event(&format!("c{n}")).built()).await;
        since = since.or(outbox.status(Lane::Publish).await.unwrap().oldest);
        let theirs = world.event("anna").built();
        let theirs = theirs.edited(|fields| fields.tenant = other.clone()).unwrap();
        world.record(&theirs).await;
    }
    let backlog = outbox.backlog(Lane::Publish, &world.tenant).await.unwrap();
    assert_eq!(
        (backlog.waiting, backlog.oldest, backlog.dead_letters),
        (2, since, 3)
    );
    let backlog = outbox.backlog(Lane::Publish, &other).await.unwrap();
    assert_eq!((backlog.waiting, backlog.dead_letters), (2, 0));
    let backlog = outbox.backlog(Lane::Archive, &world.tenant).await.unwrap();
    assert_eq!((backlog.waiting, backlog.dead_letters), (5, 0));
    assert_eq!(
        outbox.backlog(Lane::Replicate, &world.tenant).await.unwrap(),
        none
    );
    drain(&outbox, Lane::Publish, "relay").await;
    let backlog = outbox.backlog(Lane::Publish, &world.tenant).await.unwrap();
    assert_eq!(
        (backlog.waiting, backlog.oldest, backlog.dead_letters),
        (0, None, 3)
    );
    assert!(!backlog.is_empty(), "what was moved aside was not delivered");
    assert!(outbox.backlog(Lane::Publish, &other).await.unwrap().is_empty());
}

/// Whoever waits by the count it was given misses no entry, and is not held longer than it asks.
pub async fn whoever_waits_misses_no_entry(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Outbox]).await {
        return;
    }
    let outbox = world.outbox();
    outbox.set_lanes(LaneSet::of(&[Lane::Publish])).await.unwrap();
    let wait = async |seen| {
        let waited = outbox.wait(Lane::Publish, seen, Duration::from_millis(40));
        tokio::time::timeout(Duration::from_secs(20), waited)
            .await
            .expect("a wait ends")
            .unwrap()
    };
    let quiet = wait(0).await;
    wait(quiet).await;
    let writer = async {
        for n in 0..30 {
            world
                .record(&world.event("anna").id(format!("{n}")).built())
                .await;
            tokio::time::sleep(Duration::from_millis(n % 4)).await;
        }
    };
    let reader = async {
        let (mut seen, mut found) = (quiet, Vec::new());
        while found.len() < 30 {
            seen = wait(seen).await;
            found.extend(ids(&drain(&outbox, Lane::Publish, "relay").await));
        }
        found
    };
    let (_, found) = tokio::join!(writer, reader);
    assert_eq!(found, (0..30).map(|n| n.to_string()).collect::<Vec<_>>());
}

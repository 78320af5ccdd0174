//! Erasure: when the receipt is given, no write that began before can appear, and nothing comes back.

use std::sync::Arc;
use std::time::Duration;

use kaireon_core::outbox::{Lane, LaneSet};
use kaireon_core::store::{Generation, RecordBatch, Recorded};
use kaireon_core::{CustomerId, ErrorKind};

use crate::StoreFixture;
use crate::outbox::drain;
use crate::world::{Built, Need, World, noon, together};

/// History, summaries and decisions are gone, and the receipt counts them; the neighbour's stay.
pub async fn an_erased_customer_is_gone_from_every_read(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Erasure]).await {
        return;
    }
    let events: Vec<_> = (0..5)
        .map(|n| world.event("anna").timestamp(noon(n * 86_400_000)).built())
        .collect();
    let neighbour = [world.event("ann").built()];
    world.record_all(&events).await;
    world.record_all(&neighbour).await;
    if world.can.decisions {
        for (id, customer) in [("r1", "anna"), ("r2", "anna"), ("r3", "ann")] {
            world
                .store
                .record_decision(world.decision(id, customer, 2))
                .await
                .unwrap();
        }
    }
    let receipt = world.erase("anna", "ticket-1").await;
    assert_eq!(
        (receipt.id.as_str(), receipt.generation),
        ("ticket-1", Generation(1))
    );
    let decisions = if world.can.decisions { 2 } else { 0 };
    for (place, count) in [("history", 5), ("decisions", decisions), ("outbox", 0)] {
        assert_eq!(
            receipt.deleted.get(place),
            Some(&count),
            "the receipt counts {place}"
        );
    }
    // A store may keep several groups as one thing.
    assert!(receipt.deleted.get("summaries").is_some_and(|&count| count > 0));
    world.holds("anna", &[]).await;
    world.holds("ann", &neighbour).await;
    if world.can.scan {
        let found = world.scan(&world.tenant, 100).await;
        assert_eq!(
            found.into_iter().map(|found| found.value).collect::<Vec<_>>(),
            neighbour
        );
    }
}

/// Decisions of the customer are not found, not scanned, and not recorded again by a retry.
pub async fn decisions_of_an_erased_customer_are_gone(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Erasure, Need::Decisions]).await {
        return;
    }
    let (gone, kept) = (world.decision("r1", "anna", 2), world.decision("r2", "bert", 2));
    for decision in [&gone, &kept] {
        world.store.record_decision(decision.clone()).await.unwrap();
    }
    world.erase("anna", "ticket-1").await;
    for _ in 0..2 {
        assert_eq!(world.store.decision(&world.tenant, &gone.id).await.unwrap(), None);
        if world.can.scan {
            let found = world.scan_decisions(&world.tenant, 10).await;
            assert_eq!(
                found.into_iter().map(|found| found.value).collect::<Vec<_>>(),
                std::slice::from_ref(&kept)
            );
        }
        let again = world.store.record_decision(gone.clone()).await.unwrap();
        assert_eq!(again, Recorded::Duplicate(gone.id.clone()));
    }
}

/// A retry of what was erased answers `Duplicate` with the first id and writes nothing.
pub async fn a_retry_of_an_erased_interaction_is_a_duplicate_and_writes_nothing(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Erasure]).await {
        return;
    }
    let event = world.event("anna").built();
    world.record(&event).await;
    world.erase("anna", "ticket-1").await;
    let other = event.edited(|fields| fields.timestamp = noon(5)).unwrap();
    for retry in [event.clone(), other] {
        let again = world.store.record_event(retry).await.unwrap();
        assert_eq!(again, Recorded::Duplicate(event.id.clone()));
    }
    let wrong = event
        .edited(|fields| fields.value = Some(kaireon_core::Value::from_micros(1)))
        .unwrap();
    world.refused(world.store.record_event(wrong).await, ErrorKind::Conflict);
    world.holds("anna", &[]).await;
}

/// The same request repeats its receipt, also after more was recorded, and erases nothing more.
pub async fn the_same_request_repeats_its_receipt(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Erasure]).await {
        return;
    }
    world.record(&world.event("anna").built()).await;
    let receipt = world.erase("anna", "ticket-1").await;
    assert_eq!(world.erase("anna", "ticket-1").await, receipt);
    let later = [world.event("anna").timestamp(noon(1)).built()];
    world.record_all(&later).await;
    world.pass(Duration::from_millis(5)).await;
    assert_eq!(
        world.erase("anna", "ticket-1").await,
        receipt,
        "a repeated request repeats its receipt"
    );
    world.holds("anna", &later).await;
    // A request's name is a customer's own.
    let other = world.erase("bert", "ticket-1").await;
    assert_eq!(
        (other.generation, other.deleted.get("history")),
        (Generation(1), Some(&0))
    );
}

/// Another request erases again, what came since then, and raises the generation again.
pub async fn another_request_erases_again(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Erasure]).await {
        return;
    }
    let first = world.erase("anna", "ticket-1").await;
    assert_eq!(
        first.deleted.get("history"),
        Some(&0),
        "a customer of nothing is erased all the same"
    );
    world
        .record_all(&[world.event("anna").built(), world.event("anna").built()])
        .await;
    let second = world.erase("anna", "ticket-2").await;
    assert_eq!(
        (second.generation, second.deleted.get("history")),
        (Generation(2), Some(&2))
    );
    world.holds("anna", &[]).await;
    assert_eq!(
        world.erase("anna", "ticket-1").await,
        first,
        "the first receipt stays"
    );
}

/// A new live interaction after the erasure is accepted, under the new generation, with summaries from zero.
pub async fn a_new_interaction_after_the_erasure_is_accepted_under_the_new_generation(
    fixture: &dyn StoreFixture,
) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Erasure]).await {
        return;
    }
    world
        .record_all(&[
            world.event("anna").built(),
            world.event("anna").timestamp(noon(1)).built(),
        ])
        .await;
    world.erase("anna", "ticket-1").await;
    let events = [
        world.event("anna").timestamp(noon(-5)).built(),
        world.event("anna").built(),
    ];
    world.record_all(&events).await;
    world.holds("anna", &events).await;
    if world.can.scan {
        let found = world.scan(&world.tenant, 10).await;
        assert_eq!(found.len(), 2);
        assert!(
            found.iter().all(|found| found.generation == Generation(1)),
            "rows carry the new generation"
        );
    }
    if world.can.decisions {
        let decision = world.decision("r1", "anna", 1);
        assert!(
            world
                .store
                .record_decision(decision.clone())
                .await
                .unwrap()
                .is_new()
        );
        assert_eq!(
            world.store.decision(&world.tenant, &decision.id).await.unwrap(),
            Some(decision)
        );
    }
}

/// Writers that run during the erasure are before it, and gone, or after it, and of the new generation.
pub async fn no_write_that_began_before_the_receipt_appears_after_it(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Erasure]).await {
        return;
    }
    let handles = [Arc::clone(&world.store), world.second_handle().await];
    for round in 0..6_u32 {
        let customer = format!("anna-{round}");
        let writer = |task: usize| {
            let store = Arc::clone(&handles[task % 2]);
            let events: Vec<_> = (0..12)
                .map(|n| world.event(&customer).timestamp(noon(n)).built())
                .collect();
            async move {
                for event in events {
                    assert!(store.record_event(event).await.unwrap().is_new());
                }
            }
        };
        let writers = together((0..6).map(writer));
        let eraser = async {
            tokio::time::sleep(Duration::from_millis(u64::from(round))).await;
            world.erase(&customer, "ticket-1").await
        };
        let (_, receipt) = tokio::join!(writers, eraser);
        let left = world.counted(&customer).await;
        assert_eq!(
            left + receipt.deleted["history"],
            72,
            "each write is before the erasure or after it"
        );
        if world.can.history {
            assert_eq!(
                world.history(&customer).await.len() as u64,
                left,
                "history and summaries agree"
            );
        }
        if world.can.scan {
            let found = world.scan(&world.tenant, 1_000).await;
            let mine = found
                .iter()
                .filter(|found| found.value.customer == world.customer(&customer));
            assert!(
                mine.clone().all(|found| found.generation == Generation(1)),
                "no row of the old generation is left"
            );
            assert_eq!(mine.count() as u64, left);
        }
    }
}

/// Once the receipt is given, what is read stays empty: no write that was under way comes late.
pub async fn a_write_under_way_does_not_come_after_the_receipt(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Erasure]).await {
        return;
    }
    for round in 0..8 {
        let customer = format!("anna-{round}");
        let events: Vec<_> = (0..30)
            .map(|n| world.event(&customer).timestamp(noon(n)).built())
            .collect();
        let store = Arc::clone(&world.store);
        let write = tokio::spawn(async move { store.record_events(RecordBatch::live(events)).await });
        tokio::time::sleep(Duration::from_millis(round % 4)).await;
        let receipt = world.erase(&customer, "ticket-1").await;
        write.await.unwrap().unwrap().into_values().unwrap();
        // All of one batch may be before or after, in part too; but each row that is left is of the new generation.
        let left = world.counted(&customer).await;
        assert_eq!(left + receipt.deleted["history"], 30);
        let again = world.erase(&customer, "ticket-2").await;
        assert_eq!(
            again.deleted["history"], left,
            "the second erasure finds what came after the first"
        );
        world.holds(&customer, &[]).await;
    }
}

/// Undelivered entries and dead letters of the customer are gone from every lane; a neighbour's are delivered.
pub async fn undelivered_entries_of_an_erased_customer_are_gone(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Erasure, Need::Outbox]).await {
        return;
    }
    let outbox = world.outbox();
    outbox.set_lanes(LaneSet::of(&Lane::ALL)).await.unwrap();
    world
        .record_all(&[world.event("anna").built(), world.event("bert").built()])
        .await;
    crate::outbox::poison_all(&outbox, Lane::Publish).await;
    world
        .record_all(&[world.event("anna").built(), world.event("bert").built()])
        .await;
    let host = crate::outbox::host_event(&world, Some("anna"), "anna's");
    outbox
        .append(vec![host, crate::outbox::host_event(&world, None, "nobody's")])
        .await
        .unwrap();
    let receipt = world.erase("anna", "ticket-1").await;
    // One dead letter, one waiting entry in each lane beside the dead one's other lanes, one host event.
    assert_eq!(receipt.deleted["outbox"], 1 + 1 + 2 * 2 + 1);
    let status = outbox.status(Lane::Publish).await.unwrap();
    assert_eq!((status.backlog, status.dead_letters), (2, 1));
    let anna: Option<CustomerId> = Some(world.customer("anna"));
    for lane in Lane::ALL {
        let entries = drain(&outbox, lane, "after").await;
        assert!(
            entries.iter().all(|entry| entry.customer() != anna.as_ref()),
            "{lane} tells nothing of the erased"
        );
        assert_eq!(entries.len(), 2, "{lane} keeps the others'");
    }
}

/// What is recorded after the erasure is delivered: the generation of entries is the customer's present one.
pub async fn entries_after_the_erasure_are_delivered(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Erasure, Need::Outbox]).await {
        return;
    }
    let outbox = world.outbox();
    outbox.set_lanes(LaneSet::of(&[Lane::Publish])).await.unwrap();
    world.record(&world.event("anna").id("before").built()).await;
    world.erase("anna", "ticket-1").await;
    world.record(&world.event("anna").id("after").built()).await;
    outbox
        .append(vec![crate::outbox::host_event(&world, Some("anna"), "told")])
        .await
        .unwrap();
    let entries = drain(&outbox, Lane::Publish, "relay").await;
    let ids: Vec<_> = entries
        .iter()
        .map(|entry| entry.to_event().id().to_owned())
        .collect();
    assert_eq!(ids, ["after", "told"]);
    assert!(entries.iter().all(|entry| entry.generation == Generation(1)));
}

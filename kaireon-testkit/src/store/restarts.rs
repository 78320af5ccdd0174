//! What was acknowledged is there when the place is opened again, and after a loss of power.

use kaireon_core::ErrorKind;
use kaireon_core::outbox::{Lane, LaneSet};
use kaireon_core::store::{Durability, Epoch, FenceRequest, Generation, RecordBatch, Recorded};

use crate::StoreFixture;
use crate::outbox::{drain, host_event, poison_all};
use crate::world::{Built, Need, World, noon};

/// Everything that was acknowledged is there when the place is opened again.
pub async fn everything_is_there_after_a_restart(fixture: &dyn StoreFixture) {
    let mut world = World::open(fixture).await;
    if !world.can(&[Need::Persistent]).await {
        return;
    }
    let events: Vec<_> = (0..30)
        .map(|n| world.event("anna").timestamp(noon(n * 5_000_000)).built())
        .collect();
    world.record_all(&events[..10]).await;
    for round in 0..3 {
        if round > 0 {
            for event in &events[round * 10..round * 10 + 10] {
                world.record(event).await;
            }
        }
        world.restart().await;
        let so_far = &events[..round * 10 + 10];
        world.holds("anna", so_far).await;
        for event in so_far {
            let again = world.store.record_event(event.clone()).await.unwrap();
            assert_eq!(
                again,
                Recorded::Duplicate(event.id.clone()),
                "keys are known after a restart"
            );
        }
    }
}

/// Decisions, erasures, watermarks and fences are there after a restart.
pub async fn settings_and_decisions_are_there_after_a_restart(fixture: &dyn StoreFixture) {
    let mut world = World::open(fixture).await;
    if !world.can(&[Need::Persistent]).await {
        return;
    }
    let decision = world.decision("r", "bert", 3);
    if world.can.decisions {
        world.store.record_decision(decision.clone()).await.unwrap();
    }
    let gone = world.event("anna").built();
    world.record(&gone).await;
    let receipt = if world.can.erasure {
        Some(world.erase("anna", "ticket-1").await)
    } else {
        None
    };
    if world.can.purge {
        world.purge(noon(-1_000)).await;
    }
    let request = FenceRequest {
        tenant: world.tenant.clone(),
        epoch: Epoch(4),
        lanes: None,
    };
    let fence = if world.can.fence {
        Some(world.store.raise_fence(request).await.unwrap())
    } else {
        None
    };
    world.restart().await;
    if world.can.decisions {
        assert_eq!(
            world.store.decision(&world.tenant, &decision.id).await.unwrap(),
            Some(decision)
        );
    }
    if let Some(fence) = fence {
        let found = world.store.fence(&world.tenant).await.unwrap();
        assert_eq!(
            (found.epoch, found.incarnation),
            (Epoch(4), fence.incarnation),
            "the fence stays, in the same store"
        );
        assert!(
            found.sequence >= fence.sequence,
            "a restart does not go back in time"
        );
        world.refused(
            world.store.record_event(world.event("bert").built()).await,
            ErrorKind::Fenced,
        );
    }
    let under =
        |event| RecordBatch::live([event]).with_epoch(if world.can.fence { Epoch(4) } else { Epoch::ZERO });
    if let Some(receipt) = receipt {
        assert_eq!(
            world.erase("anna", "ticket-1").await,
            receipt,
            "the receipt is kept"
        );
        world.holds("anna", &[]).await;
        let again = world
            .store
            .record_events(under(gone.clone()))
            .await
            .unwrap()
            .into_values()
            .unwrap();
        assert_eq!(again, [Recorded::Duplicate(gone.id.clone())]);
        let next = world.erase("anna", "ticket-2").await;
        assert_eq!(next.generation, Generation(2), "the generation is kept");
    }
    if world.can.purge {
        let early = world.event("bert").timestamp(noon(-1_001)).built();
        let results = world
            .store
            .record_events(under(early))
            .await
            .unwrap()
            .into_results();
        let error = world.refused(results.into_iter().next().unwrap(), ErrorKind::InvalidInput);
        assert_eq!(error.field(), Some("timestamp"), "the watermark is kept");
        assert_eq!(world.purge(noon(-2_000)).await.watermark, noon(-1_000));
    }
}

/// Lanes, entries, dead letters and their order are there after a restart.
pub async fn the_outbox_is_there_after_a_restart(fixture: &dyn StoreFixture) {
    let mut world = World::open(fixture).await;
    if !world.can(&[Need::Persistent, Need::Outbox]).await {
        return;
    }
    world
        .outbox()
        .set_lanes(LaneSet::of(&[Lane::Publish, Lane::Archive]))
        .await
        .unwrap();
    world.record(&world.event("anna").id("dead").built()).await;
    poison_all(&world.outbox(), Lane::Publish).await;
    for n in 0..5 {
        world
            .record(
                &world
                    .event("anna")
                    .id(format!("id-{n}"))
                    .timestamp(noon(-n))
                    .built(),
            )
            .await;
    }
    world
        .outbox()
        .append(vec![host_event(&world, Some("anna"), "host")])
        .await
        .unwrap();
    world.restart().await;
    let outbox = world.outbox();
    assert_eq!(
        outbox.lanes().await.unwrap(),
        LaneSet::of(&[Lane::Publish, Lane::Archive])
    );
    let status = outbox.status(Lane::Publish).await.unwrap();
    assert_eq!((status.backlog, status.dead_letters), (6, 1));
    world.record(&world.event("anna").id("after").built()).await;
    let ids: Vec<_> = drain(&outbox, Lane::Publish, "relay")
        .await
        .iter()
        .map(|entry| entry.to_event().id().to_owned())
        .collect();
    assert_eq!(
        ids,
        ["id-0", "id-1", "id-2", "id-3", "id-4", "host", "after"],
        "the order holds over a restart"
    );
    assert_eq!(drain(&outbox, Lane::Archive, "relay").await.len(), 7);
    world.restart().await;
    assert_eq!(
        world.outbox().status(Lane::Publish).await.unwrap().backlog,
        0,
        "what was settled stays settled"
    );
}

/// What was acknowledged is there after a loss of power, where the fixture can make one.
pub async fn what_was_acknowledged_survives_a_crash(fixture: &dyn StoreFixture) {
    let mut world = World::open(fixture).await;
    if !world.can(&[Need::Persistent]).await {
        return;
    }
    if world.can.durability != Durability::Durable {
        crate::suite::declared_away(&world.can.backend, "durability");
        return;
    }
    let mut events = Vec::new();
    for round in 0..3 {
        for n in 0..5 {
            let event = world.event("anna").timestamp(noon(round * 100 + n)).built();
            world.record(&event).await;
            events.push(event);
        }
        if !fixture.crash().await {
            println!("the fixture makes no crash: the crash driver has to show what survives one");
            return;
        }
        world.store = fixture.open().await;
        world.holds("anna", &events).await;
    }
}

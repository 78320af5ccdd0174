//! Opening, closing, opening again: what is said of it, and what is kept over it.

use std::sync::Arc;

use kaireon_core::outbox::{Lane, LaneSet};
use kaireon_core::store::{
    Durability, Epoch, Erasure, ErasureId, FenceRequest, Generation, HistoryQuery, Purge, RecordBatch,
    Recorded, ScanQuery, SummaryQuery, TombstoneQuery,
};
use kaireon_core::{Effect, Error, ErrorKind, InteractionStore};

use crate::StoreFixture;
use crate::outbox::{drain, host_event, poison_all};
use crate::world::{Built, Need, World, noon};

/// A store answers a ping, or declares that it has none.
pub async fn ping_agrees_with_the_capabilities(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    let answer = world.store.ping().await;
    if world.can.ping {
        answer.unwrap();
    } else {
        world.refused(answer, ErrorKind::Unsupported);
    }
}

/// What is declared away answers `Unsupported`, what is declared answers; a name and reasons are given.
pub async fn capabilities_agree_with_behaviour(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    assert!(!world.can.backend.is_empty(), "a backend has a name");
    if let Durability::Volatile(reason) = &world.can.durability {
        assert!(!reason.is_empty(), "what is not durable says why");
    }
    assert_eq!(world.store.outbox().is_some(), world.can.outbox);
    let can = &world.can;
    for (need, can) in [
        (Need::History, can.history),
        (Need::Scan, can.scan),
        (Need::Decisions, can.decisions),
        (Need::Erasure, can.erasure),
        (Need::Purge, can.purge),
        (Need::Fence, can.fence),
        (Need::Replication, can.replication),
        (Need::Outbox, can.outbox),
    ] {
        if !can {
            world.check_unsupported(need).await;
        }
    }
    assert_eq!(
        world.second_handle().await.capabilities(),
        world.can,
        "every handle declares the same"
    );
}

async fn every_call(
    world: &World<'_>,
    store: &Arc<dyn InteractionStore>,
) -> Vec<(&'static str, Option<Error>)> {
    let tenant = &world.tenant;
    let customer = world.customer("anna");
    let event = world.event("anna").built();
    let mut answers = vec![
        ("record_event", store.record_event(event.clone()).await.err()),
        (
            "record_events",
            store
                .record_events(RecordBatch::live([event]))
                .await
                .and_then(|batch| batch.into_values())
                .err(),
        ),
        (
            "get_summaries",
            store
                .get_summaries(SummaryQuery::new(tenant.clone(), customer.clone()))
                .await
                .err(),
        ),
    ];
    let can = &world.can;
    if can.ping {
        answers.push(("ping", store.ping().await.err()));
    }
    if can.history {
        answers.push((
            "history",
            store
                .history(HistoryQuery::new(tenant.clone(), customer.clone()))
                .await
                .err(),
        ));
    }
    if can.scan {
        answers.push(("scan", store.scan(ScanQuery::new(tenant.clone())).await.err()));
    }
    if can.decisions {
        let decision = world.decision("r-closed", "anna", 1);
        answers.push(("decision", store.decision(tenant, &decision.id).await.err()));
        answers.push(("record_decision", store.record_decision(decision).await.err()));
    }
    if can.erasure {
        let request = Erasure {
            tenant: tenant.clone(),
            customer,
            id: ErasureId::fresh(),
        };
        answers.push(("erase_customer", store.erase_customer(request).await.err()));
        answers.push((
            "tombstones",
            store.tombstones(TombstoneQuery::new(tenant.clone())).await.err(),
        ));
        answers.push((
            "install_tombstones",
            store.install_tombstones(tenant, Vec::new()).await.err(),
        ));
    }
    if can.purge {
        answers.push((
            "purge_before",
            store
                .purge_before(Purge {
                    tenant: tenant.clone(),
                    before: noon(0),
                })
                .await
                .err(),
        ));
    }
    if can.fence {
        answers.push(("fence", store.fence(tenant).await.err()));
        let request = FenceRequest {
            tenant: tenant.clone(),
            epoch: Epoch(1),
            lanes: None,
        };
        answers.push(("raise_fence", store.raise_fence(request).await.err()));
    }
    if let Some(outbox) = store.outbox() {
        answers.push(("lanes", outbox.lanes().await.err()));
        answers.push(("set_lanes", outbox.set_lanes(LaneSet::NONE).await.err()));
        answers.push((
            "append",
            outbox.append(vec![host_event(world, None, "closed")]).await.err(),
        ));
        answers.push(("status", outbox.status(Lane::Publish).await.err()));
    }
    answers
}

/// After a disconnect every call answers `Unavailable`, not applied and not to be tried again, and changes nothing.
pub async fn after_disconnect_every_call_is_unavailable_and_not_applied(fixture: &dyn StoreFixture) {
    let mut world = World::open(fixture).await;
    let event = world.event("anna").built();
    world.record(&event).await;
    world.store.disconnect().await.unwrap();
    for (call, error) in every_call(&world, &world.store).await {
        let error = error.unwrap_or_else(|| panic!("{call} works after a disconnect"));
        world.tells_nothing(&error);
        assert_eq!(
            (error.kind(), error.effect()),
            (ErrorKind::Unavailable, Effect::NotApplied),
            "{call}: {error}"
        );
        assert!(!error.is_transient(), "{call}: the same handle never comes back");
    }
    if world.can.persistent {
        world.store = fixture.open().await;
        world.holds("anna", &[event]).await;
    }
}

/// A disconnect may be called again, also by several at once.
pub async fn disconnect_is_idempotent(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    world.record(&world.event("anna").built()).await;
    let (first, second) = tokio::join!(world.store.disconnect(), world.store.disconnect());
    first.and(second).unwrap();
    world.store.disconnect().await.unwrap();
}

/// What was accepted before a disconnect is finished by it: each write is whole and acknowledged, or refused.
pub async fn disconnect_finishes_what_was_accepted(fixture: &dyn StoreFixture) {
    let mut world = World::open(fixture).await;
    let events: Vec<_> = (0..40)
        .map(|n| world.event("anna").timestamp(noon(n)).built())
        .collect();
    let write = |event: &kaireon_core::Interaction| {
        let (store, event) = (Arc::clone(&world.store), event.clone());
        tokio::spawn(async move { store.record_event(event).await })
    };
    let writes: Vec<_> = events.iter().map(write).collect();
    tokio::task::yield_now().await;
    world.store.disconnect().await.unwrap();
    let mut acknowledged = Vec::new();
    for (write, event) in writes.into_iter().zip(&events) {
        match write.await.unwrap() {
            Ok(recorded) => {
                assert!(recorded.is_new());
                acknowledged.push(event.clone());
            }
            Err(error) => assert_eq!(
                (error.kind(), error.effect()),
                (ErrorKind::Unavailable, Effect::NotApplied),
                "{error}"
            ),
        }
    }
    if world.can(&[Need::Persistent]).await {
        world.store = fixture.open().await;
        world.holds("anna", &acknowledged).await;
    }
}

/// A dropped call has happened wholly or not at all, and its retry gives the exact answer.
pub async fn a_dropped_write_has_happened_wholly_or_not_at_all(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    let mut events = Vec::new();
    for round in 0..30_u32 {
        let event = world.event("anna").timestamp(noon(i64::from(round))).built();
        let store = Arc::clone(&world.store);
        let sent = event.clone();
        let write = tokio::spawn(async move { store.record_event(sent).await });
        for _ in 0..round % 5 {
            tokio::task::yield_now().await;
        }
        write.abort();
        let _ = write.await;
        let retry = world.store.record_event(event.clone()).await.unwrap();
        assert_eq!(retry.id(), &event.id);
        events.push(event);
    }
    world.holds("anna", &events).await;
}

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

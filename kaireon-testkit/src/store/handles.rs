//! Opening, closing, opening again: what is said of it, and what is kept over it.

use std::sync::Arc;
use std::time::Duration;

use kaireon_core::outbox::{
    DeadLetterId, DeadLetterQuery, Destination, Lane, LaneSet, LeaseRequest, Position,
};
use kaireon_core::store::{
    Durability, Epoch, Erasure, ErasureId, FenceRequest, HistoryQuery, Purge, RecordBatch, ScanQuery,
    SummaryQuery, TombstoneQuery,
};
use kaireon_core::{Effect, Error, ErrorKind, InteractionStore};

use crate::StoreFixture;
use crate::outbox::host_event;
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
    // By it two stores are told to have the same key before a tombstone moves between them.
    if can.erasure && can.replication {
        assert!(
            can.key_check.is_some(),
            "whose tombstones can be moved tells its key"
        );
    }
    if let (Some(key), Some(told)) = (fixture.master_key(), can.key_check) {
        assert_eq!(told, key.check_value(), "the key is the one that was given");
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
        if can.decisions {
            let query = ScanQuery::new(tenant.clone());
            answers.push(("scan_decisions", store.scan_decisions(query).await.err()));
        }
    }
    if can.decisions {
        let decision = world.decision("r-closed", "anna", 1);
        answers.push(("decision", store.decision(tenant, &decision.id).await.err()));
        let batch = store
            .record_decisions(RecordBatch::live([decision.clone()]))
            .await;
        let batch = batch.and_then(|batch| batch.into_values());
        answers.push(("record_decisions", batch.err()));
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
        answers.push(("backlog", outbox.backlog(Lane::Publish, tenant).await.err()));
        let request = LeaseRequest {
            lane: Lane::Publish,
            owner: "closed".to_owned(),
            ttl: Duration::from_secs(1),
            max_ranges: 1,
            destination: Destination::unnamed(),
        };
        answers.push(("lease", outbox.lease(request).await.err()));
        let query = DeadLetterQuery::new(Lane::Publish);
        answers.push(("dead_letters", outbox.dead_letters(query).await.err()));
        let id = DeadLetterId {
            range: 0,
            position: Position(1),
        };
        answers.push(("replay", outbox.replay(Lane::Publish, vec![id]).await.err()));
        let waited = outbox.wait(Lane::Publish, 0, Duration::from_millis(1)).await;
        answers.push(("wait", waited.err()));
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
    for (round, at) in (0..35).enumerate() {
        let event = world.event("anna").timestamp(noon(at)).built();
        let store = Arc::clone(&world.store);
        let sent = event.clone();
        let write = tokio::spawn(async move { store.record_event(sent).await });
        // At once, and after ever more of what happens on its way.
        for _ in 0..[0, 1, 2, 4, 16, 64, 256][round % 7] {
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

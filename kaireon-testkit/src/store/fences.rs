//! Epochs: a write under an old one is refused inside the unit that would have applied it.

use std::sync::Arc;
use std::time::Duration;

use kaireon_core::outbox::{Lane, LaneSet};
use kaireon_core::store::{Accepted, Epoch, FenceRequest, FenceState, Generation, Origin, RecordBatch};
use kaireon_core::{Effect, ErrorKind};

use crate::StoreFixture;
use crate::outbox::drain;
use crate::world::{Built, Need, World, noon, together};

async fn raise(world: &World<'_>, epoch: u64, lanes: Option<LaneSet>) -> kaireon_core::Result<FenceState> {
    let request = FenceRequest {
        tenant: world.tenant.clone(),
        epoch: Epoch(epoch),
        lanes,
    };
    world.store.raise_fence(request).await
}

/// A new tenant's fence is at zero; raising it shows, through every handle.
pub async fn a_fence_is_raised_and_read(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Fence]).await {
        return;
    }
    let first = world.store.fence(&world.tenant).await.unwrap();
    assert_eq!(first.epoch, Epoch::ZERO);
    let raised = raise(&world, 3, None).await.unwrap();
    assert_eq!((raised.epoch, raised.incarnation), (Epoch(3), first.incarnation));
    let other = world.second_handle().await;
    assert_eq!(other.fence(&world.tenant).await.unwrap().epoch, Epoch(3));
}

/// The sequence of a store grows with its commits, and its incarnation stays.
pub async fn a_fence_tells_how_far_its_store_has_come(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Fence]).await {
        return;
    }
    let mut last = world.store.fence(&world.tenant).await.unwrap();
    for n in 0..5 {
        world
            .record(&world.event("anna").timestamp(noon(n)).built())
            .await;
        let next = world.store.fence(&world.tenant).await.unwrap();
        assert!(
            next.sequence > last.sequence,
            "the sequence grows with every commit"
        );
        assert_eq!(next.incarnation, last.incarnation);
        last = next;
    }
}

/// A lower epoch cannot be raised to; the present one can, to set other lanes.
pub async fn a_fence_is_never_lowered(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Fence]).await {
        return;
    }
    raise(&world, 5, None).await.unwrap();
    for lower in [0, 4] {
        world.refused(raise(&world, lower, None).await, ErrorKind::Fenced);
    }
    assert_eq!(raise(&world, 5, None).await.unwrap().epoch, Epoch(5));
    assert_eq!(raise(&world, 6, None).await.unwrap().epoch, Epoch(6));
}

/// Writes under a lower epoch are refused, transient and not applied; under the present or a higher they pass.
pub async fn a_write_under_an_old_epoch_is_refused(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Fence]).await {
        return;
    }
    let known = world.event("anna").built();
    world.record(&known).await;
    raise(&world, 2, None).await.unwrap();
    for epoch in [0, 1] {
        // A retry too: the authority may be elsewhere by now.
        for event in [world.event("anna").built(), known.clone()] {
            let batch = RecordBatch::live([event]).with_epoch(Epoch(epoch));
            let results = world.store.record_events(batch).await.unwrap().into_results();
            let error = world.refused(results.into_iter().next().unwrap(), ErrorKind::Fenced);
            assert!(error.is_transient(), "the caller refreshes and tries again");
            assert_eq!(error.effect(), Effect::NotApplied);
        }
    }
    let error = world.refused(
        world.store.record_event(world.event("anna").built()).await,
        ErrorKind::Fenced,
    );
    assert_eq!(error.effect(), Effect::NotApplied);
    world.holds("anna", std::slice::from_ref(&known)).await;
    let mut events = vec![known];
    for epoch in [2, 3] {
        let event = world.event("anna").timestamp(noon(1)).built();
        let batch = RecordBatch::live([event.clone()]).with_epoch(Epoch(epoch));
        assert!(
            world
                .store
                .record_events(batch)
                .await
                .unwrap()
                .into_values()
                .unwrap()[0]
                .is_new()
        );
        events.push(event);
    }
    world.holds("anna", &events).await;
}

/// Epochs bind replicated records and decisions as they bind live interactions.
pub async fn every_kind_of_write_is_fenced(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Fence]).await {
        return;
    }
    raise(&world, 2, None).await.unwrap();
    if world.can.replication {
        for origin in [Origin::Replicated, Origin::Backfill] {
            let accepted = Accepted {
                value: world.event("anna").built(),
                generation: Generation::ZERO,
            };
            let batch = RecordBatch::accepted(origin, [accepted]).with_epoch(Epoch(1));
            let results = world.store.record_events(batch).await.unwrap().into_results();
            world.refused(results.into_iter().next().unwrap(), ErrorKind::Fenced);
        }
    }
    if world.can.decisions {
        let decision = world.decision("r", "anna", 1);
        world.refused(
            world.store.record_decision(decision.clone()).await,
            ErrorKind::Fenced,
        );
        let batch = RecordBatch::live([decision.clone()]).with_epoch(Epoch(1));
        let results = world.store.record_decisions(batch).await.unwrap().into_results();
        world.refused(results.into_iter().next().unwrap(), ErrorKind::Fenced);
        assert_eq!(
            world.store.decision(&world.tenant, &decision.id).await.unwrap(),
            None
        );
    }
    world.holds("anna", &[]).await;
}

/// Once a fence is raised, no write under an older epoch is applied any more, not even one that began before.
pub async fn no_write_under_an_old_epoch_is_applied_after_the_fence(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Fence]).await {
        return;
    }
    let handles = [Arc::clone(&world.store), world.second_handle().await];
    for round in 0..6_u64 {
        let customer = format!("anna-{round}");
        let writer = |task: usize| {
            let store = Arc::clone(&handles[task % 2]);
            let events: Vec<_> = (0..40)
                .map(|n| world.event(&customer).timestamp(noon(n)).built())
                .collect();
            async move {
                let mut applied = 0;
                for event in events {
                    let batch = RecordBatch::live([event]).with_epoch(Epoch(round));
                    match store.record_events(batch).await.unwrap().into_results().remove(0) {
                        Ok(recorded) => applied += u64::from(recorded.is_new()),
                        Err(error) => assert_eq!(error.kind(), ErrorKind::Fenced, "{error}"),
                    }
                }
                applied
            }
        };
        let writers = together((0..4).map(writer));
        let fence = async {
            tokio::time::sleep(Duration::from_millis(round)).await;
            raise(&world, round + 1, None).await.unwrap();
            // What is visible now is all that will ever be.
            world.counted(&customer).await
        };
        let (applied, at_fence) = tokio::join!(writers, fence);
        let applied: u64 = applied.iter().sum();
        assert_eq!(
            world.counted(&customer).await,
            applied,
            "what was acknowledged is there"
        );
        assert_eq!(at_fence, applied, "nothing is applied after the fence");
    }
}

/// A fence names the lanes of its tenant; other tenants keep the store's.
pub async fn a_fence_sets_the_lanes_of_its_tenant(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Fence, Need::Outbox]).await {
        return;
    }
    let outbox = world.outbox();
    outbox.set_lanes(LaneSet::of(&[Lane::Publish])).await.unwrap();
    let unset = world.store.fence(&world.tenant).await.unwrap();
    assert_eq!(
        unset.lanes,
        LaneSet::of(&[Lane::Publish]),
        "a fence that names no lanes has the store's"
    );
    let both = LaneSet::of(&[Lane::Publish, Lane::Replicate]);
    assert_eq!(raise(&world, 1, Some(both)).await.unwrap().lanes, both);
    assert_eq!(
        raise(&world, 2, None).await.unwrap().lanes,
        both,
        "lanes that are not named stay"
    );
    let neighbour = kaireon_core::TenantId::new(format!("{}-2", world.tenant)).unwrap();
    let write = async |epoch: u64| {
        let batch = [
            world.event("anna").built(),
            world.event_of(&neighbour, "anna").built(),
        ];
        let batch = RecordBatch::live(batch).with_epoch(Epoch(epoch));
        world
            .store
            .record_events(batch)
            .await
            .unwrap()
            .into_values()
            .unwrap();
    };
    let waiting = async |lane| outbox.status(lane).await.unwrap().backlog;
    write(2).await;
    assert_eq!(
        (waiting(Lane::Publish).await, waiting(Lane::Replicate).await),
        (2, 1)
    );
    raise(&world, 2, Some(LaneSet::NONE)).await.unwrap();
    write(2).await;
    assert_eq!(
        (waiting(Lane::Publish).await, waiting(Lane::Replicate).await),
        (3, 1)
    );
    assert_eq!(waiting(Lane::Archive).await, 0);
    let found = drain(&outbox, Lane::Replicate, "relay").await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].tenant, world.tenant);
}

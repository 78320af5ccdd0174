//! Records from elsewhere keep what they are given, and tell nobody.

use kaireon_core::outbox::{Lane, LaneSet};
use kaireon_core::store::{Accepted, Epoch, Generation, Origin, Record, RecordBatch, Recorded};
use kaireon_core::{ErrorKind, Interaction, InteractionId};

use crate::StoreFixture;
use crate::outbox::drain;
use crate::world::{Built, Need, World, at, noon};

const OTHERS: [Origin; 2] = [Origin::Replicated, Origin::Backfill];

fn accepted(event: &Interaction) -> Accepted<Interaction> {
    Accepted {
        value: event.clone(),
        generation: Generation::ZERO,
    }
}

/// Id, timestamp and every field of a replicated record stay as they were given.
pub async fn replicated_records_keep_id_timestamp_and_generation(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Replication]).await {
        return;
    }
    let mut events = Vec::new();
    for (n, origin) in OTHERS.into_iter().enumerate() {
        let time = at("2011-02-03T04:05:06.789Z") + chrono::TimeDelta::days(i64::try_from(n).unwrap());
        let event = world
            .event("anna")
            .id(format!("given-{n}"))
            .timestamp(time)
            .built();
        let batch = RecordBatch::accepted(origin, [accepted(&event)]);
        let recorded = world
            .store
            .record_events(batch)
            .await
            .unwrap()
            .into_values()
            .unwrap();
        assert_eq!(recorded, [Recorded::new(event.id.clone())]);
        events.push(event);
    }
    world.holds("anna", &events).await;
    if world.can.scan {
        let mut found = world.scan(&world.tenant, 10).await;
        found.sort_by_key(|found| found.value.timestamp);
        assert_eq!(found, events.iter().map(accepted).collect::<Vec<_>>());
    }
}

/// Records of other origins are in no lane; live ones are.
pub async fn replicated_records_write_no_lane(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Replication, Need::Outbox]).await {
        return;
    }
    let outbox = world.outbox();
    outbox.set_lanes(LaneSet::of(&Lane::ALL)).await.unwrap();
    for origin in OTHERS {
        let batch = RecordBatch::accepted(origin, [accepted(&world.event("anna").built())]);
        world
            .store
            .record_events(batch)
            .await
            .unwrap()
            .into_values()
            .unwrap();
        if world.can.decisions {
            let value = world.decision(&format!("r-{origin:?}"), "anna", 1);
            let batch = RecordBatch::accepted(
                origin,
                [Accepted {
                    value,
                    generation: Generation::ZERO,
                }],
            );
            world
                .store
                .record_decisions(batch)
                .await
                .unwrap()
                .into_values()
                .unwrap();
        }
    }
    for lane in Lane::ALL {
        assert!(
            outbox.status(lane).await.unwrap().is_empty(),
            "{lane} is told of nothing"
        );
    }
    let live = world.event("anna").built();
    world.record(&live).await;
    for lane in Lane::ALL {
        assert_eq!(drain(&outbox, lane, "relay").await.len(), 1);
    }
}

/// A record that arrives live and replicated, in either order, is one record.
pub async fn live_and_replicated_records_share_their_keys(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Replication]).await {
        return;
    }
    let (first, second) = (
        world.event("anna").built(),
        world.event("anna").timestamp(noon(1)).built(),
    );
    world.record(&first).await;
    for origin in OTHERS {
        let copy = first.edited(|fields| fields.id = InteractionId::fresh()).unwrap();
        let batch = RecordBatch::accepted(origin, [accepted(&copy)]);
        let recorded = world
            .store
            .record_events(batch)
            .await
            .unwrap()
            .into_values()
            .unwrap();
        assert_eq!(recorded, [Recorded::Duplicate(first.id.clone())]);
        let batch = RecordBatch::accepted(origin, [accepted(&second)]);
        world
            .store
            .record_events(batch)
            .await
            .unwrap()
            .into_values()
            .unwrap();
    }
    assert_eq!(
        world.store.record_event(second.clone()).await.unwrap(),
        Recorded::Duplicate(second.id.clone())
    );
    let wrong = second
        .edited(|fields| fields.outcome = kaireon_core::OutcomeTypeKey::new("x").unwrap())
        .unwrap();
    let batch = RecordBatch::accepted(Origin::Replicated, [accepted(&wrong)]);
    let results = world.store.record_events(batch).await.unwrap().into_results();
    world.refused(results.into_iter().next().unwrap(), ErrorKind::Conflict);
    world.holds("anna", &[first, second]).await;
}

/// A record of another origin needs a generation, and a live one draws its own.
pub async fn a_generation_is_given_exactly_where_the_record_is_not_live(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Replication]).await {
        return;
    }
    let batch = |origin, generation: Option<u32>| RecordBatch {
        records: vec![Record {
            value: world.event("anna").built(),
            generation: generation.map(Generation),
        }],
        origin,
        epoch: Epoch::ZERO,
    };
    for wrong in [
        batch(Origin::Live, Some(0)),
        batch(Origin::Replicated, None),
        batch(Origin::Backfill, None),
    ] {
        let origin = wrong.origin;
        let results = world.store.record_events(wrong).await.unwrap().into_results();
        let error = world.refused(results.into_iter().next().unwrap(), ErrorKind::InvalidInput);
        assert_eq!(error.field(), Some("generation"), "{origin:?}");
    }
    world.holds("anna", &[]).await;
}

/// Replicated decisions follow the same rules.
pub async fn replicated_decisions_are_kept_as_given(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Replication, Need::Decisions]).await {
        return;
    }
    for origin in OTHERS {
        let decision = world.decision(&format!("r-{origin:?}"), "anna", 3);
        let value = || Accepted {
            value: decision.clone(),
            generation: Generation::ZERO,
        };
        for expected in [
            Recorded::new(decision.id.clone()),
            Recorded::Duplicate(decision.id.clone()),
        ] {
            let batch = RecordBatch::accepted(origin, [value()]);
            assert_eq!(
                world
                    .store
                    .record_decisions(batch)
                    .await
                    .unwrap()
                    .into_values()
                    .unwrap(),
                [expected]
            );
        }
        assert_eq!(
            world.store.decision(&world.tenant, &decision.id).await.unwrap(),
            Some(decision)
        );
    }
}

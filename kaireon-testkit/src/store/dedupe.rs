//! How long a key is known: by arrival, for at least the dedupe horizon, and never less long than its row.
//!
//! Stores forget dedupe records when they purge, so each case purges after it has moved the clock. What may be
//! forgotten after the horizon is a store's own business: no case asks for it.

use chrono::TimeDelta;
use kaireon_core::Interaction;
use kaireon_core::store::{Accepted, Generation, Origin, RecordBatch, Recorded};
use kaireon_core::time::{Clock, ManualClock, Timestamp};

use crate::StoreFixture;
use crate::suite::declared_away;
use crate::world::{Built, Need, World, fold};

/// A day less than the horizon that every store has by default.
const WITHIN: TimeDelta = TimeDelta::days(29);

/// The last moment of the default horizon.
const AT_THE_END: TimeDelta = TimeDelta::milliseconds(30 * 86_400_000 - 1);

/// Far beyond it.
const BEYOND: TimeDelta = TimeDelta::days(400);

/// A case's world and the clock that it moves: nobody waits a month for a backend that has no other clock.
async fn aging(fixture: &dyn StoreFixture) -> Option<(World<'_>, ManualClock)> {
    let world = World::open(fixture).await;
    let clock = fixture.clock();
    if clock.is_none() {
        declared_away(&world.can.backend, "an injected clock");
    }
    Some((world, clock?))
}

/// The interaction as a caller builds it anew at another time.
fn rebuilt(event: &Interaction, time: Timestamp) -> Interaction {
    let retry = event.edited(|fields| {
        fields.id = kaireon_core::InteractionId::fresh();
        fields.timestamp = time;
    });
    retry.expect("only id and time are others")
}

/// Checks that the key is known, to the same record sent again and to one built anew.
async fn is_known(world: &World<'_>, event: &Interaction, now: Timestamp) {
    for retry in [event.clone(), rebuilt(event, now)] {
        let again = world.store.record_event(retry).await;
        assert_eq!(again.unwrap(), Recorded::Duplicate(event.id.clone()));
    }
}

/// A row that is kept longer than the horizon keeps its key: else its retry would count twice.
pub async fn a_retry_after_the_horizon_is_a_duplicate_while_its_row_stands(fixture: &dyn StoreFixture) {
    let Some((world, clock)) = aging(fixture).await else {
        return;
    };
    let event = world.event("anna").timestamp(clock.now()).built();
    world.record(&event).await;
    clock.advance(BEYOND);
    if world.can.purge {
        let receipt = world.purge(event.timestamp).await;
        assert_eq!(receipt.interactions, 0, "the row at the watermark stays");
    }
    is_known(&world, &event, clock.now()).await;
    world.holds("anna", &[event]).await;
}

/// A key outlives its row until the horizon has passed since it arrived.
pub async fn a_retry_within_the_horizon_is_a_duplicate_after_its_row_was_purged(fixture: &dyn StoreFixture) {
    let Some((world, clock)) = aging(fixture).await else {
        return;
    };
    if !world.can(&[Need::Purge]).await {
        return;
    }
    let event = world.event("anna").timestamp(clock.now()).built();
    world.record(&event).await;
    clock.advance(AT_THE_END);
    // The second purge finds a key whose row went before.
    for gone in [1, 0] {
        assert_eq!(world.purge(clock.now()).await.interactions, gone);
        is_known(&world, &event, clock.now()).await;
    }
    assert_eq!(world.summaries("anna").await, fold(&[event]));
    if world.can.history {
        assert_eq!(world.history("anna").await, []);
    }
}

/// A late event's horizon begins when it arrives: its own time may lie long before.
pub async fn a_late_event_is_known_for_the_horizon_after_its_arrival(fixture: &dyn StoreFixture) {
    let Some((world, clock)) = aging(fixture).await else {
        return;
    };
    if !world.can(&[Need::Purge]).await {
        return;
    }
    let late = clock.now() - TimeDelta::days(60);
    let event = world.event("anna").timestamp(late).built();
    world.record(&event).await;
    clock.advance(WITHIN);
    assert_eq!(world.purge(clock.now()).await.interactions, 1);
    is_known(&world, &event, clock.now()).await;
    let mut counted = vec![event];
    if world.can.replication {
        // One that comes behind the watermark has no row at any time.
        let event = world.event("anna").timestamp(late).built();
        let accepted = Accepted {
            value: event.clone(),
            generation: Generation::ZERO,
        };
        let batch = RecordBatch::accepted(Origin::Replicated, [accepted]);
        let recorded = world.store.record_events(batch).await;
        let recorded = recorded.and_then(|outcome| outcome.into_values()).unwrap();
        assert_eq!(recorded, [Recorded::new(event.id.clone())]);
        clock.advance(WITHIN);
        world.purge(clock.now()).await;
        is_known(&world, &event, clock.now()).await;
        counted.push(event);
    }
    assert_eq!(world.summaries("anna").await, fold(&counted));
}

/// An erasure takes the row and leaves the key, also over the purges that follow within the horizon.
pub async fn a_retry_within_the_horizon_is_a_duplicate_after_its_customer_was_erased(
    fixture: &dyn StoreFixture,
) {
    let Some((world, clock)) = aging(fixture).await else {
        return;
    };
    if !world.can(&[Need::Erasure, Need::Purge]).await {
        return;
    }
    let event = world.event("anna").timestamp(clock.now()).built();
    world.record(&event).await;
    world.erase("anna", "ticket-1").await;
    clock.advance(AT_THE_END);
    world.purge(event.timestamp).await;
    is_known(&world, &event, clock.now()).await;
    world.holds("anna", &[]).await;
}

/// Decisions are known by the same rules: while they stand, and for the horizon after they arrived.
pub async fn a_decision_is_known_as_long_as_an_interaction(fixture: &dyn StoreFixture) {
    let Some((world, clock)) = aging(fixture).await else {
        return;
    };
    if !world.can(&[Need::Decisions, Need::Purge]).await {
        return;
    }
    let decided = |id: &str, time: Timestamp| {
        let decision = world.decision(id, "anna", 1);
        decision.edited(|fields| fields.timestamp = time).unwrap()
    };
    let again = async |decision: &kaireon_core::Decision| {
        let recorded = world.store.record_decision(decision.clone()).await;
        assert_eq!(recorded.unwrap(), Recorded::Duplicate(decision.id.clone()));
    };
    let begin = clock.now();
    let stands = decided("stands", begin);
    world.store.record_decision(stands.clone()).await.unwrap();
    clock.advance(BEYOND);
    let late = decided("late", begin - TimeDelta::days(60));
    world.store.record_decision(late.clone()).await.unwrap();
    clock.advance(AT_THE_END);
    for gone in [1, 0] {
        assert_eq!(world.purge(stands.timestamp).await.decisions, gone);
        again(&late).await;
        again(&stands).await;
    }
    let found = world.store.decision(&world.tenant, &stands.id).await;
    assert_eq!(found.unwrap(), Some(stands));
}

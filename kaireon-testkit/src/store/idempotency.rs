//! One row, one contribution, one event per (tenant, idempotency key).

use std::sync::Arc;

use kaireon_core::store::{ItemOutcome, RecordBatch, Recorded};
use kaireon_core::{
    ChannelId, CreativeId, ErrorKind, Interaction, InteractionFields, InteractionId, InteractionType,
    OfferId, OutcomeTypeKey, TenantId, Value,
};

use crate::StoreFixture;
use crate::world::{Built, World, at, noon, together};

/// A retry answers `Duplicate` with the first id, and changes nothing.
pub async fn record_event_again_is_a_duplicate_of_the_first(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    let event = world.event("anna").value(Value::from_micros(1_500_000)).built();
    world.record(&event).await;
    for _ in 0..3 {
        let again = world.store.record_event(event.clone()).await.unwrap();
        assert_eq!(again, Recorded::Duplicate(event.id.clone()));
    }
    world.holds("anna", &[event]).await;
}

/// A retry that was built anew carries another id; the first one stands.
pub async fn record_event_with_reused_key_and_other_id_returns_the_first_id(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    let event = world.event("anna").id("first").built();
    world.record(&event).await;
    let retry = event
        .edited(|fields| fields.id = InteractionId::new("second").unwrap())
        .unwrap();
    let again = world.store.record_event(retry).await.unwrap();
    assert_eq!(again, Recorded::Duplicate(InteractionId::new("first").unwrap()));
    world.holds("anna", &[event]).await;
}

/// The key decides, not the time: a retry in another day, month and year is a retry.
pub async fn record_event_with_reused_key_and_other_timestamp_is_a_duplicate(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    let event = world
        .event("anna")
        .timestamp(at("2024-05-31T23:59:59.999Z"))
        .built();
    world.record(&event).await;
    for other in [
        "2024-06-01T00:00:00Z",
        "2024-05-31T23:59:59.998Z",
        "2023-01-01T00:00:00Z",
        "2024-12-30T00:00:00Z",
    ] {
        let retry = event.edited(|fields| {
            fields.timestamp = at(other);
            fields.id = InteractionId::fresh();
        });
        let again = world.store.record_event(retry.unwrap()).await.unwrap();
        assert_eq!(again, Recorded::Duplicate(event.id.clone()), "a retry of {other}");
    }
    world.holds("anna", &[event]).await;
}

/// What is no identity field may differ in a retry; the first record stays as it was.
pub async fn record_event_with_reused_key_and_other_details_keeps_the_first_details(
    fixture: &dyn StoreFixture,
) {
    let world = World::open(fixture).await;
    let event = world.event("anna").rank(1).placement("top").built();
    world.record(&event).await;
    let retry = event.edited(|fields| {
        fields.rank = Some(2);
        fields.placement = None;
        fields.classification = kaireon_core::Classification::Negative;
        fields.direction = kaireon_core::Direction::Outbound;
    });
    let again = world.store.record_event(retry.unwrap()).await.unwrap();
    assert_eq!(again, Recorded::Duplicate(event.id.clone()));
    world.holds("anna", &[event]).await;
}

async fn conflicts(fixture: &dyn StoreFixture, edit: impl Fn(&mut InteractionFields)) {
    let world = World::open(fixture).await;
    let event = world.event("anna").value(Value::from_micros(5)).built();
    world.record(&event).await;
    let other = event.edited(|fields| {
        fields.id = InteractionId::fresh();
        edit(fields);
    });
    let other = other.unwrap();
    let error = world.refused(world.store.record_event(other.clone()).await, ErrorKind::Conflict);
    assert!(!error.is_transient(), "a conflict stays one");
    assert_eq!(error.effect(), kaireon_core::Effect::NotApplied);
    world.holds("anna", std::slice::from_ref(&event)).await;
    if other.customer != event.customer {
        world.holds("other", &[]).await;
    }
    // The first record is still the one that its own retry finds.
    assert_eq!(
        world.store.record_event(event.clone()).await.unwrap(),
        Recorded::Duplicate(event.id.clone())
    );
}

/// A reused key of another customer is a conflict, and neither customer is changed.
pub async fn record_event_with_reused_key_and_other_customer_conflicts(fixture: &dyn StoreFixture) {
    let other = kaireon_core::CustomerId::new(format!(
        "{}other",
        crate::suite::marker(crate::suite::run_number())
    ));
    let other = other.unwrap();
    conflicts(fixture, |fields| fields.customer = other.clone()).await;
}

/// A reused key of another offer is a conflict.
pub async fn record_event_with_reused_key_and_other_offer_conflicts(fixture: &dyn StoreFixture) {
    conflicts(fixture, |fields| fields.offer = OfferId::new("offer-2").unwrap()).await;
}

/// A reused key of another creative is a conflict.
pub async fn record_event_with_reused_key_and_other_creative_conflicts(fixture: &dyn StoreFixture) {
    conflicts(fixture, |fields| {
        fields.creative = CreativeId::new("creative-2").unwrap()
    })
    .await;
}

/// A reused key of another channel is a conflict.
pub async fn record_event_with_reused_key_and_other_channel_conflicts(fixture: &dyn StoreFixture) {
    conflicts(fixture, |fields| fields.channel = ChannelId::new("app").unwrap()).await;
}

/// A reused key of another type is a conflict.
pub async fn record_event_with_reused_key_and_other_type_conflicts(fixture: &dyn StoreFixture) {
    conflicts(fixture, |fields| fields.interaction_type = InteractionType::Click).await;
}

/// A reused key of another outcome is a conflict.
pub async fn record_event_with_reused_key_and_other_outcome_conflicts(fixture: &dyn StoreFixture) {
    conflicts(fixture, |fields| {
        fields.outcome = OutcomeTypeKey::new("bought").unwrap()
    })
    .await;
}

/// A reused key of another value is a conflict, also by one millionth.
pub async fn record_event_with_reused_key_and_other_value_conflicts(fixture: &dyn StoreFixture) {
    conflicts(fixture, |fields| fields.value = Some(Value::from_micros(6))).await;
}

/// No value is another value than zero or any.
pub async fn record_event_with_reused_key_and_no_value_conflicts(fixture: &dyn StoreFixture) {
    conflicts(fixture, |fields| fields.value = None).await;
}

/// Equal keys in one batch are settled in their order: the first is new, the rest are judged against it.
pub async fn record_events_settles_equal_keys_in_arrival_order(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    let first = world.event("anna").id("first").built();
    let retry = first
        .edited(|fields| fields.id = InteractionId::new("second").unwrap())
        .unwrap();
    let wrong = first
        .edited(|fields| fields.offer = OfferId::new("offer-2").unwrap())
        .unwrap();
    let alone = world.event("anna").id("alone").timestamp(noon(1)).built();
    let items = [first.clone(), retry, wrong, alone.clone(), first.clone()];
    let outcome = world.store.record_events(RecordBatch::live(items)).await.unwrap();
    let done = |item: &ItemOutcome<Recorded>| match item {
        ItemOutcome::Done(recorded) => Some(recorded.clone()),
        ItemOutcome::Failed(error) => {
            assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
            None
        }
        ItemOutcome::NotAttempted => panic!("every item of a small batch is tried"),
    };
    let found: Vec<_> = outcome.items().iter().map(done).collect();
    let expected = vec![
        Some(Recorded::new(first.id.clone())),
        Some(Recorded::Duplicate(first.id.clone())),
        None,
        Some(Recorded::new(alone.id.clone())),
        Some(Recorded::Duplicate(first.id.clone())),
    ];
    assert_eq!(found, expected, "outcomes keep the order of the items");
    world.holds("anna", &[first, alone]).await;
}

/// A batch sent again, whole, finds each of its items.
pub async fn record_events_again_finds_every_item(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    let events: Vec<_> = (0..40)
        .map(|n| world.event("anna").timestamp(noon(n * 86_400_000)).built())
        .collect();
    world.record_all(&events).await;
    let again = world
        .store
        .record_events(RecordBatch::live(events.clone()))
        .await
        .unwrap()
        .into_values()
        .unwrap();
    let expected: Vec<_> = events
        .iter()
        .map(|event| Recorded::Duplicate(event.id.clone()))
        .collect();
    assert_eq!(again, expected);
    world.holds("anna", &events).await;
}

/// A batch of nothing does nothing.
pub async fn record_events_of_an_empty_batch_is_empty(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    let outcome = world.store.record_events(RecordBatch::live([])).await.unwrap();
    assert!(outcome.items().is_empty() && outcome.is_complete());
}

/// One key in two tenants is two keys.
pub async fn one_key_in_two_tenants_records_twice(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    let event = world.event("anna").built();
    world.record(&event).await;
    let tenant = TenantId::new(format!("{}-2", world.tenant)).unwrap();
    let other = event.edited(|fields| {
        fields.tenant = tenant.clone();
        fields.id = InteractionId::fresh();
        fields.offer = OfferId::new("offer-2").unwrap();
    });
    world.record(&other.unwrap()).await;
    world.holds("anna", &[event]).await;
}

/// A caller who has no key gets one at construction, so sending the same interaction again is safe.
pub async fn an_interaction_built_without_a_key_is_recognised_when_sent_again(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    let keyless = || {
        Interaction::builder(&world.tenant, world.mark("anna"))
            .offer("offer-1")
            .creative("creative-1")
            .channel("web")
            .timestamp(noon(0))
            .built()
    };
    let (first, second) = (keyless(), keyless());
    world.record(&first).await;
    let again = world.store.record_event(first.clone()).await.unwrap();
    assert_eq!(again, Recorded::Duplicate(first.id.clone()));
    world.record(&second).await;
    world.holds("anna", &[first, second]).await;
}

/// Of many callers with one key at once, through two handles, one is new and all others get its id.
pub async fn concurrent_retries_from_several_handles_record_once(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    let handles = [Arc::clone(&world.store), world.second_handle().await];
    for round in 0..8 {
        let event = world
            .event("anna")
            .timestamp(noon(round))
            .value(Value::from_micros(1))
            .built();
        let call = |n: usize| {
            let store = Arc::clone(&handles[n % 2]);
            let retry = event.edited(|fields| fields.id = InteractionId::fresh()).unwrap();
            async move { store.record_event(retry).await.unwrap() }
        };
        let answers = together((0..24).map(call)).await;
        let new: Vec<_> = answers.iter().filter(|answer| answer.is_new()).collect();
        assert_eq!(new.len(), 1, "one of the concurrent callers is new");
        assert!(
            answers.iter().all(|answer| answer.id() == new[0].id()),
            "all callers get the id of the first"
        );
        let so_far = u64::try_from(round).unwrap() + 1;
        assert_eq!(
            world.counted("anna").await,
            so_far,
            "concurrent retries contribute once"
        );
    }
    if world.can.history {
        assert_eq!(
            world.history("anna").await.len(),
            8,
            "concurrent retries leave one row"
        );
    }
}

/// Of many callers with one key and unlike content at once, one content wins; the others conflict.
pub async fn concurrent_conflicts_leave_one_winner(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    for round in 0..6 {
        let customer = format!("anna-{round}");
        let event = world.event(&customer).built();
        let call = |n: usize| {
            let store = Arc::clone(&world.store);
            let other = event.edited(|fields| {
                fields.id = InteractionId::fresh();
                fields.offer = OfferId::new(format!("offer-{}", n % 4)).unwrap();
            });
            let other = other.unwrap();
            async move { (other.clone(), store.record_event(other).await) }
        };
        let answers = together((0..24).map(call)).await;
        let winner = answers.iter().find_map(|(event, answer)| match answer {
            Ok(Recorded::New { .. }) => Some(event.clone()),
            _ => None,
        });
        let winner = winner.expect("one of the concurrent callers is new");
        for (event, answer) in answers {
            match answer {
                Ok(recorded) => {
                    assert_eq!(event.offer, winner.offer, "only the winner's content is accepted");
                    assert_eq!(recorded.id(), &winner.id);
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
                    assert_ne!(event.offer, winner.offer);
                }
            }
        }
        world.holds(&customer, &[winner]).await;
    }
}

/// Concurrent batches that overlap record each key once.
pub async fn concurrent_overlapping_batches_record_each_key_once(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    let events: Vec<_> = (0..60)
        .map(|n| {
            world
                .event("anna")
                .timestamp(noon(n * 3_600_000))
                .value(Value::from_micros(n))
                .built()
        })
        .collect();
    let call = |n: usize| {
        let store = Arc::clone(&world.store);
        let mut batch: Vec<_> = events[n * 10..n * 10 + 30].to_vec();
        if n % 2 == 1 {
            batch.reverse();
        }
        async move {
            store
                .record_events(RecordBatch::live(batch))
                .await
                .unwrap()
                .into_values()
                .unwrap()
        }
    };
    let answers = together((0..4).map(call)).await;
    let new = answers.iter().flatten().filter(|answer| answer.is_new()).count();
    assert_eq!(new, 60, "each key is new once");
    world.holds("anna", &events).await;
}

/// Keys are compared whole: long ones that differ in the last byte, and ones that look like another's prefix.
pub async fn keys_that_look_alike_are_different_keys(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    let long = |end: &str| format!("{}{end}", world.mark(&"k".repeat(240)));
    let keys = [
        world.mark("k"),
        world.mark("k "),
        world.mark(" k"),
        world.mark("K"),
        world.mark("k/1"),
        world.mark("k:1"),
        world.mark("k\u{308}"),
        world.mark("ü"),
        world.mark("u\u{308}"),
        long("a"),
        long("b"),
        long(""),
    ];
    let event = |key: &String| world.event("anna").idempotency_key(key).built();
    let events: Vec<_> = keys.iter().map(event).collect();
    for event in &events {
        world.record(event).await;
    }
    world.holds("anna", &events).await;
}

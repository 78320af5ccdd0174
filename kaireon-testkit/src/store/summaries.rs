//! Summaries are the exact fold of everything that was accepted as new.

use std::sync::Arc;

use kaireon_core::store::{RecordBatch, SummaryQuery};
use kaireon_core::{Classification, Dimension, Interaction, InteractionId, InteractionType, Value, ValueSum};

use super::reading::three_offers_in_three_months;
use crate::StoreFixture;
use crate::world::{Built, Need, World, at, fold, noon, together};

/// Offer, creative and channel, each by day, ISO week, month and all time.
pub async fn one_interaction_appears_in_twelve_groups(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    let event = world
        .event("anna")
        .timestamp(at("2026-04-30T08:00:00Z"))
        .id("one")
        .built();
    world.record(&event).await;
    let found = world.summaries("anna").await;
    let groups: Vec<_> = found
        .iter()
        .map(|found| (found.period.key(), found.dimension, found.value.to_string()))
        .collect();
    let mut expected = Vec::new();
    for period in ["2026-04-30", "2026-W18", "2026-04", "all"] {
        expected.push((period.to_owned(), Dimension::Offer, "offer-1".to_owned()));
        expected.push((period.to_owned(), Dimension::Creative, "creative-1".to_owned()));
        expected.push((period.to_owned(), Dimension::Channel, "web".to_owned()));
    }
    assert_eq!(groups, expected);
    for summary in found {
        let stats = summary.stats;
        let counts = (
            stats.impressions,
            stats.positive,
            stats.negative,
            stats.neutral,
            stats.conversions,
        );
        assert_eq!(counts, (1, 0, 0, 1, 0));
        assert_eq!(stats.total_value, ValueSum::default());
        let last = stats.last.expect("a group that was contacted has a last contact");
        assert_eq!((last.timestamp, last.id.as_str()), (event.timestamp, "one"));
        assert_eq!(last.outcome, event.outcome);
    }
}

/// Each type and each classification is counted where it belongs, and nowhere else.
pub async fn types_and_classifications_are_counted_apart(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    let kinds = [
        (InteractionType::Impression, Classification::Neutral, 1),
        (InteractionType::Impression, Classification::Positive, 2),
        (InteractionType::Click, Classification::Positive, 3),
        (InteractionType::Dismiss, Classification::Negative, 4),
        (InteractionType::Accept, Classification::Neutral, 5),
        (InteractionType::Convert, Classification::Positive, 6),
        (InteractionType::Convert, Classification::Negative, 7),
        (InteractionType::Complaint, Classification::Negative, 8),
        (InteractionType::Unsubscribe, Classification::Neutral, 9),
    ];
    let mut events = Vec::new();
    for (kind, classification, times) in kinds {
        for _ in 0..times {
            let event = world
                .event("anna")
                .interaction_type(kind.clone())
                .classification(classification);
            events.push(event.built());
        }
    }
    world.record_all(&events).await;
    let stats = world
        .stats("anna", "offer-1", "all")
        .await
        .expect("the group is there");
    assert_eq!(stats.impressions, 3, "impressions of every classification");
    assert_eq!(stats.conversions, 13, "conversions of every classification");
    assert_eq!((stats.positive, stats.negative, stats.neutral), (11, 19, 15));
    assert_eq!(stats.interactions(), 45);
    world.holds("anna", &events).await;
}

/// A type of the host's own counts by its classification alone.
pub async fn custom_types_count_by_their_classification_alone(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    let names = ["page_view", "Impression", "converted", "größe ☃"];
    let event = |name: &&str| {
        let kind = InteractionType::parse(name).unwrap();
        world
            .event("anna")
            .interaction_type(kind)
            .classification(Classification::Positive)
            .built()
    };
    let events: Vec<_> = names.iter().map(event).collect();
    world.record_all(&events).await;
    let stats = world
        .stats("anna", "offer-1", "2024-05-15")
        .await
        .expect("the group is there");
    assert_eq!((stats.impressions, stats.conversions, stats.positive), (0, 0, 4));
    world.holds("anna", &events).await;
}

/// Values are exact decimals: no rounding, no overflow, whatever the order.
pub async fn values_are_summed_exactly_in_any_order(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    let tenths = vec![100_000_i64; 30];
    let large = vec![i64::MAX, i64::MAX, 1, i64::MIN, i64::MAX, -1];
    let mixed = vec![
        9_007_199_254_740_993,
        1,
        1,
        -3,
        4_503_599_627_370_497,
        333_333,
        333_333,
        333_334,
    ];
    for (name, micros) in [("tenths", tenths), ("large", large), ("mixed", mixed)] {
        for reversed in [false, true] {
            let customer = format!("{name}-{reversed}");
            let mut micros = micros.clone();
            if reversed {
                micros.reverse();
            }
            let event = |&micros: &i64| {
                let convert = world.event(&customer).interaction_type(InteractionType::Convert);
                convert.value(Value::from_micros(micros)).built()
            };
            for event in micros.iter().map(event) {
                world.record(&event).await;
            }
            let sum: i128 = micros.iter().map(|&micros| i128::from(micros)).sum();
            for period in ["2024-05-15", "2024-W20", "2024-05", "all"] {
                let stats = world
                    .stats(&customer, "offer-1", period)
                    .await
                    .expect("the group is there");
                assert_eq!(stats.total_value, ValueSum::from_micros(sum), "the sum of {name}");
            }
        }
    }
}

/// A value counts whatever the type; an absent one counts as nothing.
pub async fn values_of_every_type_are_summed(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    let click = world
        .event("anna")
        .interaction_type(InteractionType::Click)
        .value("1.5".parse().unwrap());
    let convert = world
        .event("anna")
        .interaction_type(InteractionType::Convert)
        .value("-0.25".parse().unwrap());
    let events = [click.built(), convert.built(), world.event("anna").built()];
    world.record_all(&events).await;
    let stats = world
        .stats("anna", "offer-1", "all")
        .await
        .expect("the group is there");
    assert_eq!(stats.total_value.to_string(), "1.25");
    world.holds("anna", &events).await;
}

/// The same interactions in three orders of arrival give the same summaries.
pub async fn every_order_of_arrival_gives_the_same_summaries(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    let mut random = fastrand::Rng::with_seed(7);
    let mut orders = Vec::new();
    for customer in ["forward", "backward", "shuffled"] {
        let event = |n: i64| {
            let kind = if n % 3 == 0 {
                InteractionType::Convert
            } else {
                InteractionType::Impression
            };
            let event = world
                .event(customer)
                .id(format!("id-{n}"))
                .timestamp(noon(n * 40_000_000 % 3_000_000_000));
            event
                .offer(format!("offer-{}", n % 4))
                .interaction_type(kind)
                .value(Value::from_micros(n * 7 - 90))
                .built()
        };
        let mut events: Vec<_> = (0..60).map(event).collect();
        match customer {
            "backward" => events.reverse(),
            "shuffled" => random.shuffle(&mut events),
            _ => {}
        }
        for event in &events {
            world.record(event).await;
        }
        world.holds(customer, &events).await;
        orders.push(world.summaries(customer).await);
    }
    assert!(
        orders[0] == orders[1] && orders[1] == orders[2],
        "the order of arrival does not show"
    );
}

/// The last contact is the greatest by timestamp, then id, whatever came last.
pub async fn the_last_contact_is_the_greatest_by_timestamp_and_id(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    let arrivals = [
        ("b", 1_000, "first"),
        ("a", 2_000, "newest"),
        ("z", 1_999, "older"),
        ("c", 2_000, "tie"),
        ("bb", 2_000, "lower"),
        ("C", 2_000, "capital"),
        ("\u{e9}", 0, "oldest"),
    ];
    let mut expected = ("", i64::MIN, "");
    for (id, at, outcome) in arrivals {
        world
            .record(
                &world
                    .event("anna")
                    .id(id)
                    .timestamp(noon(at))
                    .outcome(outcome)
                    .built(),
            )
            .await;
        if (at, id) > (expected.1, expected.0) {
            expected = (id, at, outcome);
        }
        for period in ["2024-05-15", "2024-W20", "2024-05", "all"] {
            let stats = world
                .stats("anna", "offer-1", period)
                .await
                .expect("the group is there");
            let last = stats.last.expect("a group that was contacted has a last contact");
            let found = (last.id.as_str(), last.timestamp, last.outcome.as_str());
            assert_eq!(
                found,
                (expected.0, noon(expected.1), expected.2),
                "the last contact of {period}"
            );
        }
    }
    assert_eq!(expected.0, "c", "this case compares ids as bytes");
}

/// What was acknowledged is in the summaries that are read next, through this handle and another.
pub async fn summaries_include_every_write_that_was_acknowledged(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    let other = world.second_handle().await;
    let mut events: Vec<Interaction> = Vec::new();
    for n in 0..20 {
        let event = world.event("anna").timestamp(noon(n)).built();
        match n % 2 {
            0 => world.record(&event).await,
            _ => {
                let batch = RecordBatch::live([event.clone()]);
                other.record_events(batch).await.unwrap().into_values().unwrap();
            }
        }
        events.push(event);
        let expected = fold(&events);
        let query = || SummaryQuery::new(world.tenant.clone(), world.customer("anna"));
        assert_eq!(
            world.store.get_summaries(query()).await.unwrap(),
            expected,
            "the handle reads every write"
        );
        assert_eq!(
            other.get_summaries(query()).await.unwrap(),
            expected,
            "another handle reads every write"
        );
    }
}

/// Summaries stay when the rows behind them are purged, and grow on from where they were.
pub async fn summaries_outlive_the_rows_that_are_purged(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Purge]).await {
        return;
    }
    let mut events = three_offers_in_three_months(&world).await;
    let before = world.summaries("anna").await;
    world.purge(at("2024-05-01T00:00:00Z")).await;
    assert_eq!(
        world.summaries("anna").await,
        before,
        "a purge leaves the summaries"
    );
    let event = world.event("anna").offer("a").creative("a").channel("ab").built();
    world.record(&event).await;
    events.push(event);
    assert_eq!(
        world.summaries("anna").await,
        fold(&events),
        "summaries grow on after a purge"
    );
}

/// A customer with very many offers has a group of each.
pub async fn a_customer_of_many_offers_has_a_group_of_each(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    let offer = |n: i64| format!("offer-{n}-{}", "x".repeat(usize::try_from(n % 7).unwrap() * 20));
    let event = |n: i64| {
        world
            .event("anna")
            .offer(offer(n))
            .creative(format!("creative-{}", n % 50))
            .timestamp(noon(n))
            .built()
    };
    let events: Vec<_> = (0..400).map(event).collect();
    world.record_all(&events).await;
    let found = world.summaries("anna").await;
    assert_eq!(found.len(), (400 + 50 + 1) * 4);
    world.holds("anna", &events).await;
}

/// One customer's contacts are not another's, and who was never contacted has no summaries.
pub async fn customers_have_summaries_of_their_own(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    let anna = [
        world.event("anna").built(),
        world.event("anna").offer("offer-2").built(),
    ];
    let ann = [world.event("ann").value(Value::from_micros(1)).built()];
    world.record_all(&anna).await;
    world.record_all(&ann).await;
    world.holds("anna", &anna).await;
    world.holds("ann", &ann).await;
    world.holds("an", &[]).await;
}

/// Many writers of one customer at once lose nothing of each other.
pub async fn concurrent_writers_of_one_customer_lose_nothing(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    let handles = [Arc::clone(&world.store), world.second_handle().await];
    let event = |n: i64| {
        let event = world
            .event("anna")
            .timestamp(noon(n * 7_200_000))
            .value(Value::from_micros(n));
        event
            .id(format!("id-{n}"))
            .offer(format!("offer-{}", n % 3))
            .built()
    };
    let events: Vec<_> = (0..120).map(event).collect();
    let writer = |n: usize| {
        let store = Arc::clone(&handles[n % 2]);
        let mine: Vec<_> = events.iter().skip(n).step_by(12).cloned().collect();
        async move {
            for event in mine {
                let id: InteractionId = event.id.clone();
                let recorded = store.record_event(event).await.unwrap();
                assert!(recorded.is_new() && recorded.id() == &id);
            }
        }
    };
    together((0..12).map(writer)).await;
    world.holds("anna", &events).await;
}

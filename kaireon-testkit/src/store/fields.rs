//! Everything that was given comes back as it was given.

use kaireon_core::time::EARLIEST_MS;
use kaireon_core::{
    Attributes, Classification, Decision, Direction, InteractionType, MAX_ATTRIBUTES_BYTES,
    MAX_ATTRIBUTES_DEPTH, Propensity, RankedOffer, Value,
};
use serde_json::{Value as Json, json};

use crate::StoreFixture;
use crate::world::{Built, Need, World, at, noon};

/// Every field of an interaction, and the absence of every optional one.
pub async fn every_field_of_an_interaction_comes_back(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::History]).await {
        return;
    }
    let full = world
        .event("anna")
        .id("id-1")
        .placement("top/left")
        .category("shoes & more")
        .campaign("größe ☃")
        .recommendation("rec-1")
        .rank(7)
        .interaction_type(InteractionType::parse("page_view").unwrap())
        .outcome("looked \"twice\"")
        .classification(Classification::Negative)
        .direction(Direction::Outbound)
        .value("-12.345678".parse().unwrap())
        .attributes(json!({ "a": [1, null, true, {"b": "ü"}], "mail": world.mark("x") }));
    let events = [full.timestamp(noon(2)).built(), world.event("anna").built()];
    world.record_all(&events).await;
    world.holds("anna", &events).await;
}

/// The ends of every scalar's range.
pub async fn every_edge_of_every_scalar_comes_back(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    let values = [0, 1, -1, i64::MAX, i64::MIN, 999_999, -1_000_000];
    let ranks = [1, 2, 255, 256, 65_536, i32::MAX.unsigned_abs(), u32::MAX];
    let times = [
        EARLIEST_MS,
        EARLIEST_MS + 1,
        1_709_164_799_999,
        1_709_164_800_000,
        4_102_444_799_999,
        1_000_000_000_000,
        999_999_999_999,
    ];
    let event = |n: usize| {
        let time = kaireon_core::time::from_millis(times[n]).unwrap();
        let event = world
            .event("anna")
            .value(Value::from_micros(values[n]))
            .rank(ranks[n])
            .timestamp(time);
        let event = event.classification(
            [
                Classification::Positive,
                Classification::Neutral,
                Classification::Negative,
            ][n % 3],
        );
        event
            .direction([Direction::Inbound, Direction::Outbound][n % 2])
            .built()
    };
    let events: Vec<_> = (0..values.len()).map(event).collect();
    for event in &events {
        world.record(event).await;
    }
    world.holds("anna", &events).await;
}

/// Each known type, and custom ones, come back as themselves.
pub async fn every_interaction_type_comes_back(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    let long = "x".repeat(256);
    let names = [
        "impression",
        "click",
        "dismiss",
        "accept",
        "convert",
        "complaint",
        "unsubscribe",
        "Click",
        "custom",
        "custom:1",
        " ",
        &long,
    ];
    let event = |name: &&str| {
        world
            .event("anna")
            .interaction_type(InteractionType::parse(name).unwrap())
            .built()
    };
    let events: Vec<_> = names.iter().map(event).collect();
    world.record_all(&events).await;
    world.holds("anna", &events).await;
}

/// Attributes of the largest size and depth, and of every kind of JSON value.
pub async fn attributes_of_every_kind_and_size_come_back(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::History]).await {
        return;
    }
    let mark = world.mark("");
    let largest =
        json!({ "a": format!("{mark}{}", "ü".repeat((MAX_ATTRIBUTES_BYTES - 8 - mark.len()) / 2)) });
    assert!(Attributes::from_value(largest.clone()).unwrap().to_json().len() > MAX_ATTRIBUTES_BYTES - 2);
    let deepest = json!({ "a": (2..MAX_ATTRIBUTES_DEPTH).fold(json!([]), |inner, _| json!([inner])) });
    let many: Json = (0..2_000)
        .map(|n| (format!("k{n}"), json!(n)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let values = [
        json!({}),
        json!({ "": "" }),
        json!({ "n": null, "t": true, "f": false }),
        json!({ "big": u64::MAX, "small": i64::MIN, "zero": 0, "minus": -1 }),
        json!({ "tenth": 0.1, "tiny": 5e-324, "huge": 1.797_693_134_862_315_7e308, "e": -2.5e-10 }),
        json!({ "text": "\u{0}\u{1f}\"\\/\u{7f}\u{2028}\u{10ffff} ☃", "k\u{0}y": 1 }),
        json!({ "nested": { "a": [[], {}, [[{"b": []}]]] } }),
        largest,
        deepest,
        many,
    ];
    let mut events = Vec::new();
    for (n, value) in (0..).zip(values) {
        let event = world.event("anna").timestamp(noon(n)).attributes(value).built();
        world.record(&event).await;
        events.push(event);
    }
    world.holds("anna", &events).await;
    if world.can.scan {
        let mut found: Vec<_> = world
            .scan(&world.tenant, 3)
            .await
            .into_iter()
            .map(|found| found.value)
            .collect();
        found.sort_by_key(|event| event.timestamp);
        assert_eq!(found, events);
    }
}

/// Every field of a decision, from no offer to a thousand.
pub async fn every_field_of_a_decision_comes_back(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Decisions]).await {
        return;
    }
    let edit = |fields: &mut kaireon_core::DecisionFields| {
        for (n, offer) in fields.offers.iter_mut().enumerate() {
            let RankedOffer {
                rank,
                offer: _,
                creative: _,
                channel: _,
                placement,
                category,
                campaign,
                propensity,
            } = offer;
            *placement = (n % 2 == 0).then(|| kaireon_core::PlacementId::new("p").unwrap());
            *category = (n % 3 == 0).then(|| kaireon_core::CategoryId::new("c").unwrap());
            *campaign = (n % 5 == 0).then(|| kaireon_core::CampaignId::new("größe").unwrap());
            *propensity = match n % 4 {
                0 => None,
                1 => Some(Propensity::new(0.0).unwrap()),
                2 => Some(Propensity::new(1.0).unwrap()),
                _ => Some(Propensity::new(1.0 / f64::from(*rank)).unwrap()),
            };
        }
        fields.attributes = Attributes::from_value(json!({ "who": world.mark("x"), "a": [0.1] })).unwrap();
        fields.timestamp = at("2024-02-29T23:59:59.999Z");
    };
    let mut decisions: Vec<Decision> = Vec::new();
    for offers in [0, 1, 12, 1_000] {
        decisions.push(
            world
                .decision(&format!("r{offers}"), "anna", offers)
                .edited(edit)
                .unwrap(),
        );
    }
    for decision in &decisions {
        assert!(
            world
                .store
                .record_decision(decision.clone())
                .await
                .unwrap()
                .is_new()
        );
    }
    for decision in decisions {
        let found = world.store.decision(&world.tenant, &decision.id).await.unwrap();
        assert_eq!(found, Some(decision));
    }
}

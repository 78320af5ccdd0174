//! Everything that was given comes back as it was given.

use kaireon_core::outbox::{Lane, LaneSet, OutboxPayload};
use kaireon_core::time::EARLIEST_MS;
use kaireon_core::{
    Attributes, ChannelId, Classification, CreativeId, CustomerId, Decision, DecisionFlowKey, Direction,
    Interaction, InteractionType, MAX_ATTRIBUTES_BYTES, MAX_ATTRIBUTES_DEPTH, MAX_ID_BYTES, OfferId,
    Propensity, RankedOffer, RecommendationId, TenantId, Value,
};
use serde_json::{Value as Json, json};

use crate::StoreFixture;
use crate::outbox::drain;
use crate::world::{Built, Need, World, at, noon, same};

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

/// Letters of each width, and what is an escape or a delimiter to somebody on the way.
const HOSTILE: &[&str] = &["ü", "☃\u{10ffff}", "😀", "\\u0000\\ud800", "'\"\\%_$1;--"];

/// An id of the greatest length that begins so and goes on with this.
fn longest(begin: &str, unit: &str) -> String {
    let mut id = begin.to_owned();
    while id.len() + unit.len() <= MAX_ID_BYTES {
        id.push_str(unit);
    }
    while id.len() < MAX_ID_BYTES {
        id.push('x');
    }
    id
}

/// Attributes of nearly the greatest size, of this and of what no text of a database may hold.
fn heaviest(mark: &str, unit: &str) -> Json {
    let of = |times: usize| json!({ "nul": "\u{0}", "k\u{0}": mark, "lone": "\\ud800", "text": unit.repeat(times) });
    let bytes = |json: &Json| json.to_string().len();
    let each = bytes(&of(1)) - bytes(&of(0));
    let heaviest = of((MAX_ATTRIBUTES_BYTES - bytes(&of(0))) / each);
    assert!(bytes(&heaviest) > MAX_ATTRIBUTES_BYTES - 64);
    heaviest
}

fn hostile_event(world: &World<'_>, n: i64, unit: &str) -> Interaction {
    let id = |begin: &str| longest(begin, unit);
    let event = Interaction::builder(&world.tenant, longest(&world.mark(""), unit))
        .id(id("i"))
        .idempotency_key(longest(&world.mark("key"), unit))
        .offer(id("o"))
        .creative(id("c"))
        .channel(id("w"))
        .placement(id("p"))
        .category(id("k"))
        .campaign(id("g"))
        .recommendation(id("r"))
        .interaction_type(InteractionType::parse(&id("t")).unwrap())
        .outcome(id("u"))
        .timestamp(noon(n))
        .attributes(heaviest(&world.mark(""), unit));
    event.built()
}

fn hostile_decision(world: &World<'_>, unit: &str) -> Decision {
    let id = |begin: &str| longest(begin, unit);
    let edit = |fields: &mut kaireon_core::DecisionFields| {
        fields.id = RecommendationId::new(id("r")).unwrap();
        fields.customer = CustomerId::new(longest(&world.mark(""), unit)).unwrap();
        fields.flow = DecisionFlowKey::new(id("f")).unwrap();
        let offer = OfferId::new(id("o")).unwrap();
        let (creative, channel) = (
            CreativeId::new(id("c")).unwrap(),
            ChannelId::new(id("w")).unwrap(),
        );
        fields.offers = vec![RankedOffer::new(1, offer, creative, channel)];
        fields.attributes = Attributes::from_value(heaviest(&world.mark(""), unit)).unwrap();
    };
    world.decision("r", "anna", 1).edited(edit).unwrap()
}

/// A world whose tenant's name is as long as any, too.
async fn hostile_world<'f>(fixture: &'f dyn StoreFixture, unit: &str) -> World<'f> {
    let mut world = World::open(fixture).await;
    world.tenant = TenantId::new(longest(world.tenant.as_str(), unit)).unwrap();
    world
}

/// Ids of 256 bytes in letters of one to four, attributes of 64 KiB with a NUL and what looks like half a surrogate:
/// recorded, recognised, and read as they were given.
pub async fn the_longest_ids_and_texts_of_every_kind_come_back(fixture: &dyn StoreFixture) {
    for unit in HOSTILE {
        let world = hostile_world(fixture, unit).await;
        let event = hostile_event(&world, 0, unit);
        world.record(&event).await;
        let again = world.store.record_event(event.clone()).await.unwrap();
        assert_eq!((again.is_new(), again.id()), (false, &event.id), "{unit}");
        let batch = [hostile_event(&world, 1, unit)
            .edited(|fields| {
                fields.id = kaireon_core::InteractionId::fresh();
                fields.idempotency_key = world.key("other");
            })
            .unwrap()];
        world.record_all(&batch).await;
        let customer = &longest(&world.mark(""), unit)[world.mark("").len()..];
        let events = [event, batch[0].clone()];
        world.holds(customer, &events).await;
        if world.can.scan {
            let found = world.scan(&world.tenant, 1).await;
            let mut found: Vec<_> = found.into_iter().map(|found| found.value).collect();
            found.sort_by_key(|event| event.timestamp);
            same(&found, &events, "a scan returns what was accepted");
        }
        if world.can.decisions {
            let decision = hostile_decision(&world, unit);
            let recorded = world.store.record_decision(decision.clone()).await.unwrap();
            assert!(recorded.is_new(), "{unit}");
            let again = world.store.record_decision(decision.clone()).await.unwrap();
            assert!(!again.is_new(), "{unit}");
            let found = world.store.decision(&world.tenant, &decision.id).await.unwrap();
            assert_eq!(found.as_ref(), Some(&decision), "{unit}");
            if world.can.scan {
                let found = world.scan_decisions(&world.tenant, 1).await;
                let found: Vec<_> = found.into_iter().map(|found| found.value).collect();
                same(&found, &[decision], "a scan returns what was accepted");
            }
        }
    }
}

/// The same through the outbox: an entry is what was accepted.
pub async fn the_longest_ids_and_texts_of_every_kind_are_told(fixture: &dyn StoreFixture) {
    for unit in HOSTILE {
        let world = hostile_world(fixture, unit).await;
        if !world.can(&[Need::Outbox]).await {
            return;
        }
        let outbox = world.outbox();
        outbox.set_lanes(LaneSet::of(&Lane::ALL)).await.unwrap();
        let event = hostile_event(&world, 0, unit);
        world.record(&event).await;
        let mut expected = vec![OutboxPayload::Interaction(event)];
        if world.can.decisions {
            let decision = hostile_decision(&world, unit);
            world.store.record_decision(decision.clone()).await.unwrap();
            expected.push(OutboxPayload::Decision(decision));
        }
        for lane in Lane::ALL {
            let found = drain(&outbox, lane, "relay").await;
            let found: Vec<_> = found.into_iter().map(|entry| entry.payload).collect();
            same(&found, &expected, "an entry is what was accepted");
        }
    }
}

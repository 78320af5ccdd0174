//! Every bound of the domain's values, at it and one past it: taken by the constructor, and read by serde.

use std::time::Duration;

use chrono::TimeDelta;
use kaireon_core::breaker::{BreakerConfig, check_name};
use kaireon_core::cache::CacheKey;
use kaireon_core::limiter::{LimitKey, RateLimit};
use kaireon_core::publisher::Subscription;
use kaireon_core::search::RebuildName;
use kaireon_core::time::{Clock, ManualClock, SystemClock, from_millis};
use kaireon_core::{
    Attributes, CampaignId, CategoryId, ChannelId, CreativeId, CustomerId, Error, EventType, IdempotencyKey,
    Interaction, InteractionId, InteractionType, OfferId, PlacementId, RecommendationId, Result, TenantId,
    Value,
};
use serde::de::DeserializeOwned;

/// Of a text of 1 to `most` bytes: taken at its ends, refused past them, with the field's name.
fn texts(most: usize, field: &str, take: impl Fn(&str) -> Result<()>) {
    for good in ["x".to_owned(), "x".repeat(most), "é".repeat(most / 2)] {
        take(&good).unwrap();
    }
    let past = "x".repeat(most + 1);
    for wrong in ["", past.as_str(), "a\u{0}b", "a\nb", "a\u{7f}b", "a\u{85}b"] {
        let error = take(wrong).unwrap_err();
        assert_eq!(error.field(), Some(field), "{wrong:?}");
    }
}

/// The same of a type that is a text: by its constructor, and through serde.
fn names<T: DeserializeOwned>(field: &str, new: impl Fn(&str) -> Result<T>) {
    texts(256, field, |text| new(text).map(drop));
    let json = |text: &str| serde_json::to_string(text).unwrap();
    assert!(serde_json::from_str::<T>(&json(&"x".repeat(256))).is_ok());
    for wrong in [String::new(), "x".repeat(257), "a\u{0}b".to_owned()] {
        assert!(
            serde_json::from_str::<T>(&json(&wrong)).is_err(),
            "{field} {wrong:?}"
        );
    }
}

#[test]
fn names_are_1_to_256_bytes_without_control_characters() {
    names("tenant_id", |text| TenantId::new(text));
    names("customer_id", |text| CustomerId::new(text));
    names("offer_id", |text| OfferId::new(text));
    names("creative_id", |text| CreativeId::new(text));
    names("channel_id", |text| ChannelId::new(text));
    names("placement_id", |text| PlacementId::new(text));
    names("category_id", |text| CategoryId::new(text));
    names("campaign_id", |text| CampaignId::new(text));
    names("recommendation_id", |text| RecommendationId::new(text));
    names("interaction_id", |text| InteractionId::new(text));
    names("idempotency_key", |text| IdempotencyKey::new(text));
    names("interaction_type", InteractionType::parse);
    names("event_type", |text| EventType::new(text));
}

#[test]
fn names_of_what_is_not_stored_have_their_bounds_as_well() {
    let tenant = TenantId::new("acme").unwrap();
    texts(256, "breaker", check_name);
    texts(256, "limit_key", |name| LimitKey::new(&tenant, name).map(drop));
    texts(1_024, "cache_key", |name| CacheKey::new(&tenant, name).map(drop));
    let topics = || [EventType::interaction_recorded()];
    texts(256, "group", |group| {
        Subscription::to(topics()).in_group(group).check()
    });
    assert!(RebuildName::new("x".repeat(64)).is_ok());
    for wrong in ["", "X", "1x", "-x", "a b", "é", &"x".repeat(65)] {
        let error = RebuildName::new(wrong).unwrap_err();
        assert_eq!(error.field(), Some("rebuild_name"), "{wrong:?}");
    }
}

/// Puts one field out of bounds.
type Spoil = fn(&mut BreakerConfig);

#[test]
fn no_bound_of_a_breaker_or_a_limit_is_zero() {
    let smallest = BreakerConfig {
        failures: 1,
        open_for: Duration::from_nanos(1),
        probes: 1,
        probe_timeout: Duration::from_nanos(1),
    };
    smallest.check().unwrap();
    let wrong: [(&str, Spoil); 4] = [
        ("failures", |config| config.failures = 0),
        ("open_for", |config| config.open_for = Duration::ZERO),
        ("probes", |config| config.probes = 0),
        ("probe_timeout", |config| config.probe_timeout = Duration::ZERO),
    ];
    for (field, set) in wrong {
        let mut config = smallest;
        set(&mut config);
        assert_eq!(config.check().unwrap_err().field(), Some(field));
    }
    let limit = |limit, window| RateLimit { limit, window }.check();
    limit(1, Duration::from_millis(1)).unwrap();
    let field = |checked: Result<()>| checked.unwrap_err().field().map(str::to_owned);
    assert_eq!(
        field(limit(0, Duration::from_millis(1))).as_deref(),
        Some("limit")
    );
    assert_eq!(
        field(limit(1, Duration::from_micros(999))).as_deref(),
        Some("window")
    );
}

/// An interaction at a time, by a clock that stands still.
fn at(by: TimeDelta, clock: &ManualClock) -> Result<Interaction> {
    Interaction::builder("acme", "c7")
        .offer("shoes")
        .creative("banner")
        .channel("web")
        .timestamp(clock.now() + by)
        .build_at(clock)
}

fn field(error: &Error) -> Option<&str> {
    error.field()
}

#[test]
fn times_are_from_2000_to_a_day_ahead() {
    let clock = ManualClock::at(SystemClock.now());
    let (day, tick) = (TimeDelta::hours(24), TimeDelta::milliseconds(1));
    let first = from_millis(946_684_800_000).unwrap() - clock.now();
    at(day, &clock).unwrap();
    at(first, &clock).unwrap();
    assert_eq!(field(&at(day + tick, &clock).unwrap_err()), Some("timestamp"));
    assert_eq!(field(&at(first - tick, &clock).unwrap_err()), Some("timestamp"));
    // Serde knows no clock: the far end is that of the years, and the day ahead is asked of what it read.
    let json = serde_json::to_value(at(TimeDelta::zero(), &clock).unwrap()).unwrap();
    let with = |time: &str| {
        let mut json = json.clone();
        json["timestamp"] = time.into();
        serde_json::from_value::<Interaction>(json)
    };
    assert!(with("2000-01-01T00:00:00.000Z").is_ok());
    assert!(with("1999-12-31T23:59:59.999Z").is_err());
    assert!(
        with("9999-12-31T23:59:59.999Z")
            .unwrap()
            .check_at(&clock)
            .is_err()
    );
}

#[test]
fn attributes_are_64_kib_of_64_levels_through_serde_too() {
    let of_bytes = |bytes: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(bytes - 8));
    assert!(serde_json::from_str::<Attributes>(&of_bytes(65_536)).is_ok());
    assert!(serde_json::from_str::<Attributes>(&of_bytes(65_537)).is_err());
    let of_levels = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
    assert!(serde_json::from_str::<Attributes>(&of_levels(64)).is_ok());
    assert!(serde_json::from_str::<Attributes>(&of_levels(65)).is_err());
}

#[test]
fn values_have_six_decimals_in_64_bits() {
    for (text, micros) in [
        ("9223372036854.775807", i64::MAX),
        ("-9223372036854.775808", i64::MIN),
        ("0.000001", 1),
        ("-0.000001", -1),
    ] {
        assert_eq!(text.parse::<Value>().unwrap().micros(), micros);
        let read: Value =
            serde_json::from_value(serde_json::to_value(Value::from_micros(micros)).unwrap()).unwrap();
        assert_eq!(read.micros(), micros);
    }
    for wrong in [
        "9223372036854.775808",
        "-9223372036854.775809",
        "0.0000001",
        "1e3",
        "",
        "NaN",
    ] {
        assert!(wrong.parse::<Value>().is_err(), "{wrong}");
    }
}

//! Which day, ISO week and month an interaction counts in, and reading by period.

use chrono::TimeDelta;
use kaireon_core::store::{DimensionFilter, PeriodRange, SummaryQuery};
use kaireon_core::{Dimension, Period, PeriodType, Value};

use super::reading::{reads, three_offers_in_three_months};
use crate::StoreFixture;
use crate::world::{Built, World, at, fold};

/// An event that comes late belongs to the day, week and month of its own timestamp.
pub async fn late_events_land_in_their_own_day_week_and_month(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    let times = [
        "2024-05-15T12:00:00Z",
        "2024-05-14T12:00:00Z",
        "2024-05-06T00:00:00Z",
        "2024-04-29T00:00:00Z",
        "2023-05-15T12:00:00Z",
    ];
    let mut events = Vec::new();
    for time in times {
        let event = world.event("anna").timestamp(at(time)).built();
        world.record(&event).await;
        events.push(event);
    }
    let count = async |period: &str| {
        let stats = world.stats("anna", "offer-1", period).await;
        stats.map_or(0, |stats| stats.impressions)
    };
    for (period, expected) in [
        ("2024-05-15", 1),
        ("2024-05-14", 1),
        ("2024-05-13", 0),
        ("2024-W20", 2),
        ("2024-W19", 1),
        ("2024-W18", 1),
        ("2024-05", 3),
        ("2024-04", 1),
        ("2023-05", 1),
        ("2023-W20", 1),
        ("all", 5),
    ] {
        assert_eq!(count(period).await, expected, "the count of {period}");
    }
    world.holds("anna", &events).await;
}

/// A period that lies long behind is reached by a late event, also when much was recorded since.
pub async fn closed_periods_are_reached_by_late_events(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    let first = at("2022-01-01T06:00:00Z");
    let day = |n: i64| first + TimeDelta::days(n * 11);
    let mut events: Vec<_> = (0..100)
        .map(|n| world.event("anna").timestamp(day(n)).built())
        .collect();
    world.record_all(&events).await;
    for n in [0, 1, 50, 99] {
        let late = world
            .event("anna")
            .timestamp(day(n) + TimeDelta::hours(1))
            .value(Value::from_micros(n))
            .built();
        world.record(&late).await;
        events.push(late);
    }
    world.holds("anna", &events).await;
}

/// The week of a day near New Year belongs to the year that holds its Thursday.
pub async fn weeks_at_the_edge_of_the_year_are_iso_weeks(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    // From Python's date.isocalendar.
    for (number, (day, week)) in [
        ("2021-01-03", "2020-W53"),
        ("2021-01-04", "2021-W01"),
        ("2023-01-01", "2022-W52"),
        ("2024-01-01", "2024-W01"),
        ("2024-12-30", "2025-W01"),
        ("2024-12-29", "2024-W52"),
        ("2026-12-31", "2026-W53"),
        ("2027-01-01", "2026-W53"),
        ("2027-01-04", "2027-W01"),
        ("2020-12-31", "2020-W53"),
        ("2000-01-01", "1999-W52"),
        ("2025-12-29", "2026-W01"),
    ]
    .into_iter()
    .enumerate()
    {
        let customer = format!("edge-{number}");
        world
            .record(
                &world
                    .event(&customer)
                    .timestamp(at(&format!("{day}T12:00:00Z")))
                    .built(),
            )
            .await;
        let found = world.summaries(&customer).await;
        let weeks: Vec<_> = found
            .iter()
            .filter(|found| {
                found.period.period_type() == PeriodType::Weekly && found.dimension == Dimension::Offer
            })
            .map(|found| found.period.key())
            .collect();
        assert_eq!(weeks, [week], "the week of {day}");
        assert_eq!(
            found.first().map(|found| found.period.key()).as_deref(),
            Some(day)
        );
    }
}

/// Days end at midnight UTC, to the millisecond.
pub async fn days_weeks_and_months_begin_at_midnight_utc(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    // 2024-09-30 is a Monday and the last of its month.
    let times = [
        "2024-09-29T23:59:59.999Z",
        "2024-09-30T00:00:00Z",
        "2024-09-30T23:59:59.999Z",
        "2024-10-01T00:00:00Z",
        "2024-09-30T22:30:00Z",
    ];
    let events: Vec<_> = times
        .iter()
        .map(|time| world.event("anna").timestamp(at(time)).built())
        .collect();
    world.record_all(&events).await;
    for (period, expected) in [
        ("2024-09-29", 1),
        ("2024-09-30", 3),
        ("2024-10-01", 1),
        ("2024-W39", 1),
        ("2024-W40", 4),
        ("2024-09", 4),
        ("2024-10", 1),
    ] {
        let stats = world
            .stats("anna", "offer-1", period)
            .await
            .expect("the group is there");
        assert_eq!(stats.impressions, expected, "the count of {period}");
    }
    world.holds("anna", &events).await;
}

/// A range names a period type and perhaps its ends, which are included; any of several ranges may match.
pub async fn summaries_are_filtered_by_period(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    let events = three_offers_in_three_months(&world).await;
    let query = |periods: Vec<PeriodRange>| SummaryQuery {
        periods,
        ..SummaryQuery::new(world.tenant.clone(), world.customer("anna"))
    };
    let period = |key: &str| key.parse::<Period>().unwrap();
    let between = |from: &str, to: &str| PeriodRange::between(period(from), period(to)).unwrap();
    // Three offers, one creative, one channel.
    for (ranges, periods) in [
        (vec![PeriodRange::every(PeriodType::Daily)], 3),
        (vec![PeriodRange::every(PeriodType::AllTime)], 1),
        (vec![PeriodRange::exactly(period("2024-04"))], 1),
        (vec![PeriodRange::exactly(period("2024-W20"))], 1),
        (vec![between("2024-04", "2024-05")], 2),
        (vec![between("2024-04-11", "2024-05-15")], 2),
        (vec![between("2024-04-12", "2024-05-14")], 0),
        (vec![between("2024-W01", "2024-W15")], 2),
        (
            vec![PeriodRange::containing(
                PeriodType::Weekly,
                at("2024-03-09T00:00:00Z"),
            )],
            1,
        ),
        (
            vec![
                PeriodRange::exactly(period("2024-04")),
                PeriodRange::every(PeriodType::AllTime),
                between("2024-03", "2024-04"),
            ],
            3,
        ),
    ] {
        assert_eq!(reads(&world, &events, query(ranges)).await.len(), periods * 5);
    }
}

/// A dimension and a period together: both must match.
pub async fn summaries_are_filtered_by_dimension_and_period_together(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    let events = three_offers_in_three_months(&world).await;
    let query = SummaryQuery {
        dimensions: vec![DimensionFilter {
            dimension: Dimension::Offer,
            value: Some("ab".into()),
        }],
        periods: vec![
            PeriodRange::exactly("2024-05-15".parse().unwrap()),
            PeriodRange::every(PeriodType::Monthly),
        ],
        ..SummaryQuery::new(world.tenant.clone(), world.customer("anna"))
    };
    assert_eq!(reads(&world, &events, query).await.len(), 4);
}

/// Ten years of a customer are kept by the day, and any one day is read alone.
pub async fn ten_years_of_a_customer_are_kept_by_the_day(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    let first = at("2014-06-01T09:00:00Z");
    let event = |n: i64| {
        world
            .event("anna")
            .timestamp(first + TimeDelta::days(n * 4))
            .built()
    };
    let events: Vec<_> = (0..913).map(event).collect();
    world.record_all(&events).await;
    let days = SummaryQuery {
        periods: vec![PeriodRange::every(PeriodType::Daily)],
        dimensions: vec![DimensionFilter {
            dimension: Dimension::Offer,
            value: None,
        }],
        ..SummaryQuery::new(world.tenant.clone(), world.customer("anna"))
    };
    assert_eq!(reads(&world, &events, days).await.len(), 913);
    let one = SummaryQuery {
        periods: vec![PeriodRange::containing(PeriodType::Daily, events[400].timestamp)],
        ..SummaryQuery::new(world.tenant.clone(), world.customer("anna"))
    };
    assert_eq!(reads(&world, &events, one).await.len(), 3);
    assert_eq!(world.summaries("anna").await, fold(&events));
}

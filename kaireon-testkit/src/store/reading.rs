//! Reading summaries: in which order, and which of them.

use kaireon_core::store::{DimensionFilter, SummaryQuery};
use kaireon_core::{Dimension, Interaction, Period, PeriodType, Summary};

use crate::StoreFixture;
use crate::world::{Built, World, at, fold};

/// By period type, then newest period first, then by dimension and value.
pub async fn summaries_are_read_in_order(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    let mut events = Vec::new();
    for (n, time) in [
        "2024-05-15T00:00:00Z",
        "2023-12-31T00:00:00Z",
        "2024-05-16T00:00:00Z",
        "2024-06-01T00:00:00Z",
        "2009-02-03T00:00:00Z",
    ]
    .into_iter()
    .enumerate()
    {
        for offer in ["b", "a", "ab", "B", "é"] {
            let event = world
                .event("anna")
                .timestamp(at(time))
                .offer(offer)
                .creative(format!("k{n}"))
                .channel(offer);
            events.push(event.built());
        }
    }
    world.record_all(&events).await;
    let found = world.summaries_as_read(&world.tenant, "anna").await;
    assert!(
        found.windows(2).all(|pair| pair[0].read_order(&pair[1]).is_lt()),
        "reads are ordered, each group once"
    );
    let mut days: Vec<_> = found
        .iter()
        .filter(|found| found.period.period_type() == PeriodType::Daily)
        .map(|found| found.period.key())
        .collect();
    days.dedup();
    assert_eq!(
        days,
        [
            "2024-06-01",
            "2024-05-16",
            "2024-05-15",
            "2023-12-31",
            "2009-02-03"
        ]
    );
    assert_eq!(found.last().map(|found| found.period), Some(Period::ALL_TIME));
    world.holds("anna", &events).await;
}

pub(super) async fn three_offers_in_three_months(world: &World<'_>) -> Vec<Interaction> {
    let mut events = Vec::new();
    for time in [
        "2024-03-10T01:00:00Z",
        "2024-04-11T02:00:00Z",
        "2024-05-15T03:00:00Z",
    ] {
        for offer in ["a", "ab", "b"] {
            let event = world
                .event("anna")
                .timestamp(at(time))
                .offer(offer)
                .creative("a")
                .channel("ab");
            events.push(event.built());
        }
    }
    world.record_all(&events).await;
    events
}

pub(super) async fn reads(world: &World<'_>, events: &[Interaction], query: SummaryQuery) -> Vec<Summary> {
    let expected: Vec<_> = fold(events)
        .into_iter()
        .filter(|summary| query.matches(summary))
        .collect();
    let mut found = world.store.get_summaries(query).await.unwrap();
    found.sort_by(Summary::read_order);
    assert_eq!(found, expected, "a filtered read is a part of the whole");
    found
}

/// A filter names a dimension and perhaps a value; any of several filters may match.
pub async fn summaries_are_filtered_by_dimension(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    let events = three_offers_in_three_months(&world).await;
    let query = |dimensions: Vec<(Dimension, Option<&str>)>| {
        let filter = |(dimension, value): (_, Option<&str>)| DimensionFilter {
            dimension,
            value: value.map(str::to_owned),
        };
        let dimensions = dimensions.into_iter().map(filter).collect();
        SummaryQuery {
            dimensions,
            ..SummaryQuery::new(world.tenant.clone(), world.customer("anna"))
        }
    };
    // Three days, three weeks, three months and all time.
    assert_eq!(
        reads(&world, &events, query(vec![(Dimension::Offer, None)]))
            .await
            .len(),
        30
    );
    assert_eq!(
        reads(&world, &events, query(vec![(Dimension::Offer, Some("a"))]))
            .await
            .len(),
        10
    );
    assert_eq!(
        reads(&world, &events, query(vec![(Dimension::Creative, Some("a"))]))
            .await
            .len(),
        10
    );
    assert_eq!(
        reads(&world, &events, query(vec![(Dimension::Creative, Some("ab"))]))
            .await
            .len(),
        0
    );
    let several = query(vec![
        (Dimension::Offer, Some("b")),
        (Dimension::Channel, None),
        (Dimension::Offer, Some("ab")),
    ]);
    assert_eq!(reads(&world, &events, several).await.len(), 30);
}

//! Counts over what matches: exact.

use kaireon_core::Value;
use kaireon_core::search::{
    DocumentBuilder, Facet, FacetCounts, HistogramInterval, Keyword, SearchQuery, Span, TextMode,
};

use super::SearchFixture;
use super::world::{Need, World, any_of, field, number};
use crate::world::at;

fn terms(name: &str, limit: u32) -> Facet {
    Facet::Terms {
        field: field(name),
        limit,
    }
}

fn histogram(interval: HistogramInterval, limit: u32) -> Facet {
    Facet::DateHistogram {
        field: field("begins"),
        interval,
        limit,
    }
}

fn counted(expected: &[(&str, u64)]) -> FacetCounts {
    let term = |&(value, count): &(&str, u64)| (Keyword::new(value).unwrap(), count);
    FacetCounts::Terms(expected.iter().map(term).collect())
}

fn periods(expected: &[(&str, u64)]) -> FacetCounts {
    let period = |&(key, count): &(&str, u64)| (key.parse().unwrap(), count);
    FacetCounts::DateHistogram(expected.iter().map(period).collect())
}

async fn world_with<'f>(
    fixture: &'f dyn SearchFixture,
    documents: impl Fn(&World<'f>) -> Vec<DocumentBuilder>,
) -> Option<World<'f>> {
    let world = World::open(fixture).await;
    if !world.can(Need::Facets).await {
        return None;
    }
    world.put(documents(&world)).await;
    Some(world)
}

async fn count(world: &World<'_>, facet: Facet) -> FacetCounts {
    let mut facets = world.search(world.query().with_facet(facet)).await.facets;
    assert_eq!(facets.len(), 1, "a facet has one answer");
    facets.remove(0)
}

/// Ties by the value, in the order of bytes; the limit cuts the end.
pub async fn terms_are_counted_most_frequent_first(fixture: &dyn SearchFixture) {
    let brands = ["nord", "sud", "Sud", "nord", "é", "est", "sud", "nord", "est"];
    let documents = |world: &World<'_>| {
        let of = |(n, brand): (usize, &&str)| world.doc(&n.to_string()).keyword("brand", brand);
        brands.iter().enumerate().map(of).collect()
    };
    let Some(world) = world_with(fixture, documents).await else {
        return;
    };
    let all = [("nord", 3), ("est", 2), ("sud", 2), ("Sud", 1), ("é", 1)];
    assert_eq!(count(&world, terms("brand", 1_000)).await, counted(&all));
    assert_eq!(count(&world, terms("brand", 5)).await, counted(&all));
    assert_eq!(count(&world, terms("brand", 2)).await, counted(&all[..2]));
    assert_eq!(count(&world, terms("brand", 1)).await, counted(&all[..1]));
}

/// Not only under the one that was asked for.
pub async fn a_document_counts_under_each_of_its_keywords(fixture: &dyn SearchFixture) {
    let documents = |world: &World<'_>| {
        let both = world
            .doc("a")
            .keyword("size", "41")
            .keyword("size", "42")
            .keyword("size", "42");
        vec![both, world.doc("b").keyword("size", "42"), world.doc("c")]
    };
    let Some(world) = world_with(fixture, documents).await else {
        return;
    };
    assert_eq!(
        count(&world, terms("size", 10)).await,
        counted(&[("42", 2), ("41", 1)])
    );
    let query = world
        .query()
        .with_filter(any_of("size", ["41"]))
        .with_facet(terms("size", 10));
    assert_eq!(
        world.search(query).await.facets,
        [counted(&[("41", 1), ("42", 1)])]
    );
}

/// They may overlap, be open, be empty; the end does not belong to them.
pub async fn number_ranges_are_counted_in_their_order(fixture: &dyn SearchFixture) {
    let prices = ["-1", "0", "9.999999", "10", "10.000001", "20"];
    let documents = |world: &World<'_>| {
        let mut priced: Vec<_> = prices
            .iter()
            .map(|price| world.doc(price).number("price", number(price)))
            .collect();
        priced.push(world.doc("without"));
        priced
    };
    let Some(world) = world_with(fixture, documents).await else {
        return;
    };
    let ranges = vec![
        Span::from(number("10")),
        Span::between(number("0"), number("10")),
        Span::until(number("0")),
        Span::between(number("9"), number("11")),
        Span {
            from: None,
            until: None,
        },
        Span::between(number("5"), number("5")),
        Span::from(Value::from_micros(i64::MAX)),
    ];
    let facet = Facet::NumberRanges {
        field: field("price"),
        ranges,
    };
    assert_eq!(
        count(&world, facet).await,
        FacetCounts::NumberRanges(vec![3, 2, 1, 3, 6, 0, 0])
    );
}

fn dated(world: &World<'_>, times: &[&str]) -> Vec<DocumentBuilder> {
    times
        .iter()
        .map(|time| world.doc(time).date("begins", at(time)))
        .collect()
}

/// In UTC, to the millisecond; days without anything are left out.
pub async fn dates_are_counted_by_day(fixture: &dyn SearchFixture) {
    let times = [
        "2024-02-28T23:59:59.999Z",
        "2024-02-29T00:00:00.000Z",
        "2024-02-29T23:59:59.999Z",
        "2024-03-01T00:00:00.000Z",
        "1969-12-31T23:59:59.999Z",
        "2024-03-09T12:00:00.000Z",
    ];
    let Some(world) = world_with(fixture, |world| dated(world, &times)).await else {
        return;
    };
    let expected = [
        ("1969-12-31", 1),
        ("2024-02-28", 1),
        ("2024-02-29", 2),
        ("2024-03-01", 1),
        ("2024-03-09", 1),
    ];
    assert_eq!(
        count(&world, histogram(HistogramInterval::Day, 100)).await,
        periods(&expected)
    );
}

/// Weeks begin on Monday, and belong to the year of their Thursday.
pub async fn dates_are_counted_by_iso_week(fixture: &dyn SearchFixture) {
    let times = [
        "2020-12-27T23:59:59.999Z",
        "2020-12-28T00:00:00.000Z",
        "2021-01-03T23:59:59.999Z",
        "2021-01-04T00:00:00.000Z",
        "2024-12-29T12:00:00.000Z",
        "2024-12-30T00:00:00.000Z",
        "2025-01-05T12:00:00.000Z",
    ];
    let Some(world) = world_with(fixture, |world| dated(world, &times)).await else {
        return;
    };
    let expected = [
        ("2020-W52", 1),
        ("2020-W53", 2),
        ("2021-W01", 1),
        ("2024-W52", 1),
        ("2025-W01", 2),
    ];
    assert_eq!(
        count(&world, histogram(HistogramInterval::Week, 100)).await,
        periods(&expected)
    );
}

/// Months of every length.
pub async fn dates_are_counted_by_month(fixture: &dyn SearchFixture) {
    let times = [
        "2024-01-31T23:59:59.999Z",
        "2024-02-01T00:00:00.000Z",
        "2024-02-29T23:59:59.999Z",
        "2024-03-01T00:00:00.000Z",
        "2023-12-31T23:59:59.999Z",
    ];
    let Some(world) = world_with(fixture, |world| dated(world, &times)).await else {
        return;
    };
    let expected = [("2023-12", 1), ("2024-01", 1), ("2024-02", 2), ("2024-03", 1)];
    assert_eq!(
        count(&world, histogram(HistogramInterval::Month, 100)).await,
        periods(&expected)
    );
}

/// The limit cuts the beginning.
pub async fn a_histogram_keeps_its_newest_periods(fixture: &dyn SearchFixture) {
    let times = [
        "2020-05-01T00:00:00Z",
        "2021-05-01T00:00:00Z",
        "2021-05-02T00:00:00Z",
        "2024-05-01T00:00:00Z",
    ];
    let Some(world) = world_with(fixture, |world| dated(world, &times)).await else {
        return;
    };
    let newest = [("2021-05", 2), ("2024-05", 1)];
    assert_eq!(
        count(&world, histogram(HistogramInterval::Month, 2)).await,
        periods(&newest)
    );
    assert_eq!(
        count(&world, histogram(HistogramInterval::Month, 1)).await,
        periods(&newest[1..])
    );
}

fn shoes_and_hats(world: &World<'_>) -> Vec<DocumentBuilder> {
    let of = |n: u64| {
        let (title, brand) = if n < 7 { ("shoe", "nord") } else { ("hat", "sud") };
        let document = world.doc(&format!("{n:02}")).title(title).keyword("brand", brand);
        document
            .number("price", number(&n.to_string()))
            .date("begins", at(&format!("2024-05-{:02}T12:00:00Z", n + 1)))
    };
    (0..10).map(of).collect()
}

/// Text and filters narrow the counts; several are answered in their order.
pub async fn facets_count_what_matches(fixture: &dyn SearchFixture) {
    let Some(world) = world_with(fixture, shoes_and_hats).await else {
        return;
    };
    let ranges = vec![Span::from(number("5"))];
    let prices = Facet::NumberRanges {
        field: field("price"),
        ranges,
    };
    let query = world
        .text("shoe", TextMode::AllWords)
        .with_facet(prices.clone())
        .with_facet(terms("brand", 10));
    let found = world
        .search(query.with_facet(histogram(HistogramInterval::Month, 10)))
        .await
        .facets;
    assert_eq!(
        found,
        [
            FacetCounts::NumberRanges(vec![2]),
            counted(&[("nord", 7)]),
            periods(&[("2024-05", 7)])
        ]
    );
    let query = world
        .query()
        .with_filter(any_of("brand", ["sud"]))
        .with_facet(terms("brand", 10))
        .with_facet(prices);
    let found = world.search(query).await.facets;
    assert_eq!(
        found,
        [counted(&[("sud", 3)]), FacetCounts::NumberRanges(vec![3])]
    );
}

/// On each page.
pub async fn facets_count_all_pages(fixture: &dyn SearchFixture) {
    let Some(world) = world_with(fixture, shoes_and_hats).await else {
        return;
    };
    let mut query = world.query().with_facet(terms("brand", 10));
    query.limit = 2;
    for _ in 0..3 {
        let results = world.search(query.clone()).await;
        assert_eq!(results.facets, [counted(&[("nord", 7), ("sud", 3)])]);
        query = SearchQuery {
            cursor: results.next,
            ..query
        };
    }
}

/// Empty, and no error: a host may ask before the first document has the field.
pub async fn a_facet_of_a_field_that_nothing_has_is_empty(fixture: &dyn SearchFixture) {
    let documents = |world: &World<'_>| vec![world.doc("a").keyword("x", "y")];
    let Some(world) = world_with(fixture, documents).await else {
        return;
    };
    assert_eq!(count(&world, terms("unheard_of", 10)).await, counted(&[]));
    let ranges = vec![Span {
        from: None,
        until: None,
    }];
    let facet = Facet::NumberRanges {
        field: field("x"),
        ranges,
    };
    assert_eq!(count(&world, facet).await, FacetCounts::NumberRanges(vec![0]));
    assert_eq!(
        count(&world, histogram(HistogramInterval::Day, 10)).await,
        periods(&[])
    );
}

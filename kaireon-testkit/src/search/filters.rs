//! What must hold for a document to be found, beside its text.

use kaireon_core::Value;
use kaireon_core::search::{Document, Facet, Highlighting, SearchQuery, Span, TextMode};

use super::SearchFixture;
use super::world::{World, any_of, dates, field, kind, number, numbers};
use crate::world::{at, noon};

/// A document with several values, a query with several values: one in common is enough.
pub async fn any_of_the_keywords_is_enough(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    let sized = |id: &str, sizes: &[&str]| {
        sizes
            .iter()
            .fold(world.doc(id), |document, size| document.keyword("size", size))
    };
    world
        .put([
            sized("a", &["40", "41"]),
            sized("b", &["41", "42"]),
            sized("c", &["43"]),
        ])
        .await;
    let sizes = |values: &[&'static str]| world.query().with_filter(any_of("size", values.to_vec()));
    world.finds(sizes(&["41"]), &["a", "b"]).await;
    world.finds(sizes(&["40", "43"]), &["a", "c"]).await;
    world.finds(sizes(&["44"]), &[]).await;
}

/// Filters, also two on one field, narrow each other and the text.
pub async fn every_filter_must_hold(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    let of = |id: &str, brand: &str, price: &str| {
        let document = world
            .doc(id)
            .title("shoe")
            .keyword("brand", brand)
            .keyword("size", "42");
        document.keyword("size", "43").number("price", number(price))
    };
    world
        .put([of("a", "nord", "10"), of("b", "nord", "20"), of("c", "sud", "20")])
        .await;
    let nord = any_of("brand", ["nord"]);
    let dear = numbers("price", Span::from(number("15")));
    world
        .finds(
            world.query().with_filter(nord.clone()).with_filter(dear.clone()),
            &["b"],
        )
        .await;
    let text = world.text("shoe", TextMode::AllWords).with_filter(dear);
    world.finds(text.clone().with_filter(nord), &["b"]).await;
    let both = text
        .with_filter(any_of("size", ["42"]))
        .with_filter(any_of("size", ["43"]));
    world.finds(both.clone(), &["b", "c"]).await;
    world.finds(both.with_filter(any_of("size", ["44"])), &[]).await;
}

/// Who may see nothing sees nothing.
pub async fn an_empty_list_of_keywords_matches_nothing(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    world
        .put([
            world.doc("a").title("shoe").keyword("brand", "nord"),
            world.doc("b").title("shoe"),
        ])
        .await;
    world
        .finds(world.query().with_filter(any_of("brand", [])), &[])
        .await;
    world
        .finds(
            world
                .text("shoe", TextMode::AllWords)
                .with_filter(any_of("brand", [])),
            &[],
        )
        .await;
}

/// Nothing is no value, also where a range has no bounds.
pub async fn a_document_without_the_field_does_not_match(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    let full = world
        .doc("full")
        .keyword("brand", "nord")
        .number("price", number("0"));
    world
        .put([full.date("begins", noon(0)), world.doc("bare").title("nord")])
        .await;
    let open = Span {
        from: None,
        until: None,
    };
    for filter in [
        any_of("brand", ["nord"]),
        numbers(
            "price",
            Span {
                from: None,
                until: None,
            },
        ),
        numbers("price", Span::until(number("1"))),
        dates("begins", open),
    ] {
        world.finds(world.query().with_filter(filter), &["full"]).await;
    }
    world
        .finds(world.query().with_filter(any_of("unheard_of", ["nord"])), &[])
        .await;
}

/// The start belongs to a range, the end does not.
pub async fn number_ranges_include_their_start_and_exclude_their_end(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    let prices = ["-2.5", "0", "9.99", "10", "10.01", "20"];
    world
        .put(prices.map(|price| world.doc(price).number("price", number(price))))
        .await;
    for (range, expected) in [
        (Span::between(number("0"), number("10")), &["0", "9.99"][..]),
        (Span::between(number("10"), number("20")), &["10", "10.01"]),
        (Span::from(number("10")), &["10", "10.01", "20"]),
        (Span::until(number("0")), &["-2.5"]),
        (
            Span {
                from: None,
                until: None,
            },
            &prices,
        ),
    ] {
        world
            .finds(world.query().with_filter(numbers("price", range)), expected)
            .await;
    }
}

/// A float would mix these up.
pub async fn numbers_are_exact_to_the_last_decimal(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    let micros = [
        i64::MIN,
        i64::MIN + 1,
        -1,
        0,
        1,
        (1 << 53) - 1,
        1 << 53,
        (1 << 53) + 1,
        i64::MAX - 1,
        i64::MAX,
    ];
    world
        .put(micros.map(|micros| {
            world
                .doc(&micros.to_string())
                .number("n", Value::from_micros(micros))
        }))
        .await;
    for (n, &from) in micros.iter().enumerate() {
        let from_here: Vec<_> = micros[n..].iter().map(ToString::to_string).collect();
        let from_here: Vec<_> = from_here.iter().map(String::as_str).collect();
        let range = Span::from(Value::from_micros(from));
        world
            .finds(world.query().with_filter(numbers("n", range)), &from_here)
            .await;
    }
}

/// Times as well, at both ends of the calendar.
pub async fn date_ranges_are_exact_to_the_millisecond(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    let times = [
        "0001-01-01T00:00:00.000Z",
        "1969-12-31T23:59:59.999Z",
        "1970-01-01T00:00:00.000Z",
        "2024-02-29T12:00:00.001Z",
        "2024-02-29T12:00:00.002Z",
        "9999-12-31T23:59:59.999Z",
    ];
    world
        .put(times.map(|time| world.doc(time).date("begins", at(time))))
        .await;
    for n in 0..times.len() {
        let query = world
            .query()
            .with_filter(dates("begins", Span::from(at(times[n]))));
        world.finds(query, &times[n..]).await;
        let query = world
            .query()
            .with_filter(dates("begins", Span::until(at(times[n]))));
        world.finds(query, &times[..n]).await;
    }
}

/// A range that ends where it begins, or before.
pub async fn empty_ranges_match_nothing(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    world
        .put([world
            .doc("a")
            .number("price", number("5"))
            .date("begins", noon(0))])
        .await;
    for (from, until) in [("5", "5"), ("6", "4")] {
        let range = Span::between(number(from), number(until));
        world
            .finds(world.query().with_filter(numbers("price", range)), &[])
            .await;
    }
    let range = Span::between(noon(0), noon(0));
    world
        .finds(world.query().with_filter(dates("begins", range)), &[])
        .await;
}

/// One kind, several, or all.
pub async fn kinds_limit_what_is_found(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    let of = |kind: &str| Document::builder(&world.tenant, kind, kind).title("shoe");
    world.put(["offer", "Offer", "category", "flow"].map(of)).await;
    for (kinds, expected) in [
        (&["offer"][..], &["offer"][..]),
        (&["offer", "flow"], &["offer", "flow"]),
        (&["off"], &[]),
        (&[], &["offer", "Offer", "category", "flow"]),
    ] {
        let query = SearchQuery {
            kinds: kinds.iter().map(|name| kind(name)).collect(),
            ..world.text("shoe", TextMode::AllWords)
        };
        world.finds(query, expected).await;
    }
}

/// The types of fields have names of their own.
pub async fn fields_of_one_name_and_two_types_are_two_fields(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    world
        .put([
            world.doc("keyword").keyword("x", "5"),
            world.doc("number").number("x", number("5")),
            world.doc("date").date("x", noon(0)),
            world
                .doc("all")
                .keyword("x", "5")
                .number("x", number("5"))
                .date("x", noon(0)),
        ])
        .await;
    world
        .finds(world.query().with_filter(any_of("x", ["5"])), &["keyword", "all"])
        .await;
    world
        .finds(
            world.query().with_filter(numbers("x", Span::from(number("5")))),
            &["number", "all"],
        )
        .await;
    world
        .finds(
            world.query().with_filter(dates("x", Span::from(noon(0)))),
            &["date", "all"],
        )
        .await;
}

/// Each bound, by its name.
pub async fn bounds_of_a_query_are_checked(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    for limit in [0, 1_001] {
        world
            .refuses(
                SearchQuery {
                    limit,
                    ..world.query()
                },
                "limit",
            )
            .await;
    }
    world
        .search(SearchQuery {
            limit: 1_000,
            ..world.query()
        })
        .await;
    let kinds = (0..101).map(|n| kind(&format!("k{n}"))).collect();
    world
        .refuses(
            SearchQuery {
                kinds,
                ..world.query()
            },
            "kinds",
        )
        .await;
    let filters = vec![any_of("brand", ["nord"]); 101];
    world
        .refuses(
            SearchQuery {
                filters,
                ..world.query()
            },
            "filters",
        )
        .await;
    let many: Vec<_> = (0..1_001).map(|n| n.to_string()).collect();
    let filter = any_of("brand", many.iter().map(String::as_str));
    world.refuses(world.query().with_filter(filter), "filters").await;
    let at_the_bound = any_of("brand", many[..1_000].iter().map(String::as_str));
    world.finds(world.query().with_filter(at_the_bound), &[]).await;
    for limit in [0, 1_001] {
        let brand = field("brand");
        world
            .refuses(
                world.query().with_facet(Facet::Terms { field: brand, limit }),
                "facets",
            )
            .await;
    }
    let ranges = Vec::new();
    let empty = Facet::NumberRanges {
        field: field("price"),
        ranges,
    };
    world.refuses(world.query().with_facet(empty), "facets").await;
    for (per_field, max_bytes) in [(0, 100), (11, 100), (1, 31), (1, 65_537)] {
        let highlighting = Highlighting::Fragments { per_field, max_bytes };
        world
            .refuses(
                SearchQuery {
                    highlighting,
                    ..world.query()
                },
                "highlighting",
            )
            .await;
    }
}

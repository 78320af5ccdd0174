//! The order of the hits.

use kaireon_core::Value;
use kaireon_core::search::{Document, SortField, SortOrder, TextMode};

use super::SearchFixture;
use super::world::{World, field, number};
use crate::world::at;

use SortOrder::{Ascending, Descending};

async fn sorted(world: &World<'_>, sort: SortField, order: SortOrder) -> Vec<String> {
    world.found(world.query().sorted_by(sort, order)).await
}

/// Also those that a float cannot tell apart.
pub async fn numbers_sort_in_either_direction(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    let micros = [i64::MIN, -10, -9, 0, 9, 10, 1 << 53, (1 << 53) + 1, i64::MAX];
    // Ids fall where numbers rise, so that no other order passes for this one.
    let of = |(n, &micros): (usize, &i64)| {
        world
            .doc(&format!("{}", 9 - n))
            .number("n", Value::from_micros(micros))
    };
    world.put(micros.iter().enumerate().map(of)).await;
    let mut expected: Vec<_> = (1..=9).rev().map(|n| n.to_string()).collect();
    assert_eq!(
        sorted(&world, SortField::Number(field("n")), Ascending).await,
        expected
    );
    expected.reverse();
    assert_eq!(
        sorted(&world, SortField::Number(field("n")), Descending).await,
        expected
    );
}

/// To the millisecond.
pub async fn dates_sort_in_either_direction(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    let times = [
        ("c", "0001-01-01T00:00:00Z"),
        ("a", "2024-05-15T12:00:00.001Z"),
        ("b", "2024-05-15T12:00:00.002Z"),
    ];
    world
        .put(times.map(|(id, time)| world.doc(id).date("begins", at(time))))
        .await;
    assert_eq!(
        sorted(&world, SortField::Date(field("begins")), Ascending).await,
        ["c", "a", "b"]
    );
    assert_eq!(
        sorted(&world, SortField::Date(field("begins")), Descending).await,
        ["b", "a", "c"]
    );
}

/// Not by any language.
pub async fn keywords_sort_by_bytes(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    let values = [" a", "!", "10", "9", "A b", "AB", "Z", "a", "z", "é", "я", "🎉"];
    let of = |(n, value): (usize, &&str)| world.doc(&format!("{:02}", 50 - n)).keyword("name", value);
    world.put(values.iter().enumerate().map(of)).await;
    let mut expected: Vec<_> = (0..values.len()).map(|n| format!("{:02}", 50 - n)).collect();
    assert_eq!(
        sorted(&world, SortField::Keyword(field("name")), Ascending).await,
        expected
    );
    expected.reverse();
    assert_eq!(
        sorted(&world, SortField::Keyword(field("name")), Descending).await,
        expected
    );
}

/// The value that comes first in the direction of the order.
pub async fn several_keywords_sort_by_the_lowest_or_the_highest(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    world
        .put([
            world.doc("wide").keyword("size", "a").keyword("size", "z"),
            world.doc("low").keyword("size", "b"),
            world.doc("high").keyword("size", "y").keyword("size", "c"),
        ])
        .await;
    assert_eq!(
        sorted(&world, SortField::Keyword(field("size")), Ascending).await,
        ["wide", "low", "high"]
    );
    assert_eq!(
        sorted(&world, SortField::Keyword(field("size")), Descending).await,
        ["wide", "high", "low"]
    );
}

/// In either direction, for each type.
pub async fn what_lacks_the_field_comes_last(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    let of = |id: &str, n: &str| {
        world
            .doc(id)
            .number("x", number(n))
            .keyword("x", n)
            .date("x", at(&format!("200{n}-01-01T00:00:00Z")))
    };
    world
        .put([
            world.doc("a"),
            of("b", "1"),
            world.doc("c").keyword("y", "1"),
            of("d", "2"),
        ])
        .await;
    for by in [SortField::Number, SortField::Keyword, SortField::Date] {
        assert_eq!(
            sorted(&world, by(field("x")), Ascending).await,
            ["b", "d", "a", "c"]
        );
        assert_eq!(
            sorted(&world, by(field("x")), Descending).await,
            ["d", "b", "a", "c"]
        );
        assert_eq!(
            sorted(&world, by(field("z")), Descending).await,
            ["a", "b", "c", "d"]
        );
    }
}

/// The id rises in either direction, in the order of bytes.
pub async fn equal_values_come_by_id_then_kind(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    let of = |(kind, id): (&str, &str)| Document::builder(&world.tenant, kind, id).number("x", number("1"));
    world
        .put([("b", "2"), ("a", "2"), ("b", "10"), ("a", "Z"), ("c", "a")].map(of))
        .await;
    for order in [Ascending, Descending] {
        let query = world.query().sorted_by(SortField::Number(field("x")), order);
        let hits = world.search(query).await.hits;
        let found: Vec<_> = hits
            .iter()
            .map(|hit| format!("{}{}", hit.document.id, hit.document.kind))
            .collect();
        assert_eq!(found, ["10b", "2a", "2b", "Za", "ac"]);
    }
}

/// Equal texts match equally well.
pub async fn equal_scores_come_by_id_then_kind(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    let of = |(kind, id): (&str, &str)| Document::builder(&world.tenant, kind, id).title("red shoe");
    world
        .put([("b", "2"), ("a", "2"), ("b", "10"), ("a", "Z"), ("c", "a")].map(of))
        .await;
    for query in [
        world.query(),
        world.text("shoe", TextMode::AllWords),
        world.text("shoe hat", TextMode::AnyWord),
    ] {
        let hits = world.search(query).await.hits;
        let found: Vec<_> = hits
            .iter()
            .map(|hit| format!("{}{}", hit.document.id, hit.document.kind))
            .collect();
        assert_eq!(found, ["10b", "2a", "2b", "Za", "ac"]);
    }
}

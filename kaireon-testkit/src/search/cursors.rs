//! Pages: together they are the whole, each document once.

use kaireon_core::search::{
    Deletion, Document, DocumentId, Hit, SearchCursor, SearchQuery, SortField, SortOrder, Span, TextMode,
};

use super::SearchFixture;
use super::world::{World, any_of, check_total, field, ids, kind, number, numbers};

fn keys(hits: &[Hit]) -> Vec<(String, String)> {
    let key = |hit: &Hit| (hit.document.kind.to_string(), hit.document.id.to_string());
    hits.iter().map(key).collect()
}

/// Checks that the pages of a query, of whatever size, are what one page would hold.
async fn pages_are_the_whole(world: &World<'_>, query: SearchQuery, count: usize) {
    let whole = world.search(query.clone()).await;
    assert_eq!((whole.hits.len(), &whole.next), (count, &None));
    for limit in [1, 2, 3, 7, 1_000] {
        let hits = world.pages(query.clone(), limit).await;
        assert_eq!(keys(&hits), keys(&whole.hits), "pages of {limit}");
    }
}

/// By each type of field, in both directions, with some that lack it.
pub async fn pages_by_a_field_are_the_whole(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    let of = |n: i64| {
        let document = world.doc(&format!("o-{n}"));
        match n % 4 {
            0 => document,
            _ => document
                .number("x", kaireon_core::Value::from_micros(n * 7 % 5))
                .keyword("x", ["z'", "a.b", "é|"][usize::try_from(n % 3).unwrap()])
                .date("x", crate::world::noon(n * 3 % 4)),
        }
    };
    world.put((0..25).map(of)).await;
    for by in [SortField::Number, SortField::Keyword, SortField::Date] {
        for order in [SortOrder::Ascending, SortOrder::Descending] {
            pages_are_the_whole(&world, world.query().sorted_by(by(field("x")), order), 25).await;
        }
    }
}

/// With scores that differ, and some that do not.
pub async fn pages_by_relevance_are_the_whole(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    let of = |n: usize| {
        world
            .doc(&format!("o-{n}"))
            .title("shoe ".repeat(n % 6))
            .body("hat ".repeat(n % 4) + "shoe")
    };
    world.put((0..25).map(of)).await;
    pages_are_the_whole(&world, world.text("shoe", TextMode::AllWords), 25).await;
    pages_are_the_whole(&world, world.text("hat shoe", TextMode::AnyWord), 25).await;
}

/// Where every value is the same, and ids are shared by kinds.
pub async fn pages_of_equal_values_skip_nothing(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    let of = |n: u32| {
        let kind = ["a", "b", "c"][usize::try_from(n % 3).unwrap()];
        Document::builder(&world.tenant, kind, (n / 3).to_string()).number("x", number("1"))
    };
    world.put((0..20).map(of)).await;
    for order in [SortOrder::Ascending, SortOrder::Descending] {
        pages_are_the_whole(
            &world,
            world.query().sorted_by(SortField::Number(field("x")), order),
            20,
        )
        .await;
        pages_are_the_whole(
            &world,
            world.query().sorted_by(SortField::Date(field("x")), order),
            20,
        )
        .await;
    }
}

/// Where every score is the same.
pub async fn pages_of_equal_scores_skip_nothing(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    world
        .put((0..20).map(|n| world.doc(&format!("o-{n}")).title("red shoe")))
        .await;
    for query in [
        world.query(),
        world.text("shoe", TextMode::AllWords),
        world.text("red shoe", TextMode::Phrase),
    ] {
        pages_are_the_whole(&world, query, 20).await;
    }
}

/// Also where it is full.
pub async fn the_last_page_has_no_cursor(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    world.put((0..6).map(|n| world.doc(&n.to_string()))).await;
    let mut query = SearchQuery {
        limit: 3,
        ..world.query()
    };
    let first = world.search(query.clone()).await;
    assert_eq!(ids(&first.hits), ["0", "1", "2"]);
    assert!(first.next.is_some(), "there is more");
    query.cursor = first.next;
    let last = world.search(query).await;
    assert_eq!(ids(&last.hits), ["3", "4", "5"]);
    assert_eq!(last.next, None, "there is no more");
    let exact = SearchQuery {
        limit: 6,
        ..world.query()
    };
    assert_eq!(
        world.search(exact).await.next,
        None,
        "a full page can be the last"
    );
}

/// What was there, matches and is not touched is returned once, whatever else is written and deleted.
pub async fn pages_stay_stable_while_others_write(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    let of = |n: i64| {
        world
            .doc(&format!("o-{n:02}"))
            .number("x", kaireon_core::Value::from_micros(n / 3))
    };
    world.put((0..30).step_by(2).map(of)).await;
    for order in [SortOrder::Ascending, SortOrder::Descending] {
        let mut query = world.query().sorted_by(SortField::Number(field("x")), order);
        query.limit = 4;
        let mut found = Vec::new();
        for round in 0.. {
            let results = world.search(query.clone()).await;
            found.extend(ids(&results.hits));
            let Some(next) = results.next else { break };
            query.cursor = Some(next);
            // On both sides of the cursor, and the very document that it stands on.
            world.put([1, 15, 29].map(of)).await;
            let gone = [found.last().unwrap().clone(), format!("o-{:02}", 27 - round)];
            for id in gone
                .iter()
                .filter(|id| found.contains(id) || id.ends_with(['1', '3', '5', '7', '9']))
            {
                let id = DocumentId::new(id).unwrap();
                world
                    .index
                    .delete(Deletion::of(world.tenant.clone(), kind("offer"), id))
                    .await
                    .unwrap();
            }
            world.refresh().await;
        }
        let mut even: Vec<_> = found
            .iter()
            .filter(|id| id.ends_with(['0', '2', '4', '6', '8']))
            .cloned()
            .collect();
        even.sort();
        let expected: Vec<_> = (0..30).step_by(2).map(|n| format!("o-{n:02}")).collect();
        assert_eq!(even, expected, "each that was there comes once");
        world.put((0..30).step_by(2).map(of)).await;
    }
}

/// Of another text, filter, kind or order. A page of another size, or with other counts, is the same query.
pub async fn a_cursor_of_another_query_is_refused(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    world
        .put((0..6).map(|n| {
            world
                .doc(&n.to_string())
                .title("red shoe")
                .keyword("x", "y")
                .number("x", number("1"))
        }))
        .await;
    let query = world
        .text("shoe", TextMode::AllWords)
        .with_filter(any_of("x", ["y"]));
    let next = world
        .search(SearchQuery {
            limit: 2,
            ..query.clone()
        })
        .await
        .next;
    assert!(next.is_some());
    let same = SearchQuery {
        cursor: next.clone(),
        limit: 3,
        ..query.clone()
    };
    assert_eq!(ids(&world.search(same).await.hits), ["2", "3", "4"]);
    let filtered = world.text("shoe", TextMode::AllWords);
    for other in [
        world
            .text("red", TextMode::AllWords)
            .with_filter(any_of("x", ["y"])),
        world
            .text("shoe", TextMode::AnyWord)
            .with_filter(any_of("x", ["y"])),
        filtered.clone(),
        filtered.clone().with_filter(any_of("x", ["y", "z"])),
        filtered.with_filter(numbers("x", Span::from(number("1")))),
        query
            .clone()
            .sorted_by(SortField::Number(field("x")), SortOrder::Ascending),
        SearchQuery {
            kinds: [kind("offer")].into(),
            ..query
        },
    ] {
        world
            .refuses(
                SearchQuery {
                    cursor: next.clone(),
                    ..other
                },
                "cursor",
            )
            .await;
    }
}

/// A cursor is judged like any other text from outside.
pub async fn what_is_no_cursor_is_refused(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    world.put((0..6).map(|n| world.doc(&n.to_string()))).await;
    let results = world
        .search(SearchQuery {
            limit: 2,
            ..world.query()
        })
        .await;
    let real = results.next.unwrap().as_str().to_owned();
    let cut = &real[..real.len() - 1];
    for text in ["x", "s1.", "🎉", "0", "{}", "' OR 1=1", cut, &"f".repeat(8_000)] {
        let cursor = Some(SearchCursor::new(text));
        world
            .refuses(
                SearchQuery {
                    cursor,
                    ..world.query()
                },
                "cursor",
            )
            .await;
    }
}

/// A host hands it to a browser and takes it back.
pub async fn a_cursor_goes_through_text(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    world.put((0..6).map(|n| world.doc(&n.to_string()))).await;
    let query = SearchQuery {
        limit: 4,
        ..world.query()
    };
    let text = world
        .search(query.clone())
        .await
        .next
        .unwrap()
        .as_str()
        .to_owned();
    let cursor: SearchCursor = text.parse().unwrap();
    let next = SearchQuery {
        cursor: Some(cursor),
        ..query
    };
    assert_eq!(ids(&world.search(next).await.hits), ["4", "5"]);
}

/// On the first page as on the last.
pub async fn the_total_is_that_of_all_pages(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    let other = (0..4).map(|n| world.doc(&format!("x-{n}")).title("hat"));
    world
        .put(
            (0..9)
                .map(|n| world.doc(&n.to_string()).title("shoe"))
                .chain(other),
        )
        .await;
    let mut query = SearchQuery {
        limit: 4,
        ..world.text("shoe", TextMode::AllWords)
    };
    let mut pages = 0;
    loop {
        let results = world.search(query.clone()).await;
        check_total(results.total, 9);
        pages += 1;
        match results.next {
            Some(next) => query.cursor = Some(next),
            None => break,
        }
    }
    assert_eq!(pages, 3);
}

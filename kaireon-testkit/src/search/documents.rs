//! What is indexed is found again, whole, under its key.

use kaireon_core::Value;
use kaireon_core::search::Document;
use kaireon_core::search::{
    DocumentFields, IndexBatch, Indexed, MAX_BODY_BYTES, MAX_FIELDS, MAX_KEYWORDS, MAX_TITLE_BYTES,
    MAX_VERSION, SearchQuery, TextMode,
};

use super::SearchFixture;
use super::world::{World, any_of, kind, number};
use crate::world::{at, noon, together};

/// Every field comes back as it went in.
pub async fn a_document_is_found_as_it_was_indexed(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    let mut full = world
        .doc("o-1")
        .title("Größe \"42\" <b>&amp; \u{5d9}\u{5dd}</b> 🎉")
        .body("first line\r\n\tsecond line\n\n 'quoted' \\ back\u{7f}slash  ")
        .keyword("brand", "Nord & Süd")
        .keyword("brand", "nord")
        .keyword("size", "42")
        .number("price", number("-0.000001"))
        .number("highest", Value::from_micros(i64::MAX))
        .number("lowest", Value::from_micros(i64::MIN))
        .date("begins", noon(1))
        .date("first", at("0001-01-01T00:00:00Z"))
        .date("last", at("9999-12-31T23:59:59.999Z"))
        .version(7);
    if world.can.erasure {
        full = full.customer(world.customer("anna"));
    }
    let full = full.build().unwrap();
    let bare = Document::builder(&world.tenant, "category", "c-1")
        .build()
        .unwrap();
    let outcome = world
        .index
        .index(IndexBatch::live([full.clone(), bare.clone()]))
        .await
        .unwrap();
    assert_eq!(outcome.into_values().unwrap(), [Indexed::Written; 2]);
    world.refresh().await;
    let hits = world.search(world.query()).await.hits;
    let found: Vec<_> = hits.iter().map(|hit| hit.document.clone()).collect();
    assert_eq!(found.len(), 2);
    for (found, sent) in found.iter().zip([bare, full]) {
        let DocumentFields {
            tenant,
            kind,
            id,
            title,
            body,
            keywords,
            numbers,
            dates,
            version,
            customer,
        } = &**found;
        assert_eq!((tenant, kind, id), (&sent.tenant, &sent.kind, &sent.id));
        assert_eq!((title, body), (&sent.title, &sent.body));
        assert_eq!(keywords, &sent.keywords);
        assert_eq!(numbers, &sent.numbers);
        assert_eq!(dates, &sent.dates);
        assert_eq!((version, customer), (&sent.version, &sent.customer));
    }
}

/// A new version has only what it brings: fields and words of the old one are gone.
pub async fn a_document_takes_the_place_of_the_one_with_its_key_as_a_whole(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    let first = world.doc("o-1").title("red shoe").keyword("brand", "nord");
    world.put([first.number("price", number("1")).version(1)]).await;
    world
        .put([world
            .doc("o-1")
            .title("blue hat")
            .keyword("colour", "blue")
            .version(2)])
        .await;
    world.words_find("hat", &["o-1"]).await;
    world.words_find("shoe", &[]).await;
    world
        .finds(world.query().with_filter(any_of("brand", ["nord"])), &[])
        .await;
    let hits = world.search(world.query()).await.hits;
    assert_eq!(hits.len(), 1, "a key has one document");
    assert!(hits[0].document.numbers.is_empty() && hits[0].document.version == 2);
}

/// The kind is part of the key.
pub async fn equal_ids_of_two_kinds_are_two_documents(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    let of = |kind: &str| Document::builder(&world.tenant, kind, "1").title(kind);
    world
        .put([of("offer").version(2), of("category").version(1)])
        .await;
    world.finds(world.query(), &["1", "1"]).await;
    world.words_find("category", &["1"]).await;
}

/// An id is compared byte by byte.
pub async fn ids_that_look_alike_are_different_documents(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    let ids = [
        "a", "A", "a ", " a", "á", "a\u{301}", "a/b", "a%2Fb", "a+b", "a b", "*", "_", "%", ".", "..", "a'b",
        "a\"b", "a\\b", "a:b", "a,b", "0", "00", "null", "🎉",
    ];
    world.put(ids.map(|id| world.doc(id))).await;
    world.finds(world.query(), &ids).await;
}

/// A document is found by what it has.
pub async fn a_document_without_text_is_found_by_its_fields(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    world.put([world.doc("o-1").keyword("item", "5f2c")]).await;
    world
        .finds(world.query().with_filter(any_of("item", ["5f2c"])), &["o-1"])
        .await;
    world.words_find("5f2c", &[]).await;
}

/// The bounds of the contract are those of every backend.
pub async fn documents_at_the_bounds_are_taken(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    let long = "i".repeat(256);
    let mut most = world
        .doc(&long)
        .title("word ".repeat(MAX_TITLE_BYTES / 5))
        .body("many words ".repeat(MAX_BODY_BYTES / 11))
        .version(MAX_VERSION);
    for n in 0..MAX_FIELDS / 2 {
        most = most.number(format!("{}{n}", "n".repeat(60)), Value::from_micros(1));
    }
    for n in 0..MAX_FIELDS / 2 {
        for value in 0..MAX_KEYWORDS * 2 / MAX_FIELDS {
            most = most.keyword(format!("k{n}"), format!("{value}{}", "é".repeat(127)));
        }
    }
    world.put([most]).await;
    world.words_find("many words", &[&long]).await;
    world
        .finds(world.text("word word word", TextMode::Phrase), &[&long])
        .await;
}

/// A word that no index keeps whole leaves the rest of its document alone.
pub async fn a_body_of_one_endless_word_does_no_harm(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    let endless = world.doc("o-1").title("shoe").body("x".repeat(MAX_BODY_BYTES));
    world.put([endless, world.doc("o-2").title("shoe")]).await;
    world.words_find("shoe", &["o-1", "o-2"]).await;
}

/// A batch of nothing does nothing.
pub async fn an_empty_batch_is_empty(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    assert!(world.send([]).await.is_empty());
}

/// Outcomes keep the order of the batch, and one that is outdated stops none behind it.
pub async fn each_document_of_a_batch_has_its_own_outcome(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    world.put([world.doc("b").title("new").version(9)]).await;
    let batch = ["a", "b", "c"].map(|id| world.doc(id).title("old").version(3));
    let outcomes = world.send(batch).await;
    assert_eq!(outcomes, [Indexed::Written, Indexed::Outdated, Indexed::Written]);
    world.refresh().await;
    world.words_find("old", &["a", "c"]).await;
    world.words_find("new", &["b"]).await;
}

/// Of equal keys and versions in one batch the last stays.
pub async fn equal_keys_in_one_batch_are_settled_in_their_order(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    let titled = |title: &str, version| world.doc("o-1").title(title).version(version);
    world
        .put([titled("first", 1), titled("second", 1), titled("third", 2)])
        .await;
    world.words_find("third", &["o-1"]).await;
    world.finds(world.query(), &["o-1"]).await;
}

/// Nothing is lost where many write.
pub async fn documents_indexed_at_the_same_time_are_all_found(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    let call = |n: usize| {
        let index = std::sync::Arc::clone(&world.index);
        let documents = (0..5).map(|m| world.doc(&format!("o-{n}-{m}")).title("shoe").build().unwrap());
        let batch = IndexBatch::live(documents);
        async move { index.index(batch).await.unwrap().into_values().unwrap() }
    };
    let outcomes = together((0..16).map(call)).await;
    assert!(
        outcomes
            .iter()
            .flatten()
            .all(|indexed| *indexed == Indexed::Written)
    );
    world.refresh().await;
    let query = SearchQuery {
        kinds: [kind("offer")].into(),
        ..world.text("shoe", TextMode::AllWords)
    };
    assert_eq!(world.found(query).await.len(), 80);
}

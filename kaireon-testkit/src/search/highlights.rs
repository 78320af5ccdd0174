//! Where a text matches.

use kaireon_core::search::{Fragment, Highlighting, SearchQuery, TextField, TextMode};

use super::SearchFixture;
use super::world::{Need, World};

fn shown(query: SearchQuery, per_field: u32, max_bytes: u32) -> SearchQuery {
    SearchQuery {
        highlighting: Highlighting::Fragments { per_field, max_bytes },
        ..query
    }
}

/// The fragments of the one document that a query finds.
async fn fragments(world: &World<'_>, query: SearchQuery) -> Vec<Fragment> {
    let mut hits = world.search(query).await.hits;
    assert_eq!(hits.len(), 1);
    let hit = hits.remove(0);
    for fragment in &hit.highlights {
        let text = match fragment.field {
            TextField::Title => &hit.document.title,
            TextField::Body => &hit.document.body,
        };
        assert!(
            text.contains(&fragment.text),
            "a fragment is a piece of its document: {:?}",
            fragment.text
        );
        assert!(!fragment.marks.is_empty(), "a fragment has a mark");
        let mut end = 0;
        for mark in &fragment.marks {
            assert!(
                end <= mark.start && mark.start < mark.end,
                "marks follow each other: {:?}",
                fragment.marks
            );
            assert!(
                fragment.text.get(mark.clone()).is_some(),
                "a mark is on the edges of characters"
            );
            end = mark.end;
        }
    }
    let order: Vec<_> = hit.highlights.iter().map(|fragment| fragment.field).collect();
    assert!(order.is_sorted(), "the title comes first");
    hit.highlights
}

fn marked(fragments: &[Fragment], field: TextField) -> Vec<&str> {
    let of = fragments.iter().filter(|fragment| fragment.field == field);
    of.flat_map(Fragment::marked).collect()
}

/// Every one, in the title and in the body, and no other.
pub async fn words_that_match_are_marked(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    if !world.can(Need::Highlights).await {
        return;
    }
    world
        .put([world
            .doc("a")
            .title("A red shoe, red")
            .body("the hat, the shoe and the boot")])
        .await;
    for mode in [TextMode::AllWords, TextMode::AnyWord] {
        let found = fragments(&world, shown(world.text("shoe red", mode), 3, 200)).await;
        assert_eq!(marked(&found, TextField::Title), ["red", "shoe", "red"]);
        assert_eq!(marked(&found, TextField::Body), ["shoe"]);
    }
    let found = fragments(&world, shown(world.text("boot", TextMode::AllWords), 3, 200)).await;
    assert_eq!(found.len(), 1, "a title without a match shows nothing");
    let found = fragments(&world, shown(world.text("red bo", TextMode::Prefix), 3, 200)).await;
    assert_eq!(marked(&found, TextField::Body), ["boot"]);
}

/// As it is written there: in its form, its case, its accents.
pub async fn marks_are_where_the_document_has_the_word(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    if !world.can(Need::Highlights).await {
        return;
    }
    let body = "🎉 ÀÉ Zürich: RUNNING (cafe\u{301}s)";
    world.put([world.doc("a").body(body)]).await;
    let found = fragments(
        &world,
        shown(world.text("run zurich café", TextMode::AllWords), 1, 200),
    )
    .await;
    assert_eq!(
        marked(&found, TextField::Body),
        ["Zürich", "RUNNING", "cafe\u{301}s"]
    );
}

/// A word of it alone is no match.
pub async fn only_whole_phrases_are_marked(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    if !world.can(Need::Highlights).await {
        return;
    }
    world
        .put([world
            .doc("a")
            .title("red hat")
            .body("a red hat and a red shoe, a hat")])
        .await;
    let found = fragments(&world, shown(world.text("red shoe", TextMode::Phrase), 3, 200)).await;
    assert!(marked(&found, TextField::Title).is_empty());
    assert_eq!(marked(&found, TextField::Body).join(" "), "red shoe");
}

/// So many, so long.
pub async fn fragments_keep_their_bounds(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    if !world.can(Need::Highlights).await {
        return;
    }
    let filler = "größe und länge ".repeat(20);
    let body = format!("{filler} shoe {filler} shoe {filler} shoe {filler} shoe {filler}");
    world.put([world.doc("a").title("shoe").body(body)]).await;
    for (per_field, max_bytes) in [(1, 32), (2, 64), (3, 200), (10, 100)] {
        let found = fragments(
            &world,
            shown(world.text("shoe", TextMode::AllWords), per_field, max_bytes),
        )
        .await;
        let of_body: Vec<_> = found
            .iter()
            .filter(|fragment| fragment.field == TextField::Body)
            .collect();
        let most = usize::try_from(per_field).unwrap();
        assert!((1..=most).contains(&of_body.len()), "{} fragments", of_body.len());
        let longest = usize::try_from(max_bytes).unwrap();
        assert!(
            found.iter().all(|fragment| fragment.text.len() <= longest),
            "no longer than {longest}"
        );
        assert_eq!(marked(&found, TextField::Title), ["shoe"]);
    }
}

/// Tags, and what others use to mark, are text.
pub async fn what_a_document_contains_is_no_mark(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    if !world.can(Need::Highlights).await {
        return;
    }
    let body = "<em>hat</em> <b>shoe</b> \u{e000}hat\u{e001} &lt;mark&gt; \u{2}x\u{3} {{hat}} ]]> shoe";
    world.put([world.doc("a").body(body)]).await;
    let found = fragments(&world, shown(world.text("shoe", TextMode::AllWords), 1, 400)).await;
    assert_eq!(marked(&found, TextField::Body), ["shoe", "shoe"]);
}

/// And nothing unasked.
pub async fn without_text_nothing_is_marked(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    if !world.can(Need::Highlights).await {
        return;
    }
    world.put([world.doc("a").title("shoe")]).await;
    assert!(fragments(&world, shown(world.query(), 1, 100)).await.is_empty());
    assert!(
        fragments(&world, world.text("shoe", TextMode::AllWords))
            .await
            .is_empty()
    );
}

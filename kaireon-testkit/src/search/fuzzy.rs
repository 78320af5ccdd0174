//! One typo, where the backend forgives it.

use kaireon_core::search::{Fuzziness, TextMode, TextQuery};

use super::SearchFixture;
use super::world::{Need, World};

async fn jackets<'f>(fixture: &'f dyn SearchFixture) -> Option<World<'f>> {
    let world = World::open(fixture).await;
    if !world.can(Need::Fuzzy).await {
        return None;
    }
    world.put_titles(&["winter jacket", "hat", "umbrella"]).await;
    Some(world)
}

/// Of each sort.
pub async fn one_typo_is_forgiven(fixture: &dyn SearchFixture) {
    let Some(world) = jackets(fixture).await else {
        return;
    };
    for typed in ["jakcet", "jackt", "jackket", "jagket", "JÁCKAT", "jacket"] {
        world.finds(world.fuzzy(typed), &["winter jacket"]).await;
        world
            .finds(world.fuzzy(&format!("{typed} wintr")), &["winter jacket"])
            .await;
    }
    let any = TextQuery::new("umbrela jakcet", TextMode::AnyWord).unwrap();
    let any = world.query().with_text(any.with_fuzziness(Fuzziness::OneTypo));
    world.finds(any, &["winter jacket", "umbrella"]).await;
}

/// Nor is a word that only begins or sounds like it.
pub async fn two_typos_are_not(fixture: &dyn SearchFixture) {
    let Some(world) = jackets(fixture).await else {
        return;
    };
    for typed in ["jakect", "jockat", "jac", "umbra", "jacketwear"] {
        world.finds(world.fuzzy(typed), &[]).await;
    }
    world.finds(world.fuzzy("jakcet sumer"), &[]).await;
}

/// Three letters with one of them wrong are another word.
pub async fn short_words_must_be_exact(fixture: &dyn SearchFixture) {
    let Some(world) = jackets(fixture).await else {
        return;
    };
    world.finds(world.fuzzy("hat"), &["hat"]).await;
    world.finds(world.fuzzy("hut"), &[]).await;
}

/// Neither by default, nor in a phrase, nor in the word that is being typed.
pub async fn no_typo_is_forgiven_unasked(fixture: &dyn SearchFixture) {
    let Some(world) = jackets(fixture).await else {
        return;
    };
    world.words_find("jakcet", &[]).await;
    for mode in [TextMode::Phrase, TextMode::Prefix] {
        let text = TextQuery::new("winter jakcet", mode).unwrap();
        world
            .finds(
                world.query().with_text(text.with_fuzziness(Fuzziness::OneTypo)),
                &[],
            )
            .await;
    }
}

/// Whatever else would speak for the other.
pub async fn what_is_spelt_right_ranks_first(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    if !world.can(Need::Fuzzy).await {
        return;
    }
    world
        .put([("a", "planet"), ("b", "planes"), ("c", "plane")].map(|(id, title)| world.doc(id).title(title)))
        .await;
    world
        .put(
            [("d", "market"), ("e", "marked"), ("f", "basket")].map(|(id, title)| world.doc(id).title(title)),
        )
        .await;
    let found = world.found(world.fuzzy("marked")).await;
    assert_eq!(found[0], "e");
    let found = world.found(world.fuzzy("planet")).await;
    assert_eq!(found[0], "a");
}

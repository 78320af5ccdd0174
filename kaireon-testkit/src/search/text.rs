//! Which documents a text matches, and in which order.

use kaireon_core::search::TextMode;

use super::SearchFixture;
use super::world::World;

/// Each word may be in either.
pub async fn all_words_must_be_in_title_or_body(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    let in_both = world.doc("both").title("winter").body("a warm jacket");
    world
        .put([in_both, world.doc("one").title("winter").body("snow")])
        .await;
    world.words_find("winter jacket", &["both"]).await;
    world.words_find("jacket winter winter", &["both"]).await;
    world.words_find("winter", &["both", "one"]).await;
    world.words_find("winter jacket summer", &[]).await;
}

/// One is enough.
pub async fn any_word_is_enough(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    world
        .put_titles(&["winter jacket", "summer jacket", "summer hat"])
        .await;
    let any = |text| world.text(text, TextMode::AnyWord);
    world
        .finds(any("winter hat"), &["winter jacket", "summer hat"])
        .await;
    world.finds(any("umbrella"), &[]).await;
}

/// In this order, next to each other.
pub async fn a_phrase_is_words_in_their_order(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    world
        .put_titles(&[
            "warm winter jacket",
            "winter jacket",
            "jacket winter",
            "winter warm jacket",
        ])
        .await;
    let phrase = |text| world.text(text, TextMode::Phrase);
    world
        .finds(phrase("winter jacket"), &["warm winter jacket", "winter jacket"])
        .await;
    world
        .finds(
            phrase("Winter, JACKETS!"),
            &["warm winter jacket", "winter jacket"],
        )
        .await;
    world.finds(phrase("winter warm"), &["winter warm jacket"]).await;
    world.finds(phrase("jacket jacket"), &[]).await;
}

/// A phrase is in the title or in the body.
pub async fn a_phrase_does_not_reach_from_title_to_body(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    world
        .put([world.doc("o-1").title("warm winter").body("jacket for men")])
        .await;
    let phrase = |text| world.text(text, TextMode::Phrase);
    world.finds(phrase("winter jacket"), &[]).await;
    world.finds(phrase("jacket for"), &["o-1"]).await;
}

/// Each letter that one types narrows what is found.
pub async fn the_last_word_is_a_prefix_as_one_types(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    world
        .put_titles(&["winter jacket", "winter jeans", "jacket"])
        .await;
    let typed = |text| world.text(text, TextMode::Prefix);
    world
        .finds(typed("j"), &["winter jacket", "winter jeans", "jacket"])
        .await;
    world
        .finds(typed("winter j"), &["winter jacket", "winter jeans"])
        .await;
    world.finds(typed("Winter JA"), &["winter jacket"]).await;
    world.finds(typed("winter jacket"), &["winter jacket"]).await;
    world.finds(typed("win jacket"), &[]).await;
    world.finds(typed("acket"), &[]).await;
}

/// What is being typed is compared with words, not with stems.
pub async fn a_prefix_is_taken_as_it_was_typed(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    world.put_titles(&["running shoes", "runner", "Café"]).await;
    let typed = |text| world.text(text, TextMode::Prefix);
    world.finds(typed("runni"), &["running shoes"]).await;
    world.finds(typed("running sho"), &["running shoes"]).await;
    world.finds(typed("run"), &["running shoes", "runner"]).await;
    world.finds(typed("CAFÉ"), &["Café"]).await;
    world.finds(typed("caf"), &["Café"]).await;
}

/// A word is found in its other forms.
pub async fn words_match_by_their_english_stem(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    world
        .put_titles(&["running shoes", "connected", "ponies", "women's hats"])
        .await;
    for (text, expected) in [
        ("run", "running shoes"),
        ("runs shoe", "running shoes"),
        ("connection", "connected"),
        ("connecting", "connected"),
        ("pony", "ponies"),
        ("hat", "women's hats"),
        ("women", "women's hats"),
    ] {
        world.words_find(text, &[expected]).await;
    }
    world.words_find("sho", &[]).await;
}

/// Case and accents make no difference, on either side, however they are encoded.
pub async fn words_match_without_case_and_accents(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    let documents = [
        ("1", "Café Zürich"),
        ("2", "cafe\u{301} zurich"),
        ("3", "CAFE ZURICH"),
    ];
    world
        .put(documents.map(|(id, title)| world.doc(id).title(title)))
        .await;
    for text in ["café", "CAFE", "cafe\u{301}", "Zürich", "zurich cafe"] {
        world.words_find(text, &["1", "2", "3"]).await;
    }
}

/// There are no stop words.
pub async fn no_word_is_too_common(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    world.put_titles(&["to be or not to be", "bed", "the shoe"]).await;
    world.words_find("to be or not", &["to be or not to be"]).await;
    world.words_find("the", &["the shoe"]).await;
    world.words_find("the bed", &[]).await;
    world
        .finds(world.text("not to be", TextMode::Phrase), &["to be or not to be"])
        .await;
}

/// What is no letter and no digit separates words.
pub async fn words_are_found_at_any_punctuation(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    world
        .put([world
            .doc("o-1")
            .body("(red), “blue”;\tgreen\nwell-known — 50% [off]!")])
        .await;
    for text in [
        "red",
        "blue",
        "green",
        "well",
        "known",
        "well known",
        "50",
        "off",
        "red, green",
        "(off)",
    ] {
        world.words_find(text, &["o-1"]).await;
    }
}

/// Digits are letters like others.
pub async fn numbers_are_words(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    world.put_titles(&["model 2024", "model 20245", "x200"]).await;
    world.words_find("2024", &["model 2024"]).await;
    world.words_find("X200", &["x200"]).await;
    world.words_find("200", &[]).await;
}

/// Who asks for nothing gets nothing.
pub async fn a_text_without_words_matches_nothing(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    world.put([world.doc("o-1").title("shoe *** ... --")]).await;
    for text in ["", " ", "\t\r\n", "***", "...", "--", "()", "\"\"", "%", "'"] {
        for mode in [
            TextMode::AllWords,
            TextMode::AnyWord,
            TextMode::Phrase,
            TextMode::Prefix,
        ] {
            world.finds(world.text(text, mode), &[]).await;
        }
    }
}

/// Who does not ask by text gets everything.
pub async fn a_query_without_text_matches_everything(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    world.finds(world.query(), &[]).await;
    world
        .put([
            world.doc("a").title("shoe"),
            world.doc("b"),
            world.doc("c").body("hat"),
        ])
        .await;
    assert_eq!(world.found(world.query()).await, ["a", "b", "c"]);
}

/// The title says what a thing is.
pub async fn a_title_weighs_more_than_a_body(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    let body = world.doc("a-body").title("winter").body("jacket");
    let title = world.doc("b-title").title("jacket").body("winter");
    world.put([body, title]).await;
    let found = world.found(world.text("jacket", TextMode::AllWords)).await;
    assert_eq!(found, ["b-title", "a-body"]);
}

/// Where any word is enough, more are better.
pub async fn more_of_the_words_rank_higher(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    let titles = [
        ("a", "red wool hat"),
        ("b", "red wool scarf"),
        ("c", "blue silk scarf"),
    ];
    world
        .put(titles.map(|(id, title)| world.doc(id).title(title)))
        .await;
    let found = world
        .found(world.text("blue silk scarf", TextMode::AnyWord))
        .await;
    assert_eq!(found, ["c", "b"]);
}

/// Who types a title finds it first.
pub async fn the_exact_title_comes_first(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    let filler = "a long text about the winter, about every jacket there is, and about much else besides";
    world
        .put([
            world
                .doc("a")
                .title("Boots for the winter")
                .body(format!("{filler} {filler}")),
            world.doc("b").title("Winter jacket"),
            world
                .doc("c")
                .title("Jacket with hood and a great many pockets for the winter")
                .body(filler),
        ])
        .await;
    for mode in [TextMode::AllWords, TextMode::AnyWord, TextMode::Prefix] {
        let found = world.found(world.text("winter jacket", mode)).await;
        assert_eq!(found[0], "b", "{mode:?}");
    }
}

/// Scores are finite, fall along the hits, and are zero where there is no text.
pub async fn scores_fall_along_the_hits(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    world
        .put((1..20).map(|n| {
            world
                .doc(&format!("o-{n}"))
                .body("shoe ".repeat(n) + &"hat ".repeat(20 - n))
        }))
        .await;
    let hits = world.search(world.text("shoe", TextMode::AnyWord)).await.hits;
    assert_eq!(hits.len(), 19);
    assert!(hits.iter().all(|hit| hit.score.is_finite() && hit.score > 0.0));
    assert!(
        hits.windows(2).all(|pair| pair[0].score >= pair[1].score),
        "the best comes first"
    );
    let hits = world.search(world.query()).await.hits;
    assert!(
        hits.iter().all(|hit| hit.score == 0.0),
        "without text there is no score"
    );
}

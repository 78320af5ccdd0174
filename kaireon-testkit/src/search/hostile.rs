//! Text that a person types is words and nothing else.

use kaireon_core::ErrorKind;
use kaireon_core::search::{Document, Highlighting, MAX_TEXT_BYTES, SearchQuery, TextMode};

use super::SearchFixture;
use super::world::{World, any_of, kind, tenant};

const MODES: [TextMode; 4] = [
    TextMode::AllWords,
    TextMode::AnyWord,
    TextMode::Phrase,
    TextMode::Prefix,
];

/// What has been a syntax error, an operator or an escape somewhere.
fn texts() -> Vec<String> {
    let mut texts: Vec<String> = [
        "\"",
        "'",
        "\"\"\"",
        "\"shoe",
        "shoe\"",
        "'shoe",
        "(",
        ")",
        "((shoe)",
        "[shoe TO",
        "{shoe TO hat}",
        "{",
        "\\",
        "shoe\\",
        "\\\"",
        "AND",
        "OR",
        "NOT",
        "shoe AND",
        "OR shoe",
        "NOT NOT shoe",
        "shoe && hat || !boot",
        "+shoe -hat",
        "-shoe",
        "--",
        "/*",
        "*/",
        "/shoe/",
        "/[/",
        "*",
        "?",
        "sho*",
        "*hoe",
        "s?oe",
        "shoe~",
        "shoe~99",
        "shoe^",
        "shoe^1e99",
        "title:shoe",
        "body:*",
        "_exists_:title",
        "_id:o-1",
        "tenant:other",
        "kind:offer OR 1=1",
        "title:",
        ":",
        "shoe; DROP TABLE documents",
        "' OR '1'='1",
        "'); --",
        "shoe & hat",
        "shoe | hat",
        "!shoe",
        "shoe <-> hat",
        "shoe <2> hat",
        "shoe:*",
        "shoe:A",
        "$1",
        "%s",
        "%",
        "_",
        "{{shoe}}",
        "${shoe}",
        "{\"match_all\":{}}",
        "<script>",
        "&amp;",
        "a\tb\r\nc",
        "\u{1}\u{1f}\u{7f}\u{85}",
        "\u{202e}eohs",
        "\u{200b}",
        "\u{feff}shoe",
        "\u{fffd}",
        "\u{e000}",
        "🎉",
        "👩‍👩‍👧",
        "e\u{301}\u{301}\u{301}",
        "שלום",
        "مرحبا",
        "ﷺ",
        "日本語",
        "ก็",
        "ǅ",
        "ẞ",
        "İ",
        "ﬀ",
        "𝔰𝔥𝔬𝔢",
    ]
    .map(str::to_owned)
    .to_vec();
    texts.push("x".repeat(MAX_TEXT_BYTES));
    texts.push("a ".repeat(MAX_TEXT_BYTES / 2));
    texts.push("(".repeat(MAX_TEXT_BYTES));
    texts.push("\"a".repeat(MAX_TEXT_BYTES / 2));
    texts.push("é".repeat(MAX_TEXT_BYTES / 2));
    texts
}

/// Each is answered, whatever else is asked for, and by what the filters let through.
pub async fn text_that_a_person_types_is_never_an_error(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    let titled = |id: &str, brand: &str| {
        world
            .doc(id)
            .title("shoe hat")
            .body("a boot")
            .keyword("brand", brand)
    };
    world.put([titled("o-1", "nord"), titled("o-2", "sud")]).await;
    for text in texts() {
        for mode in MODES {
            let mut query = world.text(&text, mode).with_filter(any_of("brand", ["nord"]));
            if world.can.highlights {
                query.highlighting = Highlighting::Fragments {
                    per_field: 2,
                    max_bytes: 64,
                };
            }
            let found = world.found(query).await;
            assert!(
                found.iter().all(|id| id == "o-1"),
                "{text:?} as {mode:?} found {found:?}"
            );
        }
    }
}

/// Boolean operators, signs and field names are words, or nothing.
pub async fn operators_are_words(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    world
        .put_titles(&["red shoe", "red and shoe", "blue hat", "not a hat", "title shoe"])
        .await;
    for (text, expected) in [
        ("red AND shoe", &["red and shoe"][..]),
        ("red && shoe", &["red shoe", "red and shoe"]),
        ("red OR blue", &[]),
        ("red | blue", &[]),
        ("NOT hat", &["not a hat"]),
        ("-shoe", &["red shoe", "red and shoe", "title shoe"]),
        ("+red -shoe", &["red shoe", "red and shoe"]),
        ("!hat", &["blue hat", "not a hat"]),
        ("title:shoe", &["title shoe"]),
        ("red <-> hat", &[]),
        ("shoe <-> red", &["red shoe", "red and shoe"]),
        ("(red (shoe", &["red shoe", "red and shoe"]),
    ] {
        world.words_find(text, expected).await;
    }
}

/// A star is no letter.
pub async fn wildcards_stand_for_nothing(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    world.put_titles(&["shoe", "shoelace", "hat"]).await;
    for (text, expected) in [
        ("shoe*", &["shoe"][..]),
        ("*lace", &[]),
        ("h?t", &[]),
        ("shoe:*", &["shoe"]),
        ("shoe%", &["shoe"]),
        ("/sho.*/", &[]),
        ("shoelaec~2", &[]),
        ("*", &[]),
        ("hat~", &["hat"]),
    ] {
        world.words_find(text, expected).await;
    }
    world.finds(world.text("sh_e", TextMode::Prefix), &[]).await;
}

/// A phrase is asked for by the mode alone.
pub async fn quotes_make_no_phrase(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    world.put_titles(&["red shoe", "shoe red", "hat"]).await;
    world.words_find("\"red shoe\"", &["red shoe", "shoe red"]).await;
    world.words_find("\"red shoe", &["red shoe", "shoe red"]).await;
    world
        .finds(
            world.text("\"red hat\"", TextMode::AnyWord),
            &["red shoe", "shoe red", "hat"],
        )
        .await;
    world
        .finds(world.text("'red' \"shoe\"", TextMode::Phrase), &["red shoe"])
        .await;
}

/// Filters and kinds hold, whatever the text says of them.
pub async fn text_changes_no_filter(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    let of = |kind: &str, id: &str, brand: &str| {
        let document = Document::builder(&world.tenant, kind, id).keyword("brand", brand);
        document.title("brand sud kind secret or 1").version(1)
    };
    world
        .put([
            of("offer", "a", "nord"),
            of("offer", "b", "sud"),
            of("secret", "c", "nord"),
        ])
        .await;
    for text in [
        "brand:sud",
        "brand:sud OR 1",
        "brand sud",
        "kind:secret",
        "kind:secret OR brand:sud",
        "brand\" OR \"1",
        "brand') OR ('1'='1",
        "1 OR 1",
    ] {
        for mode in MODES {
            let query = SearchQuery {
                kinds: [kind("offer")].into(),
                ..world.text(text, mode).with_filter(any_of("brand", ["nord"]))
            };
            let found = world.found(query).await;
            assert!(
                found.iter().all(|id| id == "a"),
                "{text:?} as {mode:?} found {found:?}"
            );
        }
    }
    let query = world
        .text("brand:sud", TextMode::AllWords)
        .with_filter(any_of("brand", ["nord"]));
    world.finds(query, &["a", "c"]).await;
}

/// Keywords, ids and kinds are not text.
pub async fn text_reaches_no_field_that_is_not_text(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    let document = Document::builder(&world.tenant, "campaign", "umbrella").title("hat");
    world.put([document.keyword("brand", "nord").version(77)]).await;
    for text in [
        "nord",
        "umbrella",
        "campaign",
        "brand",
        "77",
        "brand:nord",
        "id:umbrella",
        world.tenant.as_str(),
    ] {
        for mode in MODES {
            world.finds(world.text(text, mode), &[]).await;
        }
    }
}

/// A keyword matches as a whole and as it is written.
pub async fn keywords_are_compared_literally(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    let values = [
        "nord", "Nord", "nord ", "nórd", "no'rd", "no\"rd", "no\\rd", "no%d", "no_d", "nor*", "n", "a OR b",
        "a,b", "[a]", "{a}", "🎉", "null", "true", "0",
    ];
    let keyed = values
        .iter()
        .enumerate()
        .map(|(n, value)| world.doc(&format!("{n:02}")).keyword("brand", value));
    world.put(keyed).await;
    for (n, value) in values.iter().enumerate() {
        world
            .finds(
                world.query().with_filter(any_of("brand", [*value])),
                &[&format!("{n:02}")],
            )
            .await;
    }
    for other in ["NORD", "nor", "ord", "%", "*", "nörd", "norden"] {
        world
            .finds(world.query().with_filter(any_of("brand", [other])), &[])
            .await;
    }
}

/// Tenants, kinds and ids are data.
pub async fn names_may_be_any_text(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    for name in [
        "a'b; DROP TABLE x; --",
        "a\"b\\",
        "a/b?c=d#e",
        "../..",
        "*",
        "_all",
        "ПРИВЕТ",
        "🎉 x",
        "{}",
        "a,b",
    ] {
        let owner = tenant(&format!("{} {name}", world.tenant));
        let document = Document::builder(&owner, name, name).title("shoe");
        world.put([document]).await;
        let query = SearchQuery {
            tenant: owner,
            kinds: [kind(name)].into(),
            ..world.text("shoe", TextMode::AllWords)
        };
        world.finds(query, &[name]).await;
    }
    world.finds(world.query(), &[]).await;
}

/// Words of any script that has spaces, and words beside what is no word.
pub async fn texts_from_right_to_left_and_with_emoji_are_found_by_their_words(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    let texts = [
        ("hebrew", "שלום עולם"),
        ("arabic", "مرحبا بالعالم"),
        ("emoji", "party 🎉 hats"),
        ("greek", "καλημέρα κόσμε"),
    ];
    world
        .put(texts.map(|(id, title)| world.doc(id).title(title)))
        .await;
    for (text, expected) in [
        ("עולם", "hebrew"),
        ("مرحبا", "arabic"),
        ("party hat", "emoji"),
        ("ΚΌΣΜΕ", "greek"),
        ("καλημερα", "greek"),
    ] {
        world.words_find(text, &[expected]).await;
    }
}

/// Neither what is indexed nor what is searched for reaches a log, a measurement or an error.
pub async fn nothing_personal_is_told(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    let secret = world.mark("anna");
    let mut document = world
        .doc(&secret)
        .title(&*secret)
        .body(&*secret)
        .keyword("owner", &secret);
    if world.can.erasure {
        document = document.customer(world.customer("anna"));
    }
    world.put([document.version(2)]).await;
    world.send([world.doc(&secret).title(&*secret).version(1)]).await;
    let query = world
        .text(&secret, TextMode::AllWords)
        .with_filter(any_of("owner", [&*secret]));
    let shown = format!("{query:?}");
    assert!(
        !shown.contains(&secret),
        "a query's debug tells what was typed: {shown}"
    );
    let results = world.search(query.clone()).await;
    assert_eq!(results.hits.len(), 1);
    let shown = format!("{results:?}");
    assert!(
        !shown.contains(&secret),
        "an answer's debug tells a document: {shown}"
    );
    let beyond = SearchQuery {
        limit: 0,
        ..query.clone()
    };
    world.refuses(beyond, "limit").await;
    if world.can.erasure {
        let erased = world
            .index
            .erase_customer(&world.tenant, &world.customer("anna"))
            .await;
        assert_eq!(erased.unwrap(), 1);
    }
    world.index.disconnect().await.unwrap();
    world.refused(world.index.search(query).await, ErrorKind::Unavailable);
}

//! An older version never overwrites a newer.

use std::sync::Arc;

use kaireon_core::search::{IndexBatch, Indexed, MAX_VERSION};

use super::SearchFixture;
use super::world::World;
use crate::world::together;

/// What comes late is told so, and changes nothing.
pub async fn an_older_version_never_overwrites_a_newer(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    world.put([world.doc("o-1").title("newer").version(5)]).await;
    for older in [4, 0] {
        let outcome = world.send([world.doc("o-1").title("older").version(older)]).await;
        assert_eq!(outcome, [Indexed::Outdated]);
        world.refresh().await;
        world.words_find("newer", &["o-1"]).await;
        world.words_find("older", &[]).await;
    }
}

/// The same within a batch, before anything was refreshed.
pub async fn an_older_version_behind_a_newer_in_one_batch_is_outdated(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    let versions = [2, 3, 1].map(|version| world.doc("o-1").title(format!("v{version}")).version(version));
    let outcome = world.send(versions).await;
    assert_eq!(outcome, [Indexed::Written, Indexed::Written, Indexed::Outdated]);
    world.refresh().await;
    world.words_find("v3", &["o-1"]).await;
    world.words_find("v1", &[]).await;
}

/// A repetition is safe, and the later content of one version stays.
pub async fn an_equal_version_is_written_again(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    world.put([world.doc("o-1").title("first").version(5)]).await;
    world.put([world.doc("o-1").title("second").version(5)]).await;
    world.words_find("second", &["o-1"]).await;
    world.words_find("first", &[]).await;
}

/// Versions are integers of 63 bits.
pub async fn versions_beyond_what_a_float_holds_are_told_apart(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    for high in [(1 << 53) + 1, MAX_VERSION] {
        let id = high.to_string();
        world.put([world.doc(&id).title("newer").version(high)]).await;
        let outcome = world
            .send([world.doc(&id).title("older").version(high - 1)])
            .await;
        assert_eq!(outcome, [Indexed::Outdated], "{high}");
    }
}

/// Whatever the order in which they arrive, the highest stays. Several times over, because an index that keeps what
/// comes last is right whenever the highest happens to.
pub async fn of_versions_at_the_same_time_the_highest_stays(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    for round in 0..8 {
        let id = format!("o-{round}");
        let call = |n: u64| {
            let index = Arc::clone(&world.index);
            let version = (n * 7 + round) % 16;
            let document = world.doc(&id).title(format!("v{version}")).version(version);
            let batch = IndexBatch::live([document.build().unwrap()]);
            async move { index.index(batch).await.unwrap().into_values().unwrap() }
        };
        together((0..16).map(call)).await;
    }
    world.refresh().await;
    let hits = world.search(world.query()).await.hits;
    assert_eq!(hits.len(), 8);
    for hit in hits {
        assert_eq!((hit.document.version, hit.document.title.as_str()), (15, "v15"));
    }
}

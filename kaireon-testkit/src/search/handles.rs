//! Handles: several on one place, and their end.

use kaireon_core::search::{DeleteScope, Deletion, IndexBatch, RebuildName, RebuildStep, Visibility};
use kaireon_core::{Effect, Error, ErrorKind};

use super::SearchFixture;
use super::world::{Need, World};

/// After a refresh by either; at once where the capabilities say so.
pub async fn a_second_handle_finds_what_the_first_indexed(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    let other = fixture.open().await;
    world.send([world.doc("a")]).await;
    if world.can.visibility == Visibility::AfterRefresh {
        other.refresh().await.unwrap();
    }
    assert_eq!(other.search(world.query()).await.unwrap().hits.len(), 1);
    world.finds(world.query(), &["a"]).await;
}

/// For certain nothing was done, and this handle never will.
pub async fn a_disconnected_handle_refuses_everything(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    world.put([world.doc("a")]).await;
    let index = &world.index;
    index.disconnect().await.unwrap();
    let (tenant, document) = (world.tenant.clone(), world.doc("b").build().unwrap());
    let check = |error: Error| {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert_eq!(
            (error.effect(), error.is_transient()),
            (Effect::NotApplied, false),
            "{error}"
        );
    };
    check(index.index(IndexBatch::live([document])).await.unwrap_err());
    let scope = DeleteScope::Tenant;
    check(index.delete(Deletion { tenant, scope }).await.unwrap_err());
    check(index.search(world.query()).await.unwrap_err());
    check(index.refresh().await.unwrap_err());
    if world.can.erasure {
        check(
            index
                .erase_customer(&world.tenant, &world.customer("anna"))
                .await
                .unwrap_err(),
        );
    }
    if world.can.rebuild {
        let begin = RebuildStep::Begin(RebuildName::new("r").unwrap());
        check(index.rebuild(begin).await.unwrap_err());
    }
    if world.can.ping {
        check(index.ping().await.unwrap_err());
    }
    assert_eq!(
        index.capabilities(),
        world.can,
        "capabilities are known also then"
    );
}

/// Idempotent.
pub async fn disconnecting_twice_is_disconnecting_once(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    world.index.disconnect().await.unwrap();
    world.index.disconnect().await.unwrap();
}

/// A sign of life, or `Unsupported`.
pub async fn a_ping_agrees_with_the_capabilities(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    assert!(!world.can.backend.is_empty(), "a backend has a name");
    match world.can.ping {
        true => world.index.ping().await.unwrap(),
        false => drop(world.refused(world.index.ping().await, ErrorKind::Unsupported)),
    }
}

/// What was acknowledged, refreshed or not; what was deleted is not there again; an open rebuild is.
pub async fn documents_are_there_after_a_restart(fixture: &dyn SearchFixture) {
    let mut world = World::open(fixture).await;
    if !world.can(Need::Persistent).await {
        return;
    }
    world
        .put([world.doc("a").title("shoe").version(5), world.doc("b")])
        .await;
    world.send([world.doc("c")]).await;
    world.delete(super::deletion::offers(["b"])).await;
    let begin = RebuildStep::Begin(RebuildName::new("r-1").unwrap());
    if world.can.rebuild {
        world.index.rebuild(begin.clone()).await.unwrap();
        let document = world.doc("x").build().unwrap();
        world
            .send_as(IndexBatch::rebuild(begin.name().clone(), [document]))
            .await;
    }
    world.index.disconnect().await.unwrap();
    world.index = fixture.open().await;
    world.refresh().await;
    world.finds(world.query(), &["a", "c"]).await;
    world.words_find("shoe", &["a"]).await;
    if world.can.rebuild {
        assert_eq!(world.index.rebuild(begin).await.unwrap().documents, 1);
    }
}

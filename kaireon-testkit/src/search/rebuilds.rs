//! A new index is filled beside the old one, and takes its place at once.

use kaireon_core::ErrorKind;
use kaireon_core::search::{
    DeleteScope, DocumentBuilder, IndexBatch, Indexed, RebuildName, RebuildState, RebuildStatus, RebuildStep,
};

use super::SearchFixture;
use super::deletion::offers;
use super::world::{Need, World, kind};

fn named(name: &str) -> RebuildName {
    RebuildName::new(name).unwrap()
}

impl World<'_> {
    async fn step(&self, step: RebuildStep) -> RebuildStatus {
        let name = step.name().clone();
        let status = self
            .index
            .rebuild(step)
            .await
            .expect("a step of a rebuild that is open is done");
        assert_eq!(status.name, name);
        status
    }

    async fn fill(&self, name: &str, documents: impl IntoIterator<Item = DocumentBuilder>) -> Vec<Indexed> {
        let documents = documents.into_iter().map(|document| document.build().unwrap());
        self.send_as(IndexBatch::rebuild(named(name), documents)).await
    }

    async fn begin(&self, name: &str) {
        let status = self.step(RebuildStep::Begin(named(name))).await;
        assert_eq!(status.state, RebuildState::Open);
    }

    async fn finish(&self, name: &str) -> u64 {
        let status = self.step(RebuildStep::Finish(named(name))).await;
        assert_eq!(status.state, RebuildState::Finished);
        status.documents
    }
}

async fn rebuilding<'f>(fixture: &'f dyn SearchFixture) -> Option<World<'f>> {
    let world = World::open(fixture).await;
    if !world.can(Need::Rebuild).await {
        return None;
    }
    world
        .put(["a", "b", "c"].map(|id| world.doc(id).title("old").version(2)))
        .await;
    world.begin("r-1").await;
    Some(world)
}

/// Until then searches see the old one, then the new one alone, of all tenants.
pub async fn a_rebuild_serves_when_it_is_finished(fixture: &dyn SearchFixture) {
    let Some(world) = rebuilding(fixture).await else {
        return;
    };
    let neighbour = kaireon_core::search::Document::builder(&world.neighbour(), "offer", "n").title("new");
    let filled = ["a", "b"]
        .map(|id| world.doc(id).title("new").version(2))
        .into_iter()
        .chain([neighbour]);
    assert_eq!(world.fill("r-1", filled).await, [Indexed::Written; 3]);
    world.refresh().await;
    world.words_find("old", &["a", "b", "c"]).await;
    world.words_find("new", &[]).await;
    assert_eq!(world.step(RebuildStep::Status(named("r-1"))).await.documents, 3);
    assert_eq!(world.finish("r-1").await, 3);
    world.words_find("new", &["a", "b"]).await;
    world.finds(world.query(), &["a", "b"]).await;
    // It serves like any other.
    assert_eq!(
        world.send([world.doc("a").title("late").version(1)]).await,
        [Indexed::Outdated]
    );
    world.put([world.doc("c").title("newest").version(3)]).await;
    world.finds(world.query(), &["a", "b", "c"]).await;
}

/// The old one goes on.
pub async fn an_aborted_rebuild_changes_nothing(fixture: &dyn SearchFixture) {
    let Some(world) = rebuilding(fixture).await else {
        return;
    };
    world
        .fill(
            "r-1",
            [
                world.doc("a").title("new").version(9),
                world.doc("x").title("new"),
            ],
        )
        .await;
    let status = world.step(RebuildStep::Abort(named("r-1"))).await;
    assert_eq!(status.state, RebuildState::Aborted);
    world.refresh().await;
    world.words_find("old", &["a", "b", "c"]).await;
    world.words_find("new", &[]).await;
    // Nothing of it is left for the next one.
    world.begin("r-2").await;
    assert_eq!(world.finish("r-2").await, 0);
    world.finds(world.query(), &[]).await;
}

/// What is written meanwhile is found before and after.
pub async fn live_documents_go_into_both(fixture: &dyn SearchFixture) {
    let Some(world) = rebuilding(fixture).await else {
        return;
    };
    world.put([world.doc("d").title("live").version(1)]).await;
    world.words_find("live", &["d"]).await;
    world.finish("r-1").await;
    world.finds(world.query(), &["d"]).await;
}

/// Whichever of the two comes first.
pub async fn a_live_document_is_not_overwritten_by_an_older_filling(fixture: &dyn SearchFixture) {
    let Some(world) = rebuilding(fixture).await else {
        return;
    };
    world.put([world.doc("a").title("live").version(3)]).await;
    assert_eq!(
        world.fill("r-1", [world.doc("a").title("read").version(2)]).await,
        [Indexed::Outdated]
    );
    assert_eq!(
        world.fill("r-1", [world.doc("b").title("read").version(2)]).await,
        [Indexed::Written]
    );
    world.put([world.doc("b").title("live").version(3)]).await;
    world.finish("r-1").await;
    world.words_find("live", &["a", "b"]).await;
    world.words_find("read", &[]).await;
}

/// By id and by kind, before it was filled in and after.
pub async fn what_was_deleted_meanwhile_is_not_filled_in(fixture: &dyn SearchFixture) {
    let Some(world) = rebuilding(fixture).await else {
        return;
    };
    let flow = |id: &str| kaireon_core::search::Document::builder(&world.tenant, "flow", id).title("read");
    let read = |id: &str| world.doc(id).title("read").version(2);
    world.fill("r-1", [read("a"), flow("f")]).await;
    assert_eq!(world.delete(offers(["a", "b"])).await, 2);
    assert_eq!(world.delete(DeleteScope::Kind(kind("flow"))).await, 0);
    let outcome = world
        .fill("r-1", [read("a"), read("b"), read("c"), flow("g")])
        .await;
    let (written, outdated) = (Indexed::Written, Indexed::Outdated);
    assert_eq!(outcome, [outdated, outdated, written, outdated]);
    // What comes back alive is there.
    world.put([world.doc("b").title("live").version(1)]).await;
    assert_eq!(world.fill("r-1", [read("b")]).await, [outdated]);
    assert_eq!(world.finish("r-1").await, 2);
    world.words_find("read", &["c"]).await;
    world.words_find("live", &["b"]).await;
}

/// An erasure reaches the new one as well.
pub async fn what_was_erased_meanwhile_is_not_filled_in(fixture: &dyn SearchFixture) {
    let Some(world) = rebuilding(fixture).await else {
        return;
    };
    if !world.can(Need::Erasure).await {
        return;
    }
    let anna = world.customer("anna");
    let of_anna = |id: &str| world.doc(id).title("read").customer(anna.clone());
    world.put([of_anna("x")]).await;
    world.fill("r-1", [of_anna("y")]).await;
    assert_eq!(world.index.erase_customer(&world.tenant, &anna).await.unwrap(), 1);
    let outcome = world
        .fill("r-1", [of_anna("x"), of_anna("z"), world.doc("a").title("read")])
        .await;
    assert_eq!(outcome, [Indexed::Outdated, Indexed::Outdated, Indexed::Written]);
    world.finish("r-1").await;
    world.finds(world.query(), &["a"]).await;
}

/// Also through another handle, with what was filled so far.
pub async fn a_rebuild_is_found_again_by_its_name(fixture: &dyn SearchFixture) {
    let Some(world) = rebuilding(fixture).await else {
        return;
    };
    world.fill("r-1", [world.doc("a").title("new")]).await;
    let began = world.step(RebuildStep::Status(named("r-1"))).await;
    let other = world.fixture.open().await;
    let again = other.rebuild(RebuildStep::Begin(named("r-1"))).await.unwrap();
    assert_eq!((again.state, again.documents), (RebuildState::Open, 1));
    assert_eq!(again.began_at, began.began_at);
    world.finish("r-1").await;
    world.words_find("new", &["a"]).await;
}

/// Another name is a conflict, and disturbs nothing.
pub async fn one_rebuild_is_open_at_a_time(fixture: &dyn SearchFixture) {
    let Some(world) = rebuilding(fixture).await else {
        return;
    };
    let second = world.index.rebuild(RebuildStep::Begin(named("r-2"))).await;
    world.refused(second, ErrorKind::Conflict);
    world.fill("r-1", [world.doc("a").title("new")]).await;
    assert_eq!(world.finish("r-1").await, 1);
    world.begin("r-2").await;
}

/// A repetition of the last step answers as the first did; a name that has ended begins anew.
pub async fn steps_of_a_rebuild_may_be_repeated(fixture: &dyn SearchFixture) {
    let Some(world) = rebuilding(fixture).await else {
        return;
    };
    world.fill("r-1", [world.doc("a").title("new")]).await;
    world.begin("r-1").await;
    assert_eq!(world.finish("r-1").await, 1);
    assert_eq!(world.finish("r-1").await, 1);
    assert_eq!(
        world.step(RebuildStep::Status(named("r-1"))).await.state,
        RebuildState::Finished
    );
    world.refused(
        world.index.rebuild(RebuildStep::Abort(named("r-1"))).await,
        ErrorKind::NotFound,
    );
    world.refresh().await;
    world.words_find("new", &["a"]).await;
    world.begin("r-1").await;
    assert_eq!(world.step(RebuildStep::Status(named("r-1"))).await.documents, 0);
    for _ in 0..2 {
        let status = world.step(RebuildStep::Abort(named("r-1"))).await;
        assert_eq!(status.state, RebuildState::Aborted);
    }
    world.refused(
        world.index.rebuild(RebuildStep::Finish(named("r-1"))).await,
        ErrorKind::NotFound,
    );
    world.words_find("new", &["a"]).await;
}

/// Neither its steps nor its filling.
pub async fn a_rebuild_that_is_not_open_is_not_found(fixture: &dyn SearchFixture) {
    let Some(world) = rebuilding(fixture).await else {
        return;
    };
    for step in [RebuildStep::Status, RebuildStep::Finish, RebuildStep::Abort] {
        let refused = world.index.rebuild(step(named("r-2"))).await;
        world.refused(refused, ErrorKind::NotFound);
    }
    for open in [true, false] {
        let document = world.doc("a").title("new").version(9).build().unwrap();
        let name = if open { "r-2" } else { "r-1" };
        let refused = world
            .index
            .index(IndexBatch::rebuild(named(name), [document]))
            .await;
        world.refused(refused, ErrorKind::NotFound);
        if open {
            world.step(RebuildStep::Abort(named("r-1"))).await;
        }
    }
    world.refresh().await;
    world.words_find("old", &["a", "b", "c"]).await;
}

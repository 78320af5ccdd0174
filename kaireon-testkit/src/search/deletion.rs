//! What is deleted is found no more.

use kaireon_core::ErrorKind;
use kaireon_core::search::{DeleteScope, Deletion, Document, DocumentId, TextMode};

use super::SearchFixture;
use super::world::{World, kind};

impl World<'_> {
    pub(super) async fn delete(&self, scope: DeleteScope) -> u64 {
        let tenant = self.tenant.clone();
        let deleted = self.index.delete(Deletion { tenant, scope }).await;
        deleted.expect("a deletion within the bounds is done")
    }
}

pub(super) fn offers<'a>(ids: impl IntoIterator<Item = &'a str>) -> DeleteScope {
    let id = |id| DocumentId::new(id).unwrap();
    DeleteScope::Ids {
        kind: kind("offer"),
        ids: ids.into_iter().map(id).collect(),
    }
}

/// That one, of that kind.
pub async fn a_document_is_deleted_by_its_id(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    let other = Document::builder(&world.tenant, "category", "a").title("shoe");
    world
        .put([
            world.doc("a").title("shoe"),
            world.doc("b").title("shoe"),
            world.doc("c").title("shoe"),
            other,
        ])
        .await;
    assert_eq!(world.delete(offers(["a", "c"])).await, 2);
    world.refresh().await;
    let hits = world.search(world.text("shoe", TextMode::AllWords)).await.hits;
    let mut left: Vec<_> = hits
        .iter()
        .map(|hit| format!("{} {}", hit.document.kind, hit.document.id))
        .collect();
    left.sort();
    assert_eq!(left, ["category a", "offer b"]);
}

/// Absence is no error.
pub async fn what_is_not_there_counts_as_nothing(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    world.put([world.doc("a")]).await;
    assert_eq!(world.delete(offers(["a", "b", "a"])).await, 1);
    assert_eq!(world.delete(offers(["a"])).await, 0);
    assert_eq!(world.delete(offers([])).await, 0);
    assert_eq!(world.delete(DeleteScope::Kind(kind("flow"))).await, 0);
    assert_eq!(world.delete(DeleteScope::Tenant).await, 0);
}

/// And no other.
pub async fn a_kind_is_deleted(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    let of = |kind: &str| Document::builder(&world.tenant, kind, kind);
    world.put(["offer", "offers", "Offer", "offer x"].map(of)).await;
    assert_eq!(world.delete(DeleteScope::Kind(kind("offer"))).await, 1);
    world.refresh().await;
    world.finds(world.query(), &["offers", "Offer", "offer x"]).await;
}

/// Whole.
pub async fn a_tenant_is_deleted(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    let of = |n: usize| Document::builder(&world.tenant, ["a", "b"][n % 2], n.to_string());
    world.put((0..30).map(of)).await;
    assert_eq!(world.delete(DeleteScope::Tenant).await, 30);
    world.refresh().await;
    world.finds(world.query(), &[]).await;
}

/// A deletion reaches all that was acknowledged.
pub async fn what_was_not_refreshed_is_deleted_too(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    let three = || ["a", "b", "c"].map(|id| world.doc(id));
    for scope in [
        offers(["a", "b", "c"]),
        DeleteScope::Kind(kind("offer")),
        DeleteScope::Tenant,
    ] {
        world.send(three()).await;
        assert_eq!(world.delete(scope).await, 3);
        world.refresh().await;
        world.finds(world.query(), &[]).await;
    }
}

/// A deletion is not remembered.
pub async fn a_deleted_document_may_come_back_under_any_version(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    world.put([world.doc("a").title("hat").version(9)]).await;
    world.delete(offers(["a"])).await;
    world.put([world.doc("a").title("shoe").version(1)]).await;
    world.words_find("shoe", &["a"]).await;
    world.words_find("hat", &[]).await;
}

/// The bound of one call.
pub async fn more_than_1000_ids_are_refused(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    world.put([world.doc("7")]).await;
    let ids: Vec<_> = (0..1_001).map(|n| n.to_string()).collect();
    let scope = offers(ids.iter().map(String::as_str));
    let tenant = world.tenant.clone();
    let refused = world.index.delete(Deletion { tenant, scope }).await;
    assert_eq!(
        world.refused(refused, ErrorKind::InvalidInput).field(),
        Some("ids")
    );
    world.refresh().await;
    world.finds(world.query(), &["7"]).await;
    assert_eq!(
        world
            .delete(offers(ids[..1_000].iter().map(String::as_str)))
            .await,
        1
    );
}

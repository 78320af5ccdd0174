//! What names a customer goes with the customer.

use kaireon_core::search::{Document, TextMode};

use super::SearchFixture;
use super::world::{Need, World};

/// Of every kind, without a refresh, and nobody else's.
pub async fn a_customers_documents_are_erased_at_once(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    if !world.can(Need::Erasure).await {
        return;
    }
    let (anna, ann) = (world.customer("anna"), world.customer("ann"));
    let of = |kind: &str, id: &str| Document::builder(&world.tenant, kind, id).title("note about anna");
    world
        .put([
            of("note", "1").customer(anna.clone()),
            of("mail", "1").customer(anna.clone()),
            of("note", "2").customer(ann),
            of("note", "3"),
        ])
        .await;
    assert_eq!(world.index.erase_customer(&world.tenant, &anna).await.unwrap(), 2);
    world.finds(world.query(), &["2", "3"]).await;
    world
        .finds(world.text("anna", TextMode::AllWords), &["2", "3"])
        .await;
}

/// An erasure reaches all that was acknowledged.
pub async fn what_was_not_refreshed_is_erased_too(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    if !world.can(Need::Erasure).await {
        return;
    }
    let anna = world.customer("anna");
    world
        .send((0..5).map(|n| world.doc(&n.to_string()).customer(anna.clone())))
        .await;
    assert_eq!(world.index.erase_customer(&world.tenant, &anna).await.unwrap(), 5);
    world.finds(world.query(), &[]).await;
    world.refresh().await;
    world.finds(world.query(), &[]).await;
}

/// A repetition is safe, and who comes back is a new customer.
pub async fn erasing_again_finds_nothing(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    if !world.can(Need::Erasure).await {
        return;
    }
    let anna = world.customer("anna");
    world
        .put([world.doc("a").customer(anna.clone()).version(9)])
        .await;
    for count in [1, 0] {
        assert_eq!(
            world.index.erase_customer(&world.tenant, &anna).await.unwrap(),
            count
        );
    }
    world.put([world.doc("a").customer(anna).version(1)]).await;
    world.finds(world.query(), &["a"]).await;
}

//! Generations and tombstones: what was erased stays erased, also on another store.

use std::sync::Arc;

use kaireon_core::outbox::{DeadLetterId, DeadLetterQuery, Lane, LaneSet};
use kaireon_core::store::{
    Accepted, Erasure, ErasureId, Generation, MAX_PAGE, Origin, RecordBatch, Recorded, Tombstone,
    TombstoneQuery,
};
use kaireon_core::{ErrorKind, InteractionStore, TenantId};

use crate::StoreFixture;
use crate::world::{Built, Need, World, noon};

async fn tombstones(store: &Arc<dyn InteractionStore>, tenant: &TenantId, limit: u32) -> Vec<Tombstone> {
    let mut found = Vec::new();
    let mut query = TombstoneQuery {
        limit,
        ..TombstoneQuery::new(tenant.clone())
    };
    loop {
        let page = store.tombstones(query.clone()).await.unwrap();
        found.extend(page.items);
        match page.next {
            Some(next) => query.cursor = Some(next),
            None => return found,
        }
    }
}

fn accepted(event: &kaireon_core::Interaction, generation: u32) -> Accepted<kaireon_core::Interaction> {
    Accepted {
        value: event.clone(),
        generation: Generation(generation),
    }
}

/// Tombstones hold the customer's digest under the tenant's key, one per customer, over any pages.
pub async fn tombstones_are_listed_once_per_customer(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Erasure]).await {
        return;
    }
    assert_eq!(tombstones(&world.store, &world.tenant, 10).await, []);
    for n in 0..7 {
        world.erase(&format!("customer-{n}"), "ticket-1").await;
    }
    world.erase("customer-3", "ticket-2").await;
    for limit in [1, 3, 7, 1_000] {
        let found = tombstones(&world.store, &world.tenant, limit).await;
        assert_eq!(found.len(), 7, "pages of {limit}");
        assert_eq!(found.iter().map(|stone| stone.generation.0).sum::<u32>(), 8);
        if let Some(key) = world.tenant_key() {
            for n in 0..7 {
                let generation = Generation(if n == 3 { 2 } else { 1 });
                let stone = Tombstone {
                    customer: key.customer(&world.customer(&format!("customer-{n}"))),
                    generation,
                };
                assert!(found.contains(&stone), "customer {n} has a tombstone");
            }
        }
    }
    let other = TenantId::new(format!("{}-2", world.tenant)).unwrap();
    assert_eq!(tombstones(&world.store, &other, 10).await, []);
}

/// Installed on another store under the same master key, tombstones erase there, and are never lowered.
pub async fn tombstones_installed_on_another_store_erase_there(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Erasure, Need::Replication]).await {
        return;
    }
    let Some(other) = fixture.elsewhere().await else {
        crate::suite::declared_away(&world.can.backend, "a second place");
        return;
    };
    let event = world.event("anna").built();
    world.record(&event).await;
    let batch = RecordBatch::accepted(Origin::Replicated, [accepted(&event, 0)]);
    other.record_events(batch).await.unwrap().into_values().unwrap();
    world.erase("anna", "ticket-1").await;
    world.erase("anna", "ticket-2").await;
    let stones = tombstones(&world.store, &world.tenant, 10).await;
    for _ in 0..2 {
        other
            .install_tombstones(&world.tenant, stones.clone())
            .await
            .unwrap();
        let query = kaireon_core::store::SummaryQuery::new(world.tenant.clone(), world.customer("anna"));
        assert_eq!(other.get_summaries(query).await.unwrap(), []);
        assert_eq!(tombstones(&other, &world.tenant, 10).await, stones);
    }
    // A copy of what was erased, still under way, is refused; a lower tombstone changes nothing.
    let late = world.event("anna").built();
    for generation in [0, 1] {
        let batch = RecordBatch::accepted(Origin::Replicated, [accepted(&late, generation)]);
        let results = other.record_events(batch).await.unwrap().into_results();
        world.refused(results.into_iter().next().unwrap(), ErrorKind::Erased);
    }
    let lower = stones
        .iter()
        .map(|stone| Tombstone {
            generation: Generation(1),
            ..stone.clone()
        })
        .collect();
    other.install_tombstones(&world.tenant, lower).await.unwrap();
    assert_eq!(
        tombstones(&other, &world.tenant, 10).await,
        stones,
        "a generation is never lowered"
    );
    other.disconnect().await.unwrap();
}

/// A page holds 1 to 1,000 tombstones.
pub async fn tombstone_limits_are_from_1_to_1000(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Erasure]).await {
        return;
    }
    world.erase("anna", "ticket-1").await;
    for (limit, good) in [(0, false), (1, true), (MAX_PAGE, true), (MAX_PAGE + 1, false)] {
        let query = TombstoneQuery {
            limit,
            ..TombstoneQuery::new(world.tenant.clone())
        };
        let found = world.store.tombstones(query).await;
        if good {
            assert_eq!(found.unwrap().items.len(), 1);
        } else {
            let error = world.refused(found, ErrorKind::InvalidInput);
            assert_eq!(error.field(), Some("limit"));
        }
    }
}

/// A new record tells the generation that it was accepted under: what a copy of it must carry.
pub async fn a_new_record_tells_the_generation_it_was_accepted_under(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Erasure]).await {
        return;
    }
    for erased in 0..3 {
        if erased > 0 {
            world.erase("anna", &format!("ticket-{erased}")).await;
        }
        let (anna, bert) = (world.event("anna").built(), world.event("bert").built());
        let told = world.store.record_event(anna.clone()).await.unwrap();
        assert_eq!(told.generation(), Some(Generation(erased)));
        let batch = RecordBatch::live([world.event("anna").built(), bert, anna.clone()]);
        let recorded = world.store.record_events(batch).await.unwrap();
        let told: Vec<_> = recorded
            .into_values()
            .unwrap()
            .iter()
            .map(Recorded::generation)
            .collect();
        assert_eq!(told, [Some(Generation(erased)), Some(Generation::ZERO), None]);
        if world.can.decisions {
            let decision = world.decision(&format!("r-{erased}"), "anna", 1);
            let told = world.store.record_decision(decision).await.unwrap();
            assert_eq!(told.generation(), Some(Generation(erased)));
        }
        if world.can.replication {
            for origin in [Origin::Replicated, Origin::Backfill] {
                let given = world.event("anna").built();
                let batch = RecordBatch::accepted(origin, [accepted(&given, erased)]);
                let recorded = world.store.record_events(batch).await.unwrap();
                let told = recorded.into_values().unwrap()[0].generation();
                assert_eq!(told, Some(Generation(erased)), "{origin:?}");
            }
        }
    }
}

/// A record that another store accepted under an erased generation is refused, whatever its origin.
pub async fn a_replicated_record_of_an_erased_generation_is_refused(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Erasure, Need::Replication]).await {
        return;
    }
    world.erase("anna", "ticket-1").await;
    for origin in [Origin::Replicated, Origin::Backfill] {
        let (old, new) = (world.event("anna").built(), world.event("bert").built());
        let batch = RecordBatch::accepted(origin, [accepted(&old, 0), accepted(&new, 0)]);
        let mut results = world
            .store
            .record_events(batch)
            .await
            .unwrap()
            .into_results()
            .into_iter();
        let error = world.refused(results.next().unwrap(), ErrorKind::Erased);
        assert!(!error.is_transient(), "it must not be sent again");
        assert_eq!(
            results.next().unwrap().unwrap(),
            Recorded::new(new.id.clone()),
            "its neighbour is taken"
        );
        let batch = RecordBatch::accepted(origin, [accepted(&old, 1)]);
        assert!(
            world
                .store
                .record_events(batch)
                .await
                .unwrap()
                .into_values()
                .unwrap()[0]
                .is_new()
        );
        if world.can.decisions {
            let decision = world.decision(&format!("r-{origin:?}"), "anna", 1);
            let value = Accepted {
                value: decision,
                generation: Generation(0),
            };
            let batch = RecordBatch::accepted(origin, [value]);
            let results = world.store.record_decisions(batch).await.unwrap().into_results();
            world.refused(results.into_iter().next().unwrap(), ErrorKind::Erased);
        }
    }
}

/// A record of a higher generation raises the present one: what lies below it is gone.
pub async fn a_replicated_record_of_a_higher_generation_erases_what_lies_below(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Erasure, Need::Replication]).await {
        return;
    }
    world.record(&world.event("anna").built()).await;
    let event = world.event("anna").timestamp(noon(9)).built();
    let batch = RecordBatch::accepted(Origin::Replicated, [accepted(&event, 2)]);
    assert!(
        world
            .store
            .record_events(batch)
            .await
            .unwrap()
            .into_values()
            .unwrap()[0]
            .is_new()
    );
    world.holds("anna", std::slice::from_ref(&event)).await;
    assert_eq!(tombstones(&world.store, &world.tenant, 10).await.len(), 1);
    // The next erasure counts on from there.
    let request = Erasure {
        tenant: world.tenant.clone(),
        customer: world.customer("anna"),
        id: ErasureId::fresh(),
    };
    assert_eq!(
        world.store.erase_customer(request).await.unwrap().generation,
        Generation(3)
    );
    world.holds("anna", &[]).await;
}

/// What lies below a raised generation is told to nobody from the answer on: it is in no lane, in no count, and no dead
/// letter that can be seen or replayed.
pub async fn a_replicated_record_of_a_higher_generation_leaves_nothing_to_tell(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Erasure, Need::Replication, Need::Outbox]).await {
        return;
    }
    let outbox = world.outbox();
    outbox.set_lanes(LaneSet::of(&Lane::ALL)).await.unwrap();
    let both = || [world.event("anna").built(), world.event("bert").built()];
    world.record_all(&both()).await;
    crate::outbox::poison_all(&outbox, Lane::Publish).await;
    world.record_all(&both()).await;
    let letters = DeadLetterQuery::new(Lane::Publish);
    let anna = world.customer("anna");
    let before = outbox.dead_letters(letters.clone()).await.unwrap().items;
    let hers = before
        .iter()
        .find(|letter| letter.entry.customer() == Some(&anna))
        .unwrap();
    let event = world.event("anna").timestamp(noon(9)).built();
    let batch = RecordBatch::accepted(Origin::Replicated, [accepted(&event, 1)]);
    let raised = world.store.record_events(batch).await.unwrap();
    assert!(raised.into_values().unwrap()[0].is_new());
    for (lane, left) in [
        (Lane::Publish, (1, 1)),
        (Lane::Replicate, (2, 0)),
        (Lane::Archive, (2, 0)),
    ] {
        let status = outbox.status(lane).await.unwrap();
        assert_eq!((status.backlog, status.dead_letters), left, "{lane}");
        let backlog = outbox.backlog(lane, &world.tenant).await.unwrap();
        assert_eq!((backlog.waiting, backlog.dead_letters), left, "{lane}");
    }
    let after = outbox.dead_letters(letters).await.unwrap().items;
    let told: Vec<_> = after.iter().map(|letter| letter.entry.customer()).collect();
    assert_eq!(told, [Some(&world.customer("bert"))]);
    let name = DeadLetterId {
        range: hers.entry.range,
        position: hers.entry.position,
    };
    assert_eq!(outbox.replay(Lane::Publish, vec![name]).await.unwrap(), 0);
    for lane in Lane::ALL {
        let entries = crate::outbox::drain(&outbox, lane, "after").await;
        assert!(
            entries.iter().all(|entry| entry.customer() != Some(&anna)),
            "{lane} tells nothing of the erased"
        );
    }
}

/// A record under a generation that leaves no room for erasures is refused, and its customer stays as it was.
pub async fn a_record_of_a_generation_above_the_highest_is_refused(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Erasure, Need::Replication]).await {
        return;
    }
    let kept = world.event("anna").built();
    world.record(&kept).await;
    for origin in [Origin::Replicated, Origin::Backfill] {
        for wrong in [Generation::MAX_GIVEN.0 + 1, u32::MAX] {
            let batch = RecordBatch::accepted(origin, [accepted(&world.event("anna").built(), wrong)]);
            let results = world.store.record_events(batch).await.unwrap().into_results();
            let error = world.refused(results.into_iter().next().unwrap(), ErrorKind::InvalidInput);
            assert_eq!(error.field(), Some("generation"));
            if world.can.decisions {
                let value = Accepted {
                    value: world.decision(&format!("r-{origin:?}"), "anna", 1),
                    generation: Generation(wrong),
                };
                let batch = RecordBatch::accepted(origin, [value]);
                let results = world.store.record_decisions(batch).await.unwrap().into_results();
                let error = world.refused(results.into_iter().next().unwrap(), ErrorKind::InvalidInput);
                assert_eq!(error.field(), Some("generation"));
            }
        }
    }
    world.holds("anna", std::slice::from_ref(&kept)).await;
    assert_eq!(tombstones(&world.store, &world.tenant, 10).await, []);
}

/// Of tombstones of which one is out of bounds none is installed, so that nobody is erased by half a call.
pub async fn tombstones_above_the_highest_generation_are_refused_and_erase_nothing(
    fixture: &dyn StoreFixture,
) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Erasure]).await {
        return;
    }
    let Some(key) = world.tenant_key() else {
        crate::suite::declared_away(&world.can.backend, "a known master key");
        return;
    };
    let kept = [world.event("anna").built()];
    let neighbour = [world.event("bert").built()];
    world.record_all(&kept).await;
    world.record_all(&neighbour).await;
    let stone = |customer: &str, generation: u32| Tombstone {
        customer: key.customer(&world.customer(customer)),
        generation: Generation(generation),
    };
    for wrong in [Generation::MAX_GIVEN.0 + 1, u32::MAX] {
        let stones = vec![stone("bert", 1), stone("anna", wrong)];
        let refused = world.store.install_tombstones(&world.tenant, stones).await;
        let error = world.refused(refused, ErrorKind::InvalidInput);
        assert_eq!(error.field(), Some("generation"));
    }
    world.holds("anna", &kept).await;
    world.holds("bert", &neighbour).await;
    assert_eq!(tombstones(&world.store, &world.tenant, 10).await, []);
}

/// The highest generation that is taken is one like any other: what lies below is gone, the customer is recorded under
/// it, and the next erasure finds room behind it. Nothing that was accepted before comes back.
pub async fn a_customer_of_the_highest_generation_is_recorded_and_erased_like_any_other(
    fixture: &dyn StoreFixture,
) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Erasure, Need::Replication]).await {
        return;
    }
    let Some(key) = world.tenant_key() else {
        crate::suite::declared_away(&world.can.backend, "a known master key");
        return;
    };
    world.record(&world.event("anna").built()).await;
    let stone = Tombstone {
        customer: key.customer(&world.customer("anna")),
        generation: Generation::MAX_GIVEN,
    };
    let install = || world.store.install_tombstones(&world.tenant, vec![stone.clone()]);
    install().await.unwrap();
    world.holds("anna", &[]).await;
    let live = [world.event("anna").timestamp(noon(1)).built()];
    world.record_all(&live).await;
    let given = world.event("anna").timestamp(noon(2)).built();
    let batch = RecordBatch::accepted(Origin::Replicated, [accepted(&given, Generation::MAX_GIVEN.0)]);
    let recorded = world.store.record_events(batch).await.unwrap().into_values();
    assert_eq!(
        recorded.unwrap(),
        [Recorded::New {
            id: given.id.clone(),
            generation: Generation::MAX_GIVEN
        }]
    );
    world.holds("anna", &[live[0].clone(), given]).await;

    let receipt = world.erase("anna", "ticket-1").await;
    assert_eq!(receipt.generation, Generation(Generation::MAX_GIVEN.0 + 1));
    world.holds("anna", &[]).await;
    install().await.unwrap();
    let late = world.event("anna").built();
    let batch = RecordBatch::accepted(Origin::Replicated, [accepted(&late, Generation::MAX_GIVEN.0)]);
    let results = world.store.record_events(batch).await.unwrap().into_results();
    world.refused(results.into_iter().next().unwrap(), ErrorKind::Erased);
    let again = [world.event("anna").timestamp(noon(3)).built()];
    world.record_all(&again).await;
    world.holds("anna", &again).await;
    assert_eq!(
        world.erase("anna", "ticket-2").await.generation.0,
        Generation::MAX_GIVEN.0 + 2
    );
    world.holds("anna", &[]).await;
}

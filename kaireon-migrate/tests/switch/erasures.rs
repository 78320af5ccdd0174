//! Erasing a customer while a tenant is moved.

use std::sync::Arc;
use std::time::Duration;

use kaireon_core::digest::MasterKey;
use kaireon_core::memory::{MemoryOptions, MemoryPlace};
use kaireon_core::outbox::{Destination, FetchFrom, Lane, LaneSet, LeaseRequest, RANGES};
use kaireon_core::store::{Erasure, ErasureId, Generation, Purge};
use kaireon_core::time::Clock;
use kaireon_core::{CustomerId, ErrorKind, InteractionStore};
use kaireon_migrate::{DualWrite, Settings, Step, Stores, SwitchConfig, SwitchStore, TenantSetting};

use super::{KEY, NAMES, World, emptied, event, name, rows, summaries, tenant};

fn erasure(customer: &str) -> Erasure {
    Erasure {
        tenant: tenant(),
        customer: CustomerId::new(customer).unwrap(),
        id: ErasureId::new("ticket-1").unwrap(),
    }
}

/// Its tombstones would name nobody on that store.
#[test]
fn a_store_that_was_made_with_another_key_is_refused() {
    let world = World::new();
    let other = MemoryPlace::new(MemoryOptions::default().with_master_key(MasterKey::new([8; 32])));
    let switch = |second: MemoryPlace| {
        let [old, new] = [&world.places[0], &second].map(MemoryPlace::open);
        let stores: [Arc<dyn InteractionStore>; 2] = [Arc::new(old), Arc::new(new)];
        let stores = Stores::new(NAMES.into_iter().map(name).zip(stores)).unwrap();
        let first = TenantSetting::single(name("old"), LaneSet::NONE);
        let settings = Settings::new(Arc::clone(&world.settings), first);
        SwitchStore::new(stores, settings, SwitchConfig::new(KEY))
    };
    assert!(switch(world.places[1].clone()).is_ok());
    let refused = switch(other).unwrap_err();
    assert_eq!(
        (refused.kind(), refused.field()),
        (ErrorKind::Config, Some("master_key"))
    );
    assert!(
        refused
            .to_string()
            .contains("new was made with another master key"),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_reaches_both_stores_and_what_is_on_its_way() {
    let world = World::new();
    let process = world.process();
    process.switch.record_event(event("anna", 1)).await.unwrap();
    process.start(&world, DualWrite::Async).await;
    process.make_ready(&world).await;
    // On its way in the lane, with nobody to deliver it.
    process.switch.record_event(event("anna", 2)).await.unwrap();
    process.switch.record_event(event("bert", 1)).await.unwrap();
    let receipt = process.switch.erase_customer(erasure("anna")).await.unwrap();
    assert_eq!(receipt.generation, Generation(1));
    let again = process.switch.erase_customer(erasure("anna")).await.unwrap();
    assert_eq!(again, receipt);
    process.switch.record_event(event("anna", 3)).await.unwrap();
    let relays = process.replicate();
    emptied(&process.stores[0], Lane::Replicate).await;
    for store in &process.stores {
        let found = rows(store.as_ref()).await;
        let keys: Vec<_> = found.keys().map(String::as_str).collect();
        assert_eq!(keys, ["anna-3", "bert-1"]);
        assert_eq!(found["anna-3"].generation, Generation(1));
    }
    assert_eq!(
        summaries(process.stores[0].as_ref(), "anna").await,
        summaries(process.stores[1].as_ref(), "anna").await
    );
    // After the cut-over the generation goes on from where it was.
    let cut_over = process.ask(Step::CutOver, &world);
    process.migrator.change(&tenant(), &cut_over).await.unwrap();
    let other = Erasure {
        id: ErasureId::new("ticket-2").unwrap(),
        ..erasure("anna")
    };
    let receipt = process.switch.erase_customer(other).await.unwrap();
    assert_eq!(receipt.generation, Generation(2));
    for store in &process.stores {
        assert_eq!(rows(store.as_ref()).await.len(), 1);
    }
    drop(relays);
}

/// The call before the cut-over was cut short; the new authority's own relays have nothing in hand.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_behind_a_cut_over_waits_for_the_relay_of_the_old_authority() {
    let world = World::new();
    let publishing = TenantSetting::single(name("old"), LaneSet::of(&[Lane::Publish]));
    let process = world.process_on(publishing, SwitchConfig::new(KEY));
    let outbox = process.stores[0].outbox().unwrap();
    outbox.set_lanes(LaneSet::of(&[Lane::Publish])).await.unwrap();
    process.switch.record_event(event("anna", 1)).await.unwrap();
    let request = LeaseRequest {
        lane: Lane::Publish,
        owner: "slow".to_owned(),
        ttl: Duration::from_secs(60),
        max_ranges: RANGES,
        destination: Destination::unnamed(),
    };
    let leases = outbox.lease(request).await.unwrap().leases;
    let from = leases.iter().cloned().map(FetchFrom::all).collect();
    assert_eq!(outbox.fetch(from, 10).await.unwrap().len(), 1);
    let relays = process.replicate();
    process.start(&world, DualWrite::Async).await;
    process.make_ready(&world).await;
    for authority in NAMES {
        if authority == "new" {
            let cut_over = process.ask(Step::CutOver, &world);
            process.migrator.change(&tenant(), &cut_over).await.unwrap();
        }
        let known = process.migrator.observe(&tenant()).await.unwrap();
        assert_eq!(known.setting.authority, name(authority));
        let erased = async {
            while !rows(process.stores[0].as_ref()).await.is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            // A receipt for which nobody was waited for is there by then.
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        tokio::select! {
            receipt = process.switch.erase_customer(erasure("anna")) => panic!("{authority} gave {receipt:?}"),
            () = erased => {}
        }
    }
    outbox.release(leases).await.unwrap();
    let receipt = process.switch.erase_customer(erasure("anna")).await.unwrap();
    assert_eq!(receipt.generation, Generation(1));
    drop(relays);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_reaches_what_a_direct_switch_left_behind() {
    let world = World::new();
    let process = world.process();
    process.switch.record_event(event("anna", 1)).await.unwrap();
    let direct = Step::SwitchDirectly {
        target: super::name("new"),
    };
    process
        .migrator
        .change(&tenant(), &process.ask(direct, &world))
        .await
        .unwrap();
    process.switch.erase_customer(erasure("anna")).await.unwrap();
    assert!(rows(process.stores[0].as_ref()).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_watermark_does_not_move_while_a_migration_is_open() {
    let world = World::new();
    let process = world.process();
    let purge = || Purge {
        tenant: tenant(),
        before: world.clock.now() - Duration::from_secs(60),
    };
    process.switch.purge_before(purge()).await.unwrap();
    process.start(&world, DualWrite::Async).await;
    let error = process.switch.purge_before(purge()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let back = process.ask(Step::RollBack, &world);
    process.migrator.change(&tenant(), &back).await.unwrap();
    process.switch.purge_before(purge()).await.unwrap();
}

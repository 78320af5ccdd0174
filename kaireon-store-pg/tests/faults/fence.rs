//! Fences that are raised while others use the tenant for long.

use std::time::Duration;

use kaireon_core::store::{Epoch, Erasure, ErasureId, FenceRequest, Purge};
use kaireon_core::time::{Clock, SystemClock};
use kaireon_core::{CustomerId, InteractionStore, TenantId};
use kaireon_store_pg::{PgStore, PgStoreConfig};

use crate::place::{Place, event, insist, run, until};

fn tenant() -> TenantId {
    TenantId::new("t").unwrap()
}

fn to(epoch: u64) -> FenceRequest {
    FenceRequest {
        tenant: tenant(),
        epoch: Epoch(epoch),
        lanes: None,
    }
}

/// A store whose sessions have its schema's name.
fn config(place: &Place) -> PgStoreConfig {
    let mut config = place.config();
    config.connect.application_name = place.schema().to_owned();
    config
}

/// Whether one of the store's sessions waits for a lock.
async fn waits(place: &Place) -> bool {
    let waits = "SELECT count(*) FROM pg_stat_activity \
                 WHERE application_name = '{s}' AND wait_event_type = 'Lock'";
    place.number(waits).await > 0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_fence_is_raised_while_a_purge_deletes() {
    let place = Place::shared().await;
    let store = PgStore::connect(config(&place)).await.unwrap();
    insist(&store, &event("anna", "one")).await;
    place
        .run(
            "CREATE FUNCTION {s}.wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             PERFORM pg_advisory_xact_lock(hashtext('{s}')); RETURN NULL; END $$; \
             CREATE TRIGGER wait BEFORE DELETE ON {s}.history FOR EACH STATEMENT EXECUTE FUNCTION {s}.wait()",
        )
        .await;
    let mut somebody = place.connection().await;
    run(
        &mut somebody,
        &place.filled("SELECT pg_advisory_lock(hashtext('{s}'))"),
    )
    .await;
    let purge = tokio::spawn({
        let store = store.clone();
        let purge = Purge {
            tenant: tenant(),
            before: SystemClock.now() - chrono::TimeDelta::days(30),
        };
        async move { store.purge_before(purge).await }
    });
    until("a purge that deletes", async || waits(&place).await).await;
    let raised = store.raise_fence(to(1)).await.unwrap();
    assert_eq!(raised.epoch, Epoch(1));
    assert!(!purge.is_finished());
    run(
        &mut somebody,
        &place.filled("SELECT pg_advisory_unlock(hashtext('{s}'))"),
    )
    .await;
    purge.await.unwrap().unwrap();
    store.disconnect().await.unwrap();
    place.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_fence_is_raised_while_an_erasure_waits_for_its_customer() {
    let place = Place::shared().await;
    let store = PgStore::connect(config(&place)).await.unwrap();
    insist(&store, &event("anna", "one")).await;
    let mut somebody = place.connection().await;
    run(
        &mut somebody,
        &place.filled("BEGIN; SELECT FROM {s}.customers FOR UPDATE"),
    )
    .await;
    let erasure = tokio::spawn({
        let store = store.clone();
        let erasure = Erasure {
            tenant: tenant(),
            customer: CustomerId::new("anna").unwrap(),
            id: ErasureId::fresh(),
        };
        async move { store.erase_customer(erasure).await }
    });
    until("an erasure that waits", async || waits(&place).await).await;
    let raised = store.raise_fence(to(1)).await.unwrap();
    assert_eq!(raised.epoch, Epoch(1));
    assert!(!erasure.is_finished());
    run(&mut somebody, "ROLLBACK").await;
    erasure.await.unwrap().unwrap();
    store.disconnect().await.unwrap();
    place.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_fence_and_a_watermark_wait_for_a_tenants_row_longer_than_for_one_lock() {
    let place = Place::shared().await;
    let mut config = config(&place);
    config.options.lock_wait = Duration::from_millis(20);
    let store = PgStore::connect(config).await.unwrap();
    insist(&store, &event("anna", "one")).await;
    let mut somebody = place.connection().await;
    for epoch in 1..=2 {
        run(
            &mut somebody,
            &place.filled("BEGIN; SELECT FROM {s}.tenants FOR UPDATE"),
        )
        .await;
        let call = tokio::spawn({
            let store = store.clone();
            async move {
                if epoch == 1 {
                    store.raise_fence(to(epoch)).await.map(drop)
                } else {
                    let before = SystemClock.now() - chrono::TimeDelta::days(30);
                    let tenant = tenant();
                    store.purge_before(Purge { tenant, before }).await.map(drop)
                }
            }
        });
        until("a wait for the row", async || waits(&place).await).await;
        // Many times what one wait may take.
        tokio::time::sleep(Duration::from_millis(300)).await;
        run(&mut somebody, "ROLLBACK").await;
        call.await.unwrap().unwrap();
    }
    store.disconnect().await.unwrap();
    place.close().await;
}

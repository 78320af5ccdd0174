//! What erasures and higher generations take away and cannot be deleted at once.

use std::time::Duration;

use kaireon_core::outbox::{
    DeadLetterId, DeadLetterQuery, Destination, FetchFrom, Lane, LaneStatus, LeaseRequest, RANGES,
    Settlement, Verdict,
};
use kaireon_core::store::{
    Accepted, Erasure, ErasureId, Generation, HistoryQuery, Origin, Purge, RecordBatch, Recorded,
    SummaryQuery,
};
use kaireon_core::time::{Clock, SystemClock};
use kaireon_core::{CustomerId, Effect, ErrorKind, Interaction, InteractionStore, TenantId};
use kaireon_store_pg::PgStore;
use sqlx::Connection;

use crate::place::{Place, event, insist, until};

fn tenant() -> TenantId {
    TenantId::new("t").unwrap()
}

fn anna() -> CustomerId {
    CustomerId::new("anna").unwrap()
}

fn erasure() -> Erasure {
    Erasure {
        tenant: tenant(),
        customer: anna(),
        id: ErasureId::fresh(),
    }
}

/// A record of another store, whose customer was erased there before.
fn raising(event: &Interaction) -> RecordBatch<Interaction> {
    let accepted = Accepted {
        value: event.clone(),
        generation: Generation(1),
    };
    RecordBatch::accepted(Origin::Replicated, [accepted])
}

/// The answer to it: its customer is of that generation from now on.
fn under_the_next(event: &Interaction) -> Recorded {
    Recorded::New {
        id: event.id.clone(),
        generation: Generation(1),
    }
}

/// What is done where rows of the history are about to be deleted; it counts how often it was come to that.
async fn at_deletion(place: &Place, what: &str) {
    place
        .run(&format!(
            "CREATE SEQUENCE {{s}}.tries; \
             CREATE FUNCTION {{s}}.hinder() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             PERFORM nextval('{{s}}.tries'); {what}; RETURN NULL; END $$; \
             CREATE TRIGGER hinder BEFORE DELETE ON {{s}}.history FOR EACH STATEMENT EXECUTE FUNCTION {{s}}.hinder()"
        ))
        .await;
}

async fn is_hindered(place: &Place) -> bool {
    let tries = "SELECT CASE WHEN is_called THEN 1 ELSE 0 END::bigint FROM {s}.tries";
    place.number(tries).await > 0
}

/// How many rows there are, erased ones among them, and how many customers whose rows are to be deleted.
async fn on_disk(place: &Place) -> (i64, i64) {
    let rows = place.number("SELECT count(*) FROM {s}.history").await;
    (rows, place.number("SELECT count(*) FROM {s}.erasing").await)
}

async fn seen(store: &PgStore) -> Vec<Interaction> {
    let query = HistoryQuery::new(tenant(), anna());
    store.history(query).await.unwrap().items
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_replicated_record_that_raises_a_generation_is_recorded_though_nothing_can_be_deleted_yet() {
    let place = Place::shared().await;
    let store = PgStore::connect(place.config()).await.unwrap();
    insist(&store, &event("anna", "before")).await;
    at_deletion(&place, "RAISE EXCEPTION 'not now'").await;
    let after = event("anna", "after");
    let recorded = store.record_events(raising(&after)).await.unwrap();
    assert_eq!(recorded.into_values().unwrap(), [under_the_next(&after)]);
    until("a deletion that fails", async || is_hindered(&place).await).await;
    assert_eq!(on_disk(&place).await, (2, 1));
    assert_eq!(
        seen(&store).await,
        std::slice::from_ref(&after),
        "what is erased is out of sight"
    );
    place.run("DROP TRIGGER hinder ON {s}.history").await;
    until("the deletion", async || on_disk(&place).await == (1, 0)).await;
    assert_eq!(seen(&store).await, [after]);
    store.disconnect().await.unwrap();
    place.close().await;
}

/// Everybody who asks the outbox agrees that what is out of sight is gone, though it lies there.
#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn what_cannot_be_deleted_yet_is_in_no_lane_no_count_and_no_dead_letter() {
    let place = Place::shared().await;
    let store = PgStore::connect(place.config()).await.unwrap();
    let outbox = store.outbox().unwrap();
    insist(&store, &event("anna", "poisoned")).await;
    let request = LeaseRequest {
        lane: Lane::Publish,
        owner: "relay".to_owned(),
        ttl: Duration::from_secs(30),
        max_ranges: RANGES,
        destination: Destination::unnamed(),
    };
    let leases = outbox.lease(request).await.unwrap().leases;
    let from = || leases.iter().cloned().map(FetchFrom::all).collect();
    let read = outbox.fetch(from(), 10).await.unwrap();
    let aside = Settlement {
        range: read[0].range,
        position: read[0].position,
        verdict: Verdict::Poisoned("cannot be read".to_owned()),
    };
    outbox.settle(&leases, vec![aside]).await.unwrap();
    insist(&store, &event("anna", "waiting")).await;
    let letters = DeadLetterQuery::new(Lane::Publish);
    let letter = outbox
        .dead_letters(letters.clone())
        .await
        .unwrap()
        .items
        .remove(0);
    let waits = |status: LaneStatus| (status.backlog, status.dead_letters);
    assert_eq!(waits(outbox.status(Lane::Publish).await.unwrap()), (1, 1));
    at_deletion(&place, "RAISE EXCEPTION 'not now'").await;
    let after = event("anna", "after");
    let recorded = store.record_events(raising(&after)).await.unwrap();
    assert_eq!(recorded.into_values().unwrap(), [under_the_next(&after)]);
    until("a deletion that fails", async || is_hindered(&place).await).await;
    assert_eq!(place.number("SELECT count(*) FROM {s}.outbox").await, 1);
    assert_eq!(place.number("SELECT count(*) FROM {s}.outbox_dead").await, 1);
    assert_eq!(outbox.fetch(from(), 10).await.unwrap(), []);
    assert_eq!(waits(outbox.status(Lane::Publish).await.unwrap()), (0, 0));
    assert!(outbox.backlog(Lane::Publish, &tenant()).await.unwrap().is_empty());
    assert_eq!(outbox.dead_letters(letters).await.unwrap().items, []);
    let name = DeadLetterId {
        range: letter.entry.range,
        position: letter.entry.position,
    };
    assert_eq!(outbox.replay(Lane::Publish, vec![name]).await.unwrap(), 0);
    store.disconnect().await.unwrap();
    place.close().await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn what_a_process_that_died_has_left_is_deleted_when_a_store_is_opened() {
    let place = Place::shared().await;
    let store = PgStore::connect(place.config()).await.unwrap();
    insist(&store, &event("anna", "before")).await;
    at_deletion(&place, "RAISE EXCEPTION 'not now'").await;
    let error = store.erase_customer(erasure()).await.unwrap_err();
    assert_eq!(error.effect(), Effect::Unknown);
    store.disconnect().await.unwrap();
    place.run("DROP TRIGGER hinder ON {s}.history").await;
    assert_eq!(on_disk(&place).await, (1, 1));
    let next = PgStore::connect(place.config()).await.unwrap();
    until("the deletion", async || on_disk(&place).await == (0, 0)).await;
    next.disconnect().await.unwrap();
    place.close().await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_purge_deletes_what_was_left_of_the_tenants_erased_and_an_open_store_finds_it_by_itself() {
    let place = Place::shared().await;
    let store = PgStore::connect(place.config()).await.unwrap();
    // As a process leaves it that dies behind the commit.
    let die = "WITH gone AS (DELETE FROM {s}.customers RETURNING *) \
               INSERT INTO {s}.erasing (customer, tenant, digest, below, outbox_range, packed) \
               SELECT id, tenant, digest, generation + 1, 0, packed FROM gone";
    insist(&store, &event("anna", "one")).await;
    place.run(die).await;
    let purge = Purge {
        tenant: tenant(),
        before: SystemClock.now() - chrono::TimeDelta::days(30),
    };
    store.purge_before(purge).await.unwrap();
    assert_eq!(on_disk(&place).await, (0, 0));
    insist(&store, &event("anna", "two")).await;
    place.run(die).await;
    until("the deletion", async || on_disk(&place).await == (0, 0)).await;
    store.disconnect().await.unwrap();
    place.close().await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn what_a_hosts_transaction_takes_away_is_deleted_after_its_commit() {
    let place = Place::shared().await;
    let store = PgStore::connect(place.config()).await.unwrap();
    let before = event("anna", "before");
    insist(&store, &before).await;
    let mut host = place.connection().await;
    let mut transaction = host.begin().await.unwrap();
    let after = event("anna", "after");
    let recorded = store.record_in(&mut transaction, raising(&after)).await.unwrap();
    assert_eq!(recorded.into_values().unwrap(), [under_the_next(&after)]);
    assert_eq!(seen(&store).await, [before]);
    transaction.commit().await.unwrap();
    until("the deletion", async || on_disk(&place).await == (1, 0)).await;
    assert_eq!(seen(&store).await, [after]);
    store.disconnect().await.unwrap();
    place.close().await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn an_erasure_that_takes_longer_than_a_statement_may_comes_to_its_end() {
    let place = Place::shared().await;
    let mut config = place.config();
    config.connect.statement_timeout = Some(Duration::from_secs(1));
    let store = PgStore::connect(config).await.unwrap();
    insist(&store, &event("anna", "one")).await;
    at_deletion(&place, "PERFORM pg_sleep(3)").await;
    let receipt = store.erase_customer(erasure()).await.unwrap();
    assert_eq!(receipt.deleted.get("history"), Some(&1));
    assert_eq!(on_disk(&place).await, (0, 0));
    store.disconnect().await.unwrap();
    place.close().await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn an_erasure_whose_caller_died_before_the_receipt_is_finished_by_the_next_call() {
    let place = Place::shared().await;
    let store = PgStore::connect(place.config()).await.unwrap();
    insist(&store, &event("anna", "one")).await;
    let request = erasure();
    let receipt = store.erase_customer(request.clone()).await.unwrap();
    // As it lies there while a relay is waited for.
    place.run("UPDATE {s}.receipts SET finished = false").await;
    assert_eq!(store.erase_customer(request).await.unwrap(), receipt);
    let unfinished = "SELECT count(*) FROM {s}.receipts WHERE NOT finished";
    assert_eq!(place.number(unfinished).await, 0);
    store.disconnect().await.unwrap();
    place.close().await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_customer_whose_summaries_are_damaged_is_erased_and_starts_anew() {
    let place = Place::shared().await;
    let store = PgStore::connect(place.config()).await.unwrap();
    insist(&store, &event("anna", "one")).await;
    place.run("UPDATE {s}.customers SET packed = '\\xffff'").await;
    let query = SummaryQuery::new(tenant(), anna());
    let error = store.get_summaries(query).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let receipt = store.erase_customer(erasure()).await.unwrap();
    assert_eq!(receipt.deleted.get("history"), Some(&1));
    assert_eq!(on_disk(&place).await, (0, 0));
    place.run("DELETE FROM {s}.dedupe").await;
    let again = event("anna", "two");
    assert_eq!(
        store.record_event(again.clone()).await.unwrap(),
        under_the_next(&again)
    );
    store.disconnect().await.unwrap();
    place.assert_exactly(&[again], false).await;
    place.close().await;
}

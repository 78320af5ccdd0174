//! Tables that another session has to itself.

use std::time::Duration;

use kaireon_core::store::{ItemOutcome, RecordBatch, Recorded};
use kaireon_core::time::{Clock, SystemClock};
use kaireon_core::{Effect, ErrorKind, Interaction, InteractionStore};
use kaireon_store_pg::{PgStore, PgStoreConfig};
use sqlx::Connection;

use crate::place::{LONG, Place, answer, event, facts, insist, run};

/// Dividing a batch of a thousand down to its records before a locked table would take it far longer than `LONG`.
const RECORDS: usize = 1_000;

fn config(place: &Place) -> PgStoreConfig {
    let mut config = place.config();
    config.options.lock_wait = Duration::from_millis(200);
    config.options.write_wait = Duration::from_secs(1);
    config
}

fn batch(round: usize) -> Vec<Interaction> {
    let events = (0..RECORDS).map(|n| event(&format!("c{}", n % 250), &format!("{round}-{n}")));
    events.collect()
}

async fn record(store: &PgStore, events: &[Interaction]) -> Vec<ItemOutcome<Recorded>> {
    let batch = RecordBatch::live(events.to_vec());
    let told = tokio::time::timeout(LONG, store.record_events(batch)).await;
    told.expect("it answers").unwrap().into_items()
}

fn assert_not_applied(outcomes: Vec<ItemOutcome<Recorded>>) {
    assert_eq!(outcomes.len(), RECORDS);
    for outcome in outcomes {
        let ItemOutcome::Failed(error) = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(
            facts(&error),
            (ErrorKind::Timeout, Effect::NotApplied, true),
            "{error:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_batch_before_a_locked_table_is_told_so_in_bounded_time() {
    let place = Place::shared().await;
    let store = PgStore::connect(config(&place)).await.unwrap();
    let mut events = vec![event("anna", "first")];
    insist(&store, &events[0]).await;
    let mut holder = place.connection().await;
    for (round, table) in ["customers", "dedupe", "history", "outbox"]
        .into_iter()
        .enumerate()
    {
        let records = batch(round);
        let lock = format!("BEGIN; LOCK TABLE {{s}}.{table} IN ACCESS EXCLUSIVE MODE");
        run(&mut holder, &place.filled(&lock)).await;
        assert_not_applied(record(&store, &records).await);
        run(&mut holder, "ROLLBACK").await;
        for (event, outcome) in records.iter().zip(record(&store, &records).await) {
            let ItemOutcome::Done(recorded) = outcome else {
                panic!("{table}: {outcome:?}");
            };
            assert_eq!(recorded, answer(event, false), "{table}");
        }
        events.extend(records);
    }
    holder.close().await.unwrap();
    store.disconnect().await.unwrap();
    assert_eq!(place.rows().await.0, i64::try_from(events.len()).unwrap());
    place.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn while_a_month_is_locked_records_of_others_are_written() {
    let place = Place::shared().await;
    let store = PgStore::connect(config(&place)).await.unwrap();
    let earlier = |key: &str| {
        let shown = Interaction::builder("t", "early")
            .offer("o")
            .creative("k")
            .channel("web");
        let at = SystemClock.now() - chrono::TimeDelta::days(40);
        shown.timestamp(at).idempotency_key(key).build().unwrap()
    };
    let records = batch(0);
    // Both months are there.
    for event in [&event("anna", "first"), &earlier("early")] {
        insist(&store, event).await;
    }
    let mut holder = place.connection().await;
    let month = format!("{}", records[0].timestamp.format("%Y_%m"));
    let lock = format!("BEGIN; LOCK TABLE {{s}}.history_{month} IN ACCESS EXCLUSIVE MODE");
    run(&mut holder, &place.filled(&lock)).await;
    let held = tokio::spawn({
        let (store, records) = (store.clone(), records.clone());
        async move { record(&store, &records).await }
    });
    // Again and again, so that one of them comes while the batch is being divided.
    let mut others = 0;
    while !held.is_finished() {
        let other = earlier(&format!("other-{others}"));
        assert_eq!(insist(&store, &other).await.unknown, 0);
        others += 1;
    }
    assert_not_applied(held.await.unwrap());
    assert!(others > 0);
    insist(&store, &earlier("last")).await;
    run(&mut holder, "ROLLBACK").await;
    let outcomes = record(&store, &records).await;
    assert!(
        outcomes
            .iter()
            .all(|outcome| matches!(outcome, ItemOutcome::Done(Recorded::New { .. })))
    );
    holder.close().await.unwrap();
    store.disconnect().await.unwrap();
    place.close().await;
}

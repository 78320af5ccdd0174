//! Sessions that are ended by the server, and plans that a change of the tables made invalid.

use std::time::Duration;

use kaireon_core::store::HistoryQuery;
use kaireon_core::{Effect, ErrorKind, InteractionStore, TenantId};
use kaireon_store_pg::PgStore;
use kaireon_testkit::proxy::Direction::ToServer;
use kaireon_testkit::proxy::{Rule, postgres};

use crate::kill::Load;
use crate::place::{Place, answer, event, facts};

/// Ends the sessions of a store, which has its schema's name.
async fn terminate(place: &Place) -> i64 {
    place
        .number(
            "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity \
             WHERE application_name = '{s}'",
        )
        .await
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_session_that_is_ended_before_the_commit_is_replaced_and_nobody_is_told() {
    let place = Place::shared().await;
    let proxy = place.proxy().await;
    let mut config = place.through(&proxy);
    config.connect.application_name = place.schema().to_owned();
    let store = PgStore::connect(config).await.unwrap();
    let mut events = vec![event("anna", "first")];
    assert!(store.record_event(events[0].clone()).await.unwrap().is_new());
    // Between its beginning and its commit a batch is three statements; the session is ended at each of them in turn.
    for statements in 1..=3 {
        let mut rule = Rule::on(ToServer, postgres::statement("BEGIN"));
        for _ in 0..statements {
            rule = rule.then(ToServer, postgres::named(b'E'));
        }
        let hold = proxy.arm(rule.hold());
        let event = event("anna", &format!("{statements}"));
        let call = tokio::spawn({
            let (store, event) = (store.clone(), event.clone());
            async move { store.record_event(event).await }
        });
        hold.fired().await;
        assert!(terminate(&place).await > 0);
        hold.release();
        assert_eq!(
            call.await.unwrap().unwrap(),
            answer(&event, false),
            "{statements}"
        );
        events.push(event);
    }
    store.disconnect().await.unwrap();
    place.assert_exactly(&events, false).await;
    place.close().await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_session_that_is_ended_at_the_commit_is_unknown_and_its_retry_is_new() {
    let place = Place::shared().await;
    let proxy = place.proxy().await;
    let mut config = place.through(&proxy);
    config.connect.application_name = place.schema().to_owned();
    let store = PgStore::connect(config).await.unwrap();
    let mut events = vec![event("anna", "first")];
    assert!(store.record_event(events[0].clone()).await.unwrap().is_new());
    let hold = proxy.arm(Rule::on(ToServer, postgres::query("COMMIT")).hold());
    let event = event("anna", "second");
    let call = tokio::spawn({
        let (store, event) = (store.clone(), event.clone());
        async move { store.record_event(event).await }
    });
    hold.fired().await;
    assert!(terminate(&place).await > 0);
    hold.release();
    let error = call.await.unwrap().unwrap_err();
    assert_eq!(
        facts(&error),
        (ErrorKind::Unavailable, Effect::Unknown, true),
        "{error:?}"
    );
    assert_eq!(
        store.record_event(event.clone()).await.unwrap(),
        answer(&event, false)
    );
    events.push(event);
    store.disconnect().await.unwrap();
    place.assert_exactly(&events, false).await;
    place.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn sessions_that_are_ended_again_and_again_under_load_lose_and_double_nothing() {
    let place = Place::shared().await;
    let mut config = place.config();
    config.connect.application_name = place.schema().to_owned();
    config.options.writers = 2;
    let store = PgStore::connect(config).await.unwrap();
    let load = Load::of(32, &store);
    let mut ended = 0;
    for _ in 0..25 {
        load.progress(20).await;
        ended += terminate(&place).await;
    }
    assert!(ended >= 25, "{ended}");
    let (events, tries) = load.stop().await;
    println!("{} records, {ended} sessions ended, {tries:?}", events.len());
    store.disconnect().await.unwrap();
    place.assert_exactly(&events, false).await;
    place.close().await;
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn statements_that_were_prepared_before_a_column_changed_are_prepared_anew() {
    let place = Place::shared().await;
    let mut config = place.config();
    // One, so that whoever comes next gets the very connection that keeps the old plans.
    config.connect.max_connections = 1;
    let store = PgStore::connect(config).await.unwrap();
    let mut events = Vec::new();
    let query = || HistoryQuery::new(TenantId::new("t").unwrap(), events_customer());
    for (n, change) in [
        // Read by the history: "cached plan must not change result type".
        "ALTER TABLE {s}.history ALTER COLUMN offer TYPE varchar",
        // Read by every batch.
        "ALTER TABLE {s}.dedupe ALTER COLUMN id TYPE varchar",
        "ALTER TABLE {s}.tenants ALTER COLUMN epoch TYPE bigint, ADD COLUMN later text",
    ]
    .into_iter()
    .enumerate()
    {
        let event = event("anna", &format!("{n}"));
        assert!(store.record_event(event.clone()).await.unwrap().is_new());
        assert_eq!(
            store.record_event(event.clone()).await.unwrap(),
            answer(&event, true)
        );
        assert_eq!(store.history(query()).await.unwrap().items.len(), n + 1);
        // The writer gives its connection back when it has rested, so that reads and writes meet on it.
        tokio::time::sleep(Duration::from_millis(600)).await;
        place.run(change).await;
        assert_eq!(
            store.history(query()).await.unwrap().items.len(),
            n + 1,
            "{change}"
        );
        assert_eq!(
            store.record_event(event.clone()).await.unwrap(),
            answer(&event, true),
            "{change}"
        );
        events.push(event);
    }
    store.disconnect().await.unwrap();
    place.assert_exactly(&events, false).await;
    place.close().await;
}

fn events_customer() -> kaireon_core::CustomerId {
    kaireon_core::CustomerId::new("anna").unwrap()
}

//! Databases in which transactions are read-only.

use kaireon_core::outbox::Lane;
use kaireon_core::relay::{Relay, RelayConfig};
use kaireon_core::store::HistoryQuery;
use kaireon_core::{Effect, ErrorKind, InteractionStore};
use kaireon_store_pg::PgStore;

use crate::place::{LONG, Notes, Place, event, facts, insist, server};

/// New sessions are under the setting: those that began before it, or under it, keep what they began with.
async fn set_read_only(place: &Place, on: &str) {
    place
        .run(&format!(
            "BEGIN READ WRITE; ALTER DATABASE postgres SET default_transaction_read_only = {on}; COMMIT"
        ))
        .await;
}

async fn end_sessions(place: &Place) {
    let ended = place
        .number(
            "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity WHERE application_name = '{s}'",
        )
        .await;
    assert!(ended > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres-bin: set KAIREON_TEST_PG_BINDIR"]
async fn a_database_that_is_read_only_is_transient_and_sessions_that_keep_it_are_given_up() {
    let server = server(&[]).await;
    let place = Place::on(server.url()).await;
    let mut config = place.config();
    config.connect.application_name = place.schema().to_owned();
    let store = PgStore::connect(config).await.unwrap();
    let notes = Notes::default();
    let relay = Relay::spawn(
        store.outbox().unwrap(),
        notes.clone(),
        RelayConfig::new(Lane::Publish),
    );
    let mut events = vec![event("anna", "first")];
    insist(&store, &events[0]).await;
    for round in 0..3 {
        set_read_only(&place, "on").await;
        end_sessions(&place).await;
        let event = event("anna", &format!("{round}"));
        for _ in 0..3 {
            let error = store.record_event(event.clone()).await.unwrap_err();
            let told = (ErrorKind::Unavailable, Effect::NotApplied, true);
            assert_eq!(facts(&error), told, "{error:?}");
            assert!(error.retry_after().is_some());
        }
        // At once, so that several sessions begin under the setting.
        let query = HistoryQuery::new(event.tenant.clone(), event.customer.clone());
        let reads: Vec<_> = (0..8)
            .map(|_| {
                let (store, query) = (store.clone(), query.clone());
                tokio::spawn(async move { store.history(query).await.unwrap().items.len() })
            })
            .collect();
        for read in reads {
            assert_eq!(read.await.unwrap(), events.len());
        }
        set_read_only(&place, "off").await;
        // All of them would refuse for as long as they live; the first that does so is the last that is asked.
        let tries = insist(&store, &event).await;
        assert!(tries.not_applied <= 1, "{tries:?}");
        events.push(event);
    }
    relay.drain(LONG).await.unwrap();
    notes.assert_in_order(&events);
    store.disconnect().await.unwrap();
    place.assert_exactly(&events, true).await;
}

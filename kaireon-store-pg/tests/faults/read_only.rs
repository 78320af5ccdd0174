//! Databases in which transactions are read-only.

use kaireon_core::outbox::Lane;
use kaireon_core::relay::{Relay, RelayConfig};
use kaireon_core::store::HistoryQuery;
use kaireon_core::{Effect, ErrorKind, Interaction, InteractionStore};
use kaireon_store_pg::PgStore;

use crate::place::{LONG, Notes, Place, event, facts, insist, run, server, until};

/// How many reads are under way at once: fewer than the pool may have connections.
const READS: i64 = 6;

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

/// Has several sessions of the pool begin under the setting in force: reads that wait for a lock need one each. Returns
/// how many there are.
async fn begin_sessions(place: &Place, store: &PgStore, recorded: &[Interaction]) -> i64 {
    let mut lock = place.connection().await;
    let hold = "BEGIN READ WRITE; LOCK TABLE {s}.history IN ACCESS EXCLUSIVE MODE";
    run(&mut lock, &place.filled(hold)).await;
    let query = HistoryQuery::new(recorded[0].tenant.clone(), recorded[0].customer.clone());
    let reads: Vec<_> = (0..READS)
        .map(|_| {
            let (store, query) = (store.clone(), query.clone());
            tokio::spawn(async move { store.history(query).await })
        })
        .collect();
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = '{s}' AND wait_event_type = 'Lock'";
    until("a session for each read", async || {
        place.number(waiting).await >= READS
    })
    .await;
    let begun = place.number(waiting).await;
    run(&mut lock, "ROLLBACK").await;
    for read in reads {
        assert_eq!(read.await.unwrap().unwrap().items.len(), recorded.len());
    }
    begun
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
        // With the relay at rest, nobody opens a session that would have begun before the setting and be missed below.
        until("the relay delivers", async || notes.count() == events.len()).await;
        set_read_only(&place, "on").await;
        end_sessions(&place).await;
        let event = event("anna", &format!("{round}"));
        for _ in 0..3 {
            let error = store.record_event(event.clone()).await.unwrap_err();
            let told = (ErrorKind::Unavailable, Effect::NotApplied, true);
            assert_eq!(facts(&error), told, "{error:?}");
            assert!(error.retry_after().is_some());
        }
        let begun = begin_sessions(&place, &store, &events).await;
        set_read_only(&place, "off").await;
        // All of them would refuse for as long as they live; the first that does so is the last that is asked, but for
        // those that the relay and the sweeper are opening at that moment.
        let tries = insist(&store, &event).await;
        assert!(
            i64::from(tries.not_applied) <= 3 && begun > 3,
            "{tries:?} over {begun} sessions"
        );
        events.push(event);
    }
    relay.drain(LONG).await.unwrap();
    notes.assert_in_order(&events);
    store.disconnect().await.unwrap();
    place.assert_exactly(&events, true).await;
}

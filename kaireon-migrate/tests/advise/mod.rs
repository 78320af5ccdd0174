//! The advisor, on stores as they are.

#![allow(clippy::unwrap_used, reason = "a panic in a test is the report")]

use std::sync::Arc;
use std::time::Duration;

use kaireon_core::memory::{MemoryOptions, MemoryPlace};
use kaireon_core::outbox::{Lane, LaneSet};
use kaireon_core::signals::{Signals, StoreSignals};
use kaireon_core::store::{RecordBatch, SummaryQuery};
use kaireon_core::{CustomerId, ErrorKind, Interaction, InteractionStore, TenantId};
use kaireon_migrate::{Advisor, AdvisorConfig, Ground, Probe, SwitchConfig, Thresholds, Unmeasured, Verdict};
use kaireon_store_embedded::{EmbeddedConfig, EmbeddedStore};
use kaireon_store_pg::{PgStore, PgStoreConfig, PgStoreOptions};
use kaireon_testkit::server::PostgresServer;
use sqlx::{Connection, Executor};

use crate::backfill::server::Server;
use crate::switch::{KEY, World, event, rows_of, tenant};

/// A short look.
fn config() -> AdvisorConfig {
    AdvisorConfig {
        over: Duration::from_millis(200),
        parts: 2,
        ..AdvisorConfig::default()
    }
}

fn events(customers: u64, each: u64) -> Vec<Interaction> {
    (0..customers * each)
        .map(|number| event(&format!("customer-{}", number % customers), number))
        .collect()
}

/// Looks until the store's counters say so: they are of a moment ago.
async fn until(store: &dyn Signals, holds: impl Fn(&StoreSignals) -> bool) -> StoreSignals {
    let waited = async {
        loop {
            let signals = store.signals().await.unwrap();
            if holds(&signals) {
                return signals;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waited)
        .await
        .unwrap()
}

/// What a store tells of 40 customers with 300 records, and an advisor of it.
async fn measures<S: InteractionStore + Signals + Clone + 'static>(store: S, counts_writes: bool) {
    let before = store.signals().await.unwrap();
    assert_eq!(before.customers, Some(0));
    let batch = RecordBatch::live(events(40, 7));
    assert!(store.record_events(batch).await.unwrap().is_complete());
    for late in events(40, 8).split_off(280).into_iter().take(20) {
        store.record_event(late).await.unwrap();
    }
    // What is deferred reaches the disk in its own time; what is read of it is folded.
    let counted = |signals: &StoreSignals| {
        signals.customers == Some(40) && (!counts_writes || signals.writes == Some(300))
    };
    let signals = until(&store, counted).await;
    assert_eq!(signals.writes.is_some(), counts_writes);
    assert!(signals.bytes > Some(0), "{signals:?}");
    let thresholds = Thresholds {
        customers: 39,
        ..Thresholds::default()
    };
    let config = AdvisorConfig {
        thresholds,
        ..config()
    };
    let scratch = TenantId::new("scratch").unwrap();
    let probed: Arc<dyn InteractionStore> = Arc::new(store.clone());
    let probe = Probe::new(probed, scratch.clone()).for_so_long(Duration::from_millis(300));
    let advisor = Advisor::new("it", Arc::new(store.clone()), config).with_probe(probe);
    let advice = advisor.run().await.unwrap();
    assert_eq!(advice.verdict, Verdict::Leave);
    let ground = Ground::Customers {
        measured: 40,
        threshold: 39,
    };
    assert_eq!(advice.grounds, [ground]);
    assert_eq!(advice.measured.writes_per_second.is_some(), counts_writes);
    assert!(
        advice.unmeasured.contains(&Unmeasured::Reads),
        "there is no switch"
    );
    assert!(advice.measured.ceiling_per_second > Some(0.0), "{advice}");
    // The probe told nobody and left no row.
    assert!(rows_of(&store, &scratch).await.is_empty());
    for lane in Lane::ALL {
        let backlog = store.outbox().unwrap().backlog(lane, &scratch).await.unwrap();
        assert!(backlog.is_empty(), "{lane} {backlog:?}");
    }
}

#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_is_measured_by_its_own_counters() {
    let server = Server::new();
    let options = PgStoreOptions::default()
        .with_schema(server.schema())
        .with_lanes(LaneSet::of(&Lane::ALL))
        .with_master_key(KEY);
    let config = PgStoreConfig::at(server.url()).with_options(options);
    PgStore::migrate(&config).await.unwrap();
    let store = PgStore::connect(config).await.unwrap();
    measures(store.clone(), true).await;
    store.disconnect().await.unwrap();
    let gone = store.signals().await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::Unavailable);
    server.drop_schema().await;
}

#[ignore = "needs postgres-bin: set KAIREON_TEST_PG_BINDIR"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_share_of_interactions_in_the_databases_time_is_told_where_it_is_counted() {
    let programs =
        std::env::var("KAIREON_TEST_PG_BINDIR").expect("KAIREON_TEST_PG_BINDIR is set in service mode");
    let counts = [("shared_preload_libraries", "pg_stat_statements")];
    let server = PostgresServer::start(programs, &counts).await.unwrap();
    let config = PgStoreConfig::at(server.url()).with_options(PgStoreOptions::default().with_master_key(KEY));
    PgStore::migrate(&config).await.unwrap();
    let store = PgStore::connect(config).await.unwrap();
    assert_eq!(
        store.signals().await.unwrap().statements,
        None,
        "nobody counts yet"
    );
    let mut host = sqlx::PgConnection::connect(&server.url()).await.unwrap();
    host.execute("CREATE EXTENSION pg_stat_statements").await.unwrap();
    let before = store.signals().await.unwrap().statements.unwrap();
    // Others' statement, then ours.
    host.execute("SELECT pg_sleep(0.2)").await.unwrap();
    let between = store.signals().await.unwrap().statements.unwrap();
    assert!(
        between.others - before.others >= Duration::from_millis(190),
        "{between:?}"
    );
    let batch = RecordBatch::live(events(10, 30));
    assert!(store.record_events(batch).await.unwrap().is_complete());
    let behind = store.signals().await.unwrap().statements.unwrap();
    assert!(behind.own > between.own, "{behind:?}");
    assert!(
        behind.others - between.others < Duration::from_millis(190),
        "{behind:?}"
    );
    let advisor = Advisor::new("postgresql", Arc::new(store.clone()), self::config());
    let busy = store.clone();
    let writing = tokio::spawn(async move {
        for number in 1_000.. {
            if busy.record_event(event("anna", number)).await.is_err() {
                return;
            }
        }
    });
    let measured = advisor.measure().await.unwrap();
    let share = measured.interaction_share.unwrap();
    assert!(share > 0.0 && share <= 1.0, "{share}");
    store.disconnect().await.unwrap();
    writing.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_store_is_measured_by_its_own_counters() {
    let folder = tempfile::tempdir().unwrap();
    let config = EmbeddedConfig::at(folder.path())
        .with_lanes(LaneSet::of(&Lane::ALL))
        .with_master_key(KEY);
    let store = EmbeddedStore::open(config).await.unwrap();
    measures(store, false).await;
}

/// Tells nothing, so that all of it comes from the switch.
#[derive(Debug)]
struct Silent;

#[async_trait::async_trait]
impl Signals for Silent {
    async fn signals(&self) -> kaireon_core::Result<StoreSignals> {
        use kaireon_core::time::{Clock, SystemClock};
        Ok(StoreSignals::at(SystemClock.now()))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_through_a_switch_is_counted() {
    let world = World::new();
    let process = world.process_with(SwitchConfig::new(KEY));
    let switch = process.switch.clone();
    for number in 0..10 {
        assert!(switch.record_event(event("anna", number)).await.unwrap().is_new());
    }
    // What was there counts once.
    switch.record_event(event("anna", 1)).await.unwrap();
    let batch = RecordBatch::live((5..15).map(|number| event("anna", number)));
    assert!(switch.record_events(batch).await.unwrap().is_complete());
    assert_eq!(switch.activity().writes, 15);
    let query = SummaryQuery::new(tenant(), CustomerId::new("anna").unwrap());
    for _ in 0..1_600 {
        switch.get_summaries(query.clone()).await.unwrap();
    }
    let activity = switch.activity();
    assert_eq!(activity.timed_reads, 100);
    assert!(activity.read_time > Duration::ZERO);
    // Writes and reads go on while the advisor looks.
    let (live, asked) = (switch.clone(), query.clone());
    let traffic = tokio::spawn(async move {
        for number in 100.. {
            live.record_event(event("bert", number)).await.unwrap();
            for _ in 0..32 {
                live.get_summaries(asked.clone()).await.unwrap();
            }
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
    });
    let config = AdvisorConfig {
        over: Duration::from_secs(2),
        ..config()
    };
    let advisor = Advisor::new("memory", Arc::new(Silent), config).with_switch(switch);
    let advice = advisor.run().await.unwrap();
    traffic.abort();
    let measured = &advice.measured;
    assert!(measured.writes_per_second > Some(0.0), "{advice}");
    assert!(measured.reads.is_some(), "{advice}");
    assert_eq!(
        advice.unmeasured,
        [Unmeasured::Customers, Unmeasured::InteractionShare]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_refuses_a_tenant_that_has_anything() {
    let store: Arc<dyn InteractionStore> =
        Arc::new(MemoryPlace::new(MemoryOptions::default().with_master_key(KEY)).open());
    store.record_event(event("anna", 1)).await.unwrap();
    let probe = Probe::new(Arc::clone(&store), tenant());
    let advisor = Advisor::new("memory", Arc::new(Silent), config()).with_probe(probe);
    let refused = advisor.run().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert_eq!(rows_of(store.as_ref(), &tenant()).await.len(), 1);
}

#[tokio::test]
async fn a_look_of_no_time_or_one_part_is_refused() {
    let field = async |config| {
        let refused = Advisor::new("it", Arc::new(Silent), config)
            .run()
            .await
            .unwrap_err();
        refused.field().map(str::to_owned).unwrap()
    };
    let over = Duration::ZERO;
    assert_eq!(field(AdvisorConfig { over, ..config() }).await, "over");
    assert_eq!(field(AdvisorConfig { parts: 1, ..config() }).await, "parts");
}

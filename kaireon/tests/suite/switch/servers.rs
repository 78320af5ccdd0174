//! A tenant is moved from and to a PostgreSQL server of the test's own, with settings on another one.

use std::sync::Mutex;

use async_trait::async_trait;
use kaireon::core::digest::MasterKey;
use kaireon::core::memory::{MemoryOptions, MemoryPlace};
use kaireon::core::publisher::{PublisherCapabilities, Subscription};
use kaireon::core::{ErrorKind, Event, EventPublisher, Result};
use kaireon::{InfraBuilder, Part, Status};
use kaireon_testkit::server::{PostgresServer, Shutdown};

use super::*;
use crate::support::{recorded_topic, until};

async fn server() -> PostgresServer {
    let programs =
        std::env::var("KAIREON_TEST_PG_BINDIR").expect("KAIREON_TEST_PG_BINDIR is set in service mode");
    PostgresServer::start(programs, &[]).await.unwrap()
}

/// Tenants on the embedded store, unless they were moved to the server.
fn embedded_and_postgres(store: &PostgresServer, settings: &PostgresServer, directory: &Path) -> Config {
    memory_and_embedded(directory)
        .with_interaction_store("embedded")
        .with_database_url(store.url())
        .with_variable("KAIREON_SWITCH_STORES", "embedded, postgresql")
        .with_variable("KAIREON_SETTINGS_URL", settings.url())
}

async fn migrated(config: Config) -> Infra {
    let builder = Infra::builder().config(config);
    builder.migrate().await.unwrap();
    builder.build().await.unwrap()
}

#[tokio::test]
#[ignore = "needs postgres-bin: set KAIREON_TEST_PG_BINDIR"]
async fn the_tables_of_store_and_settings_are_made_by_the_migrate_step_and_never_by_a_start() {
    let (store, settings) = (server().await, server().await);
    let directory = tempfile::tempdir().unwrap();
    let config = embedded_and_postgres(&store, &settings, directory.path());
    let builder = || Infra::builder().config(config.clone());
    let schemas = ["`kaireon`", "`kaireon_settings`"];
    for (place, schema) in schemas.iter().enumerate() {
        let missing = builder().build().await.unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::Config);
        assert!(
            missing.context().contains("run migrate") && all(&missing, schema.trim_matches('`')),
            "{missing}"
        );
        assert_eq!(
            kaireon::switch::open(&config).await.unwrap_err().kind(),
            ErrorKind::Config
        );
        if place == 0 {
            // Those of the store alone.
            let mut alone = config.clone().with_interaction_store("postgresql");
            alone.extra.remove("KAIREON_SWITCH_STORES");
            Infra::builder().config(alone).migrate().await.unwrap();
        }
    }
    let plan = builder().migration_plan().await.unwrap();
    assert!(
        plan.iter().all(|step| step.backend == "postgresql settings"),
        "{plan:?}"
    );
    let done = builder().migrate().await.unwrap();
    let backends: Vec<_> = done
        .iter()
        .map(|done| (done.backend, done.applied.len()))
        .collect();
    assert_eq!(backends, [("postgresql", 0), ("postgresql settings", 1)]);
    assert!(builder().migration_plan().await.unwrap().is_empty());
    ended(builder().build().await.unwrap()).await;
}

fn all(error: &kaireon::core::Error, text: &str) -> bool {
    crate::support::all_of(error).contains(text)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres-bin: set KAIREON_TEST_PG_BINDIR"]
async fn a_tenant_is_moved_to_the_server_and_back_while_it_records_and_a_subscriber_is_told_of_all() {
    let (store, settings) = (server().await, server().await);
    let directory = tempfile::tempdir().unwrap();
    let config = embedded_and_postgres(&store, &settings, directory.path());
    let infra = migrated(config.clone()).await;
    let listener = listen(infra.events().subscribe(recorded_topic()).await.unwrap());
    let recording = Recording::begin(&infra, 0);
    tokio::time::sleep(Duration::from_millis(200)).await;
    move_to(&operator(&infra), "postgresql").await;
    assert_eq!(status(&infra).await.authority.as_str(), "postgresql");
    tokio::time::sleep(Duration::from_millis(200)).await;
    move_back(&operator(&infra)).await;
    // Begun again, and cut short by a restart.
    let acme = tenant();
    operator(&infra)
        .start(&acme, start("postgresql"), &asked())
        .await
        .unwrap();
    operator(&infra).export(&acme).await.unwrap();
    let count = recording.end().await;
    let expected = recorded(&infra).await;
    ended(infra).await;
    assert_eq!(without_repeats(listener.await.unwrap()), expected);

    let infra = config.start().await.unwrap();
    assert_eq!(phase(&infra).await, Phase::DualWrite);
    let listener = listen(infra.events().subscribe(recorded_topic()).await.unwrap());
    let recording = Recording::begin(&infra, count);
    let operator = operator(&infra);
    assert!(operator.backfill(&acme, &asked()).await.unwrap().complete);
    let verified = operator.verify(&acme, &asked()).await.unwrap();
    assert!(verified.clean && verified.passed, "{verified:?}");
    let moved = operator.cut_over(&acme, &asked()).await.unwrap();
    assert_eq!(moved.outcome, Outcome::Taken, "{moved:?}");
    let upto = recording.end().await;
    assert_eq!(keys(&infra.store()).await, numbered(0..upto));
    let tenants = infra.tenant_switch().unwrap();
    let on_server = tenants.stores().get(&name("postgresql")).unwrap();
    assert_eq!(keys(on_server).await, numbered(0..upto));
    let expected: usize = recorded(&infra).await.values().map(Vec::len).sum();
    ended(infra).await;
    let told: usize = without_repeats(listener.await.unwrap())
        .values()
        .map(Vec::len)
        .sum();
    assert_eq!(
        told,
        expected - usize::try_from(count).unwrap(),
        "what was told before is told once"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres-bin: set KAIREON_TEST_PG_BINDIR"]
async fn a_tenant_of_a_shared_store_is_moved_though_nobody_subscribes() {
    let (store, settings) = (server().await, server().await);
    let directory = tempfile::tempdir().unwrap();
    let config = embedded_and_postgres(&store, &settings, directory.path())
        .with_interaction_store("postgresql")
        .with_leftovers_wait(Duration::from_millis(200));
    let infra = migrated(config).await;
    let recording = Recording::begin(&infra, 0);
    move_to(&operator(&infra), "embedded").await;
    let upto = recording.end().await;
    assert_eq!(keys(&infra.store()).await, numbered(0..upto));
    ended(infra).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres-bin: set KAIREON_TEST_PG_BINDIR"]
async fn settings_that_are_away_stop_no_writing_and_move_nothing() {
    let (store, mut settings) = (server().await, server().await);
    let directory = tempfile::tempdir().unwrap();
    let infra = migrated(embedded_and_postgres(&store, &settings, directory.path())).await;
    let acme = tenant();
    operator(&infra)
        .start(&acme, start("postgresql"), &asked())
        .await
        .unwrap();
    record(&infra, 0).await;
    settings.stop(Shutdown::Kill).await.unwrap();
    for number in 1..20 {
        record(&infra, number).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(operator(&infra).roll_back(&acme, &asked()).await.is_err());
    let health = infra.health().await;
    let of_settings = health.part(Part::Settings).unwrap();
    assert_eq!(of_settings.status, Status::Down, "{health}");
    assert!(health.ready, "calls go on: {health}");
    settings.restart().await.unwrap();
    until("the settings answer again", async || {
        infra.health().await.part(Part::Settings).unwrap().status == Status::Up
    })
    .await;
    let back = operator(&infra).roll_back(&acme, &asked()).await.unwrap();
    assert_eq!(back.outcome, Outcome::Taken);
    assert_eq!(keys(&infra.store()).await, numbered(0..20));
    ended(infra).await;
}

/// A stream that every process reaches; it notes what it is given.
#[derive(Clone, Debug, Default)]
struct Broker(Arc<Mutex<Vec<(String, String)>>>);

#[async_trait]
impl EventPublisher for Broker {
    fn capabilities(&self) -> PublisherCapabilities {
        PublisherCapabilities::minimal("broker")
    }

    async fn publish(&self, event: Event) -> Result<()> {
        let payload: serde_json::Value = event.payload()?;
        let customer = payload["customerId"].as_str().unwrap_or_default().to_owned();
        self.0.lock().unwrap().push((customer, event.id().to_owned()));
        Ok(())
    }

    async fn subscribe(&self, _: Subscription) -> Result<Subscriber> {
        Err(kaireon::core::Error::unsupported("broker", "subscribe"))
    }

    async fn disconnect(&self) -> Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres-bin: set KAIREON_TEST_PG_BINDIR"]
async fn an_operators_process_moves_a_tenant_beside_two_hosts_that_record() {
    let (store, settings) = (server().await, server().await);
    let directory = tempfile::tempdir().unwrap();
    let config = memory_and_embedded(directory.path())
        .with_interaction_store("postgresql")
        .with_event_publisher("broker")
        .with_database_url(store.url())
        .with_variable("KAIREON_SWITCH_STORES", "postgresql, shop")
        .with_variable("KAIREON_SETTINGS_URL", settings.url());
    let broker = Broker::default();
    // A store that several processes reach, as a database is: this one is the test's memory.
    let options = MemoryOptions::default().with_master_key(MasterKey::new([7; 32]));
    let shop = MemoryPlace::new(options);
    let builder = || -> InfraBuilder {
        let (shop, broker) = (shop.clone(), broker.clone());
        Infra::builder()
            .config(config.clone())
            .register_store("shop", move |_| {
                let shop = shop.clone();
                async move { Ok(shop.open()) }
            })
            .register_publisher("broker", move |_| {
                let broker = broker.clone();
                async move { Ok(broker) }
            })
    };
    builder().migrate().await.unwrap();
    let (one, two) = (builder().build().await.unwrap(), builder().build().await.unwrap());
    let alone = builder().open_switch().await.unwrap();
    let (first, second) = (Recording::begin(&one, 0), Recording::begin(&two, 500_000));
    tokio::time::sleep(Duration::from_millis(200)).await;
    move_to(&alone.operator(), "shop").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    move_back(&alone.operator()).await;
    let (first, second) = (first.end().await, second.end().await);
    alone.disconnect().await.unwrap();
    let expected = [numbered(0..first), numbered(500_000..second)].concat();
    assert_eq!(keys(&two.store()).await, expected);
    let recorded = recorded(&one).await;
    ended(one).await;
    ended(two).await;
    let told = broker.0.lock().unwrap().clone();
    let mut told = without_repeats(told);
    // Two hosts record of one customer at the same time: in which order is nobody's promise.
    for ids in told.values_mut() {
        ids.sort();
    }
    let mut recorded = recorded;
    for ids in recorded.values_mut() {
        ids.sort();
    }
    assert_eq!(told, recorded);
}

//! The store on PostgreSQL, chosen by the environment. Each test has a server of its own, which it may also stop.

use std::error::Error as _;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use kaireon::core::outbox::Lane;
use kaireon::core::publisher::{PublisherCapabilities, Subscriber, Subscription};
use kaireon::core::store::{Durability, SummaryQuery};
use kaireon::core::{
    CustomerId, ErrorKind, Event, EventPublisher, InteractionStore, Outbox, PeriodType, TenantId,
};
use kaireon::{Config, Infra, Outcome, Part, Problems};
use kaireon_testkit::server::{PostgresServer, Shutdown};

use crate::support::{LONG, all_of, config, is_new, next_event, recorded_topic, shown, until};

async fn server() -> PostgresServer {
    let programs =
        std::env::var("KAIREON_TEST_PG_BINDIR").expect("KAIREON_TEST_PG_BINDIR is set in service mode");
    PostgresServer::start(programs, &[]).await.unwrap()
}

fn at(server: &PostgresServer) -> Config {
    let mut config = config(&[]).with_database_url(server.url());
    config.handover.grace = std::time::Duration::from_millis(20);
    config
}

async fn started(config: Config) -> Infra {
    let builder = Infra::builder().config(config);
    builder.migrate().await.unwrap();
    builder.build().await.unwrap()
}

async fn impressions(infra: &Infra) -> u64 {
    let query = SummaryQuery::new(TenantId::new("acme").unwrap(), CustomerId::new("c").unwrap());
    let summaries = infra.store().get_summaries(query).await.unwrap();
    let all = |summary: &&kaireon::core::Summary| summary.period.period_type() == PeriodType::AllTime;
    summaries
        .iter()
        .find(all)
        .map_or(0, |summary| summary.stats.impressions)
}

#[tokio::test]
async fn every_variable_of_the_server_is_checked_with_the_rest_and_none_is_shown() {
    let wrong = [
        ("INTERACTION_STORE", "pg"),
        ("DATABASE_URL", "postgres://shop:hunter2@db/kaireon"),
        ("KAIREON_PG_POOLER", "hunter2"),
        ("SEARCH_INDEX", "solr"),
    ];
    let error = config(&wrong).start().await.unwrap_err();
    let problems = error
        .source()
        .and_then(|source| source.downcast_ref::<Problems>());
    let places: Vec<_> = problems
        .unwrap()
        .iter()
        .map(|problem| problem.place.as_str())
        .collect();
    assert_eq!(places, ["KAIREON_PG_POOLER", "SEARCH_INDEX"]);
    assert!(!all_of(&error).contains("hunter2"), "{}", all_of(&error));
    for (name, value) in [
        ("KAIREON_PG_SCHEMA", "a\"b"),
        ("KAIREON_PG_MAX_CONNECTIONS", "0"),
        ("KAIREON_PG_SSLMODE", "maybe"),
        ("KAIREON_MASTER_KEY", "hunter2"),
    ] {
        let wrong = [
            ("INTERACTION_STORE", "pg"),
            ("DATABASE_URL", "postgres://db"),
            (name, value),
        ];
        let error = config(&wrong).start().await.unwrap_err();
        assert_eq!(
            (error.kind(), error.field()),
            (ErrorKind::Config, Some(name)),
            "{error}"
        );
        assert!(!all_of(&error).contains("hunter2"), "{}", all_of(&error));
    }
}

#[tokio::test]
#[ignore = "needs postgres-bin: set KAIREON_TEST_PG_BINDIR"]
async fn a_database_url_makes_it_the_default_and_a_start_makes_no_tables() {
    let server = server().await;
    let builder = Infra::builder().config(at(&server));
    let error = builder.build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.context().contains("run migrate"), "{error}");

    let builder = Infra::builder().config(at(&server));
    let plan = builder.migration_plan().await.unwrap();
    assert_eq!(plan[0].version, 0);
    assert!(
        plan.iter()
            .all(|step| step.backend == "postgresql" && !step.statements.is_empty())
    );
    let done = builder.migrate().await.unwrap();
    let [tables] = &done[..] else {
        panic!("one backend has tables: {done:?}");
    };
    assert_eq!(tables.applied.last(), Some(&tables.version));
    assert!(builder.migrate().await.unwrap()[0].applied.is_empty());
    assert!(builder.migration_plan().await.unwrap().is_empty());

    let infra = builder.build().await.unwrap();
    assert_eq!(
        infra.startup().store.to_string(),
        "postgresql (INTERACTION_STORE is unset, DATABASE_URL is set)"
    );
    assert_eq!(infra.store().capabilities().durability, Durability::Durable);
    assert!(infra.shutdown(LONG).await.is_clean());
}

#[tokio::test]
#[ignore = "needs postgres-bin: set KAIREON_TEST_PG_BINDIR"]
async fn what_is_recorded_is_summed_up_published_and_there_after_a_restart() {
    let server = server().await;
    let infra = started(at(&server).with_interaction_store("pg")).await;
    let mut events = infra.events().subscribe(recorded_topic()).await.unwrap();
    let event = shown("c", "k");
    assert!(infra.store().record_event(event.clone()).await.unwrap().is_new());
    assert!(!infra.store().record_event(event.clone()).await.unwrap().is_new());
    assert_eq!(next_event(&mut events).await.id(), event.id.to_string());
    assert_eq!(impressions(&infra).await, 1);
    let health = infra.health().await;
    assert!(health.ready, "{health}");
    drop(events);
    assert!(infra.shutdown(LONG).await.is_clean());

    let infra = started(at(&server)).await;
    assert!(!infra.store().record_event(event).await.unwrap().is_new());
    assert_eq!(impressions(&infra).await, 1);
    assert!(infra.shutdown(LONG).await.is_clean());
}

#[tokio::test]
#[ignore = "needs postgres-bin: set KAIREON_TEST_PG_BINDIR"]
async fn events_of_one_process_reach_a_subscriber_of_another_whatever_starts_and_ends_meanwhile() {
    let server = server().await;
    let one = started(at(&server)).await;
    let mut events = one.events().subscribe(recorded_topic()).await.unwrap();
    let two = started(at(&server).with_event_publisher("disabled")).await;
    let three = started(at(&server)).await;
    for (infra, key) in [(&two, "k2"), (&three, "k3")] {
        let event = shown("c", key);
        infra.store().record_event(event.clone()).await.unwrap();
        assert_eq!(next_event(&mut events).await.id(), event.id.to_string());
    }
    assert!(three.shutdown(LONG).await.is_clean());
    let event = shown("c", "k4");
    two.store().record_event(event.clone()).await.unwrap();
    assert_eq!(next_event(&mut events).await.id(), event.id.to_string());
    assert!(two.shutdown(LONG).await.is_clean());
    drop(events);
    assert!(one.shutdown(LONG).await.is_clean());
}

#[tokio::test]
#[ignore = "needs postgres-bin: set KAIREON_TEST_PG_BINDIR"]
async fn a_reset_keeps_the_same_place_open_and_goes_to_another_schema() {
    let server = server().await;
    let infra = started(at(&server)).await;
    infra.store().record_event(shown("c", "k")).await.unwrap();
    let report = infra.reset(at(&server)).await.unwrap();
    assert!(
        matches!(report.outcome(Part::Store), Some(Outcome::CarriedOver)),
        "{report}"
    );

    let mut moved = at(&server);
    moved
        .extra
        .insert("KAIREON_PG_SCHEMA".to_owned(), "elsewhere".to_owned());
    // Its tables are not there: the old set goes on.
    let error = infra.reset(moved.clone()).await.unwrap_err();
    assert!(error.context().contains("elsewhere"), "{error}");
    assert_eq!(impressions(&infra).await, 1);
    Infra::builder().config(moved.clone()).migrate().await.unwrap();
    let report = infra.reset(moved).await.unwrap();
    assert!(report.is_clean(), "{report}");
    assert_eq!(impressions(&infra).await, 0);
    assert!(infra.shutdown(LONG).await.is_clean());
}

#[tokio::test]
#[ignore = "needs postgres-bin: set KAIREON_TEST_PG_BINDIR"]
async fn a_server_that_is_gone_is_not_ready_and_heals_without_a_restart_of_the_host() {
    let mut server = server().await;
    let infra = started(at(&server)).await;
    infra.store().record_event(shown("c", "k")).await.unwrap();
    server.stop(Shutdown::Kill).await.unwrap();
    let health = infra.health().await;
    assert!(!health.ready, "{health}");
    server.restart().await.unwrap();
    until("the store answers again", async || infra.health().await.ready).await;
    assert!(!is_new(&infra, "c", "k").await);
    assert!(is_new(&infra, "c", "k2").await);
    assert!(infra.shutdown(LONG).await.is_clean());
}

/// A stream that every process reaches; it notes what it is given.
#[derive(Clone, Debug)]
struct Broker {
    name: &'static str,
    told: Arc<Mutex<Vec<String>>>,
}

#[async_trait]
impl EventPublisher for Broker {
    fn capabilities(&self) -> PublisherCapabilities {
        PublisherCapabilities::minimal(self.name)
    }

    async fn publish(&self, event: Event) -> kaireon::core::Result<()> {
        self.told.lock().unwrap().push(event.id().to_owned());
        Ok(())
    }

    async fn subscribe(&self, _: Subscription) -> kaireon::core::Result<Subscriber> {
        Err(kaireon::core::Error::unsupported(self.name, "subscribe"))
    }

    async fn disconnect(&self) -> kaireon::core::Result<()> {
        Ok(())
    }
}

async fn started_with(server: &PostgresServer, name: &'static str) -> (Infra, Broker) {
    let broker = Broker {
        name,
        told: Arc::default(),
    };
    let made = broker.clone();
    let builder = Infra::builder().config(at(server).with_event_publisher(name));
    let builder = builder.register_publisher(name, move |_| {
        let made = made.clone();
        async move { Ok(made) }
    });
    (builder.build().await.unwrap(), broker)
}

/// Records of so many customers, so that every range has some; their ids.
async fn record_many(infra: &Infra, round: &str) -> Vec<String> {
    let mut ids = Vec::new();
    for n in 0..200 {
        let event = shown(&format!("c{n}"), &format!("{round}-{n}"));
        infra.store().record_event(event.clone()).await.unwrap();
        ids.push(event.id.to_string());
    }
    ids.sort();
    ids
}

async fn leads_to(infra: &Infra, name: &str) -> bool {
    let outbox = infra.store().outbox().unwrap();
    let status = outbox.status(Lane::Publish).await.unwrap();
    status.destination.as_deref() == Some(name)
}

#[tokio::test]
#[ignore = "needs postgres-bin: set KAIREON_TEST_PG_BINDIR"]
async fn differently_configured_instances_never_share_the_events_of_one_store() {
    let server = server().await;
    let one = started(at(&server)).await;
    let two = started(at(&server)).await;
    let mut events = one.events().subscribe(recorded_topic()).await.unwrap();
    // Another process's subscribers would get half of them.
    let error = two.events().subscribe(recorded_topic()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.is_transient()),
        (ErrorKind::Unavailable, true),
        "{error}"
    );
    assert!(error.context().contains("subscribe where they go"), "{error}");
    let expected = record_many(&two, "1").await;
    let mut told = Vec::new();
    for _ in &expected {
        told.push(next_event(&mut events).await.id().to_owned());
    }
    told.sort();
    assert_eq!(told, expected);

    // A broker is everybody's: it gets all of them from now on.
    let (three, orders) = started_with(&server, "orders").await;
    until("the lane leads to the broker", async || {
        leads_to(&three, "orders").await
    })
    .await;
    let (four, elsewhere) = started_with(&server, "elsewhere").await;
    let expected = record_many(&one, "2").await;
    until("the broker is told", async || {
        orders.told.lock().unwrap().len() >= expected.len()
    })
    .await;
    let mut told = orders.told.lock().unwrap().clone();
    told.sort();
    assert_eq!(told, expected);
    assert!(leads_to(&four, "orders").await);
    assert!(elsewhere.told.lock().unwrap().is_empty());
    let nothing = tokio::time::timeout(std::time::Duration::from_millis(100), events.next_delivery()).await;
    assert!(nothing.is_err(), "a subscriber is told what the broker is told");
    let error = two.events().subscribe(recorded_topic()).await.unwrap_err();
    assert!(error.context().contains("`orders`"), "{error}");
    drop(events);
    for infra in [four, three, two, one] {
        let report = infra.shutdown(LONG).await;
        assert!(report.is_clean(), "{report}");
    }
}

//! A schema of a test's own on a server, and what is asked of every test: that what was recorded is there once.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use kaireon_core::outbox::{Lane, LaneSet, OutboxEntry};
use kaireon_core::relay::{Delivered, LaneSink};
use kaireon_core::store::{HistoryQuery, Recorded, SummaryQuery};
use kaireon_core::{CustomerId, Effect, Error, Interaction, InteractionId, InteractionStore, TenantId};
use kaireon_store_pg::{PgStore, PgStoreConfig, PgStoreOptions};
use kaireon_testkit::proxy::{PostgresFraming, Proxy};
use kaireon_testkit::server::{Disk, OnDisk, PostgresServer};
use parking_lot::Mutex;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};

/// Longer than anything here takes on a machine however slow: whoever waits so long waits for ever.
pub(crate) const LONG: Duration = Duration::from_secs(120);

/// What a service's variable says; where it is not set these tests are ignored.
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}

/// A server of the test's own.
pub(crate) async fn server(settings: &[(&str, &str)]) -> PostgresServer {
    let programs = PathBuf::from(variable("KAIREON_TEST_PG_BINDIR"));
    PostgresServer::start(programs, settings).await.unwrap()
}

/// The same with a part of its files on a small disk.
pub(crate) async fn server_on(disk: &Disk, part: OnDisk, settings: &[(&str, &str)]) -> PostgresServer {
    let programs = PathBuf::from(variable("KAIREON_TEST_PG_BINDIR"));
    PostgresServer::start_on(disk, part, programs, settings)
        .await
        .unwrap()
}

pub(crate) fn event(customer: &str, key: &str) -> Interaction {
    let shown = Interaction::builder("t", customer)
        .offer("o")
        .creative("k")
        .channel("web");
    shown.idempotency_key(key).build().unwrap()
}

pub(crate) fn facts(error: &Error) -> (kaireon_core::ErrorKind, Effect, bool) {
    (error.kind(), error.effect(), error.is_transient())
}

/// A schema on a server, with the `publish` lane in force.
pub(crate) struct Place {
    schema: String,
    url: String,
}

impl Place {
    /// On the server of the run.
    pub(crate) async fn shared() -> Self {
        Self::on(variable("KAIREON_TEST_PG_URL")).await
    }

    /// On the server at this address, whose tables are made.
    pub(crate) async fn on(url: String) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        // Random, because another run may have this process's number.
        let id = InteractionId::fresh().to_string().replace('-', "");
        let schema = format!("kaireon_fault_{}_{next}", &id[20..]);
        let place = Self { schema, url };
        PgStore::migrate(&place.config()).await.unwrap();
        place
    }

    /// The same schema on another server, which has it from the first.
    pub(crate) fn moved(&self, url: String) -> Self {
        let schema = self.schema.clone();
        Self { schema, url }
    }

    pub(crate) fn schema(&self) -> &str {
        &self.schema
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// How the store is reached; one writer, so that what is called at once is committed at once.
    pub(crate) fn config(&self) -> PgStoreConfig {
        let mut config = self.usual();
        config.options.writers = 1;
        config
    }

    /// How a host's store is reached, with as many writers as by default.
    pub(crate) fn usual(&self) -> PgStoreConfig {
        let options = PgStoreOptions::default()
            .with_schema(&self.schema)
            .with_lanes(LaneSet::of(&[Lane::Publish]));
        PgStoreConfig::at(&self.url).with_options(options)
    }

    /// How it is reached through a proxy.
    pub(crate) fn through(&self, proxy: &Proxy) -> PgStoreConfig {
        let mut config = self.config();
        config.connect.url = proxy.in_url(&self.url);
        config
    }

    /// A proxy before the server.
    pub(crate) async fn proxy(&self) -> Proxy {
        let rest = self.url.split_once("://").unwrap().1;
        let authority = rest.split(['/', '?']).next().unwrap();
        let address = authority
            .rsplit_once('@')
            .map_or(authority, |(_, address)| address);
        Proxy::start::<PostgresFraming>(address).await.unwrap()
    }

    /// A connection beside the store's.
    pub(crate) async fn connection(&self) -> PgConnection {
        PgConnection::connect(&self.url).await.unwrap()
    }

    /// Runs statements beside the store, `{s}` standing for the schema.
    pub(crate) async fn run(&self, sql: &str) {
        let mut connection = self.connection().await;
        run(&mut connection, &self.filled(sql)).await;
        connection.close().await.unwrap();
    }

    /// One number from beside the store.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        let mut connection = self.connection().await;
        let row = connection
            .fetch_one(AssertSqlSafe(self.filled(sql)))
            .await
            .unwrap();
        connection.close().await.unwrap();
        row.get(0)
    }

    pub(crate) fn filled(&self, sql: &str) -> String {
        sql.replace("{s}", &self.schema)
    }

    /// How many rows there are, and how many entries wait in the outbox, as the server has them.
    pub(crate) async fn rows(&self) -> (i64, i64) {
        let rows = self.number("SELECT count(*) FROM {s}.history").await;
        (rows, self.number("SELECT count(*) FROM {s}.outbox").await)
    }

    /// Asserts that these records and no others are there, each once: as a row, in the summaries, as a dedupe record,
    /// and, while nothing was delivered, as an entry of the outbox.
    pub(crate) async fn assert_exactly(&self, events: &[Interaction], delivered: bool) {
        let count = i64::try_from(events.len()).unwrap();
        assert_eq!(self.rows().await, (count, if delivered { 0 } else { count }));
        assert_eq!(self.number("SELECT count(*) FROM {s}.dedupe").await, count);
        let mut customers: BTreeMap<&CustomerId, Vec<&Interaction>> = BTreeMap::new();
        for event in events {
            customers.entry(&event.customer).or_default().push(event);
        }
        let store = PgStore::connect(self.config()).await.unwrap();
        for (customer, mut expected) in customers {
            let query = HistoryQuery {
                limit: 1_000,
                ..HistoryQuery::new(TenantId::new("t").unwrap(), customer.clone())
            };
            let mut found = store.history(query).await.unwrap().items;
            found.sort_by(|a, b| a.id.cmp(&b.id));
            expected.sort_by(|a, b| a.id.cmp(&b.id));
            assert_eq!(found.iter().collect::<Vec<_>>(), expected);
            let query = SummaryQuery::new(TenantId::new("t").unwrap(), customer.clone());
            let summaries = store.get_summaries(query).await.unwrap();
            let total = summaries.iter().filter(|summary| summary.period.key() == "all");
            let total: u64 = total.map(|summary| summary.stats.interactions()).sum();
            // Once in each of the three dimensions.
            assert_eq!(total, found.len() as u64 * 3);
        }
        store.disconnect().await.unwrap();
    }

    /// Takes the schema away; of a server of the test's own nothing needs to be tidied up.
    pub(crate) async fn close(self) {
        self.run("DROP SCHEMA {s} CASCADE").await;
    }
}

/// Returns when a condition holds that is asked for again and again.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let held = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let held = tokio::time::timeout(LONG, held).await;
    assert!(held.is_ok(), "{what} did not come about");
}

/// Runs statements of the test's own.
pub(crate) async fn run(connection: &mut PgConnection, sql: &str) {
    let script = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
    connection.execute(script).await.unwrap();
}

/// How often a record failed before it was answered.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tries {
    pub(crate) not_applied: u32,
    pub(crate) unknown: u32,
    /// Answers that were found to be there from an earlier try.
    pub(crate) duplicates: u32,
}

impl Tries {
    pub(crate) fn add(&mut self, other: Self) {
        self.not_applied += other.not_applied;
        self.unknown += other.unknown;
        self.duplicates += other.duplicates;
    }
}

/// Records until there is an answer, which must be exact: new while no earlier try may have been applied, and under
/// the record's own id in every case.
pub(crate) async fn insist(store: &PgStore, event: &Interaction) -> Tries {
    let mut tries = Tries::default();
    let answered = async {
        loop {
            match store.record_event(event.clone()).await {
                Ok(recorded) => {
                    assert_eq!(recorded.id(), &event.id);
                    assert!(recorded.is_new() || tries.unknown > 0, "applied, after {tries:?}");
                    tries.duplicates += u32::from(!recorded.is_new());
                    return;
                }
                Err(error) => {
                    assert!(error.is_transient(), "{error:?}");
                    match error.effect() {
                        Effect::NotApplied => tries.not_applied += 1,
                        _ => tries.unknown += 1,
                    }
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        }
    };
    tokio::time::timeout(LONG, answered).await.unwrap();
    tries
}

/// Records what may have been recorded before; returns the answer.
pub(crate) async fn insist_after_doubt(store: &PgStore, event: &Interaction) -> Recorded {
    let answered = async {
        loop {
            match store.record_event(event.clone()).await {
                Ok(recorded) => return recorded,
                Err(error) => assert!(error.is_transient(), "{error:?}"),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LONG, answered).await.unwrap()
}

/// What a retry must answer, by whether the first try was applied.
pub(crate) fn answer(event: &Interaction, applied: bool) -> Recorded {
    if applied {
        Recorded::Duplicate(event.id.clone())
    } else {
        Recorded::new(event.id.clone())
    }
}

/// Notes what is delivered, per customer.
#[derive(Clone, Default)]
pub(crate) struct Notes(Arc<Mutex<BTreeMap<String, Vec<String>>>>);

impl Notes {
    /// How many records were delivered, however often.
    pub(crate) fn count(&self) -> usize {
        let distinct = |told: &Vec<String>| told.iter().collect::<std::collections::HashSet<_>>().len();
        self.0.lock().values().map(distinct).sum()
    }

    /// Asserts that each record was delivered, in whatever order, and others perhaps as well.
    pub(crate) fn assert_delivered(&self, events: &[Interaction]) {
        let notes = self.0.lock();
        for event in events {
            let told = notes.get(event.customer.as_str());
            let told = told.is_some_and(|told| told.contains(&event.id.to_string()));
            assert!(told, "{} was not delivered", event.idempotency_key);
        }
    }

    /// Asserts that each record was delivered, each customer's for the first time in their order here.
    pub(crate) fn assert_in_order(&self, events: &[Interaction]) {
        let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for event in events {
            let ids = expected.entry(event.customer.to_string()).or_default();
            ids.push(event.id.to_string());
        }
        let mut first: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (customer, told) in &*self.0.lock() {
            let ids = first.entry(customer.clone()).or_default();
            let mut seen = std::collections::HashSet::new();
            ids.extend(told.iter().filter(|id| seen.insert(*id)).cloned());
        }
        assert_eq!(first, expected);
    }
}

#[async_trait]
impl LaneSink for Notes {
    async fn deliver(&self, entries: &[OutboxEntry]) -> Vec<Delivered> {
        let mut notes = self.0.lock();
        for entry in entries {
            let told = notes.entry(entry.partition().to_owned()).or_default();
            told.push(entry.to_event().id().to_owned());
        }
        entries.iter().map(|_| Delivered::Done).collect()
    }
}

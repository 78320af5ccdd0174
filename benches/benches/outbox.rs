//! `outbox.*`: relays on PostgreSQL, against a bare `DELETE … RETURNING` drain of the same rows.
//!
//! `KAIREON_TEST_PG_URL` names the server; `cargo xtask services up postgres` starts one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use kaireon_benches::workload::{Draw, Workload};
use kaireon_benches::{Figure, Goal, Settings, median};
use kaireon_connect::postgres::PgConnectConfig;
use kaireon_core::outbox::{Lane, LaneSet, OutboxEntry};
use kaireon_core::publisher::{Signal, Subscription};
use kaireon_core::relay::{Delivered, LaneSink, PublishSink, Relay, RelayConfig};
use kaireon_core::store::RecordBatch;
use kaireon_core::{EventPublisher, EventType, InteractionId, InteractionStore, Outbox};
use kaireon_events::{InProcessPublisher, InProcessPublisherConfig};
use kaireon_store_pg::{PgStore, PgStoreConfig, PgStoreOptions};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};
use tokio::sync::watch;

/// How many entries the relay and the raw drain take at once.
const BATCH: u32 = 512;

/// How many entries are recorded through the store; the others are copies of them.
const RECORDED: u64 = 1_000;

/// One store in a schema of its own, and a connection beside it.
struct Place {
    schema: String,
    store: PgStore,
    outbox: Arc<dyn Outbox>,
    beside: PgConnection,
}

impl Place {
    async fn open(url: &str) -> Self {
        let id = InteractionId::fresh().to_string().replace('-', "");
        let schema = format!("kaireon_bench_{}", &id[12..]);
        let config = PgStoreConfig {
            connect: PgConnectConfig {
                url: url.to_owned(),
                ..PgConnectConfig::default()
            },
            options: PgStoreOptions::default()
                .with_schema(&schema)
                .with_lanes(LaneSet::of(&[Lane::Publish])),
        };
        PgStore::migrate(&config).await.expect("tables are made");
        let store = PgStore::connect(config).await.expect("the server is there");
        let beside = PgConnection::connect(url).await.expect("the server is there");
        let outbox = store.outbox().expect("it has an outbox");
        Self {
            schema,
            store,
            outbox,
            beside,
        }
    }

    async fn run(&mut self, sql: String) {
        self.beside
            .execute(AssertSqlSafe(sql))
            .await
            .expect("a statement of the bench is valid");
    }

    /// Records some entries and keeps them aside, to be copied.
    async fn prepare(&mut self) {
        let recorded = usize::try_from(RECORDED).expect("a small number");
        let events: Vec<_> = Workload::new(Draw::Uniform, 1).take(recorded).collect();
        let recorded = self.store.record_events(RecordBatch::live(events)).await;
        assert!(recorded.expect("the batch is recorded").is_complete());
        let schema = &self.schema;
        let sql = format!("CREATE TABLE {schema}.model AS SELECT * FROM {schema}.outbox");
        self.run(sql).await;
        let sql = format!("DELETE FROM {}.outbox", self.schema);
        self.run(sql).await;
    }

    /// Copies so many thousands of entries into a table, each thousand in a transaction.
    async fn fill(&mut self, table: &str, thousands: u64) {
        for _ in 0..thousands {
            let schema = &self.schema;
            let sql = format!(
                "INSERT INTO {schema}.{table} (generation, enqueued_at, tenant, lane, range, customer, payload) \
                 SELECT generation, now(), tenant, lane, range, customer, payload FROM {schema}.model"
            );
            self.run(sql).await;
        }
    }

    async fn close(mut self) {
        self.store.disconnect().await.expect("a store disconnects");
        let sql = format!("DROP SCHEMA {} CASCADE", self.schema);
        self.run(sql).await;
    }
}

/// Counts what it is given.
#[derive(Clone)]
struct Counter(Arc<AtomicU64>, watch::Sender<u64>);

impl Counter {
    fn new() -> Self {
        Self(Arc::default(), watch::Sender::new(0))
    }

    async fn reach(&self, count: u64) {
        let mut seen = self.1.subscribe();
        let reached = seen.wait_for(|seen| *seen >= count).await;
        assert!(reached.is_ok(), "the counter lives");
    }
}

#[async_trait]
impl LaneSink for Counter {
    async fn deliver(&self, entries: &[OutboxEntry]) -> Vec<Delivered> {
        for entry in entries {
            std::hint::black_box(entry.to_event());
        }
        let before = self.0.fetch_add(entries.len() as u64, Ordering::Relaxed);
        self.1.send_replace(before + entries.len() as u64);
        entries.iter().map(|_| Delivered::Done).collect()
    }
}

fn relay(place: &Place, counter: &Counter) -> Relay {
    let config = RelayConfig {
        max_entries: BATCH,
        ..RelayConfig::new(Lane::Publish)
    };
    Relay::spawn(Arc::clone(&place.outbox), counter.clone(), config)
}

#[allow(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn rate(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

/// Tables of the same rows, for the bare drains: one as the outbox has it, one as one would make it to drain it in order.
async fn raw_tables(place: &mut Place) {
    for sql in [
        "CREATE TABLE {s}.raw (LIKE {s}.outbox INCLUDING ALL)",
        "CREATE TABLE {s}.ordered (LIKE {s}.outbox INCLUDING ALL EXCLUDING INDEXES, PRIMARY KEY (position))",
    ] {
        place.run(sql.replace("{s}", &place.schema)).await;
    }
}

/// A bare drain of whatever comes first: one connection, one statement per batch.
async fn raw(place: &mut Place, count: u64) -> Duration {
    let sql = format!(
        "DELETE FROM {schema}.raw WHERE ctid = ANY (ARRAY(SELECT ctid FROM {schema}.raw LIMIT {BATCH})) \
         RETURNING position, payload",
        schema = place.schema
    );
    drain(place, &sql, count).await
}

/// A bare drain of the oldest, by position, which a relay has to keep to.
async fn raw_in_order(place: &mut Place, count: u64) -> Duration {
    let sql = format!(
        "DELETE FROM {schema}.ordered WHERE position IN \
         (SELECT position FROM {schema}.ordered ORDER BY position LIMIT {BATCH}) RETURNING position, payload",
        schema = place.schema
    );
    drain(place, &sql, count).await
}

async fn drain(place: &mut Place, sql: &str, count: u64) -> Duration {
    let begun = Instant::now();
    let mut left = count;
    while left > 0 {
        let rows = place
            .beside
            .fetch_all(sqlx::query(AssertSqlSafe(sql.to_owned())))
            .await;
        let rows = rows.expect("rows are deleted");
        assert!(!rows.is_empty(), "the raw side drains what was filled");
        for row in &rows {
            std::hint::black_box((row.get::<i64, _>(0), row.get::<&[u8], _>(1)));
        }
        left -= rows.len() as u64;
    }
    begun.elapsed()
}

async fn drain_rate(url: &str, settings: &Settings) {
    let (rounds, thousands) = (settings.rounds(5), settings.scale(100, 4));
    let mut place = Place::open(url).await;
    place.prepare().await;
    raw_tables(&mut place).await;
    let count = thousands * RECORDED;
    let (mut unordered, mut ordered, mut ours) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        place.fill("raw", thousands).await;
        unordered.push(rate(count, raw(&mut place, count).await));
        place.fill("ordered", thousands).await;
        ordered.push(rate(count, raw_in_order(&mut place, count).await));
        place.fill("outbox", thousands).await;
        let counter = Counter::new();
        let begun = Instant::now();
        let relay = relay(&place, &counter);
        relay
            .drain(Duration::from_secs(600))
            .await
            .expect("the relay drains");
        ours.push(rate(count, begun.elapsed()));
        assert_eq!(counter.0.load(Ordering::Relaxed), count, "each is delivered once");
    }
    for (id, goal, raws, what) in [
        (
            "outbox.rate",
            Goal::Reach("≥ 0.5 × and ≥ 25k events/s"),
            &unordered,
            "by ctid, in no order",
        ),
        (
            "outbox.rate/ordered",
            Goal::None,
            &ordered,
            "of the oldest by position, which a relay has to keep to",
        ),
    ] {
        let runs: Vec<f64> = ours.iter().zip(raws).map(|(own, raw)| own / raw).collect();
        Figure {
            id: id.to_owned(),
            value: median(&runs),
            unit: "×",
            goal,
            raw: Some(median(raws)),
            ours: Some(median(&ours)),
            runs,
            note: format!(
                "events/s of one relay, settled durably, against DELETE … RETURNING in batches of {BATCH} {what}"
            ),
        }
        .print();
    }
    place.close().await;
}

async fn latency(url: &str, settings: &Settings) {
    let place = Place::open(url).await;
    let mut events = Workload::new(Draw::Uniform, 2);
    let stream = InProcessPublisher::new(InProcessPublisherConfig::default());
    let stream: Arc<dyn EventPublisher> = Arc::new(stream.expect("the default configuration is valid"));
    let recorded = EventType::new("interaction.recorded.v1").expect("a type");
    let mut subscriber = stream
        .subscribe(Subscription::to([recorded]))
        .await
        .expect("the stream is open");
    let config = RelayConfig {
        max_entries: BATCH,
        ..RelayConfig::new(Lane::Publish)
    };
    let sink = PublishSink::new(Arc::clone(&stream));
    let relay = Relay::spawn(Arc::clone(&place.outbox), sink, config);
    let mut took = Vec::new();
    for _ in 0..settings.scale(1_000, 20) {
        let event = events.next().expect("the workload has no end");
        let id = event.id.to_string();
        place.store.record_event(event).await.expect("it is recorded");
        let committed = Instant::now();
        match subscriber.next().await {
            Some(Ok(Signal::Delivery(mut delivery))) => {
                took.push(committed.elapsed().as_secs_f64() * 1_000.0);
                assert_eq!(delivery.event().id(), id, "each comes once, in its turn");
                delivery.ack().await.expect("acknowledged");
            }
            other => panic!("nothing is lost of one at a time: {other:?}"),
        }
        // Long enough that the relay waits again.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    relay.stop(Duration::from_secs(10)).await.expect("it stops");
    Figure {
        id: "outbox.p50_ms".to_owned(),
        value: median(&took),
        unit: "ms",
        goal: Goal::Reach("≤ 3"),
        raw: None,
        ours: Some(median(&took)),
        runs: vec![median(&took)],
        note:
            "from Ok to a subscriber of the in-process stream, one event at a time, relay in the same process"
                .to_owned(),
    }
    .print();
    place.close().await;
}

/// The rates at which chunks passed, each with when it had.
struct Passed(Vec<(Duration, f64)>);

impl Passed {
    /// The median over the first and over the last minute, or what there is of it in a short run.
    fn ends(&self, minute: Duration) -> [f64; 2] {
        let end = self.0.last().map_or(Duration::ZERO, |(at, _)| *at);
        let of = |keep: &dyn Fn(Duration) -> bool| {
            let kept = self.0.iter().filter(|(at, _)| keep(*at));
            median(&kept.map(|(_, rate)| *rate).collect::<Vec<_>>())
        };
        [of(&|at| at <= minute), of(&|at| at + minute >= end)]
    }
}

async fn long_transaction(url: &str, settings: &Settings) {
    let chunk = 20;
    // So many entries, and so long that the first and the last minute are apart.
    let entries = settings.scale(2_000_000, 40_000);
    let minute = Duration::from_secs(settings.scale(60, 1));
    let mut place = Place::open(url).await;
    place.prepare().await;
    let autovacuum: String = sqlx::query_scalar("SHOW autovacuum")
        .fetch_one(&mut place.beside)
        .await
        .expect("it is a setting");
    assert_eq!(autovacuum, "on", "the figure is of a server that vacuums");
    let mut host = PgConnection::connect(url).await.expect("the server is there");
    // A server may end transactions that rest.
    host.execute("SET idle_in_transaction_session_timeout = 0")
        .await
        .expect("it is a setting");
    // A horizon and a number that stay for the whole run.
    let mut long = host.begin().await.expect("a transaction begins");
    long.execute("SELECT pg_current_xact_id()")
        .await
        .expect("it has a number");
    let counter = Counter::new();
    let relay = relay(&place, &counter);
    let mut passed = Passed(Vec::new());
    let (mut count, started) = (0, Instant::now());
    while count < entries || started.elapsed() < minute * 5 / 2 {
        // Filled in one transaction, so that the clock shows the relay alone.
        let schema = place.schema.clone();
        let sql = format!(
            "INSERT INTO {schema}.outbox (generation, enqueued_at, tenant, lane, range, customer, payload) \
             SELECT generation, now(), tenant, lane, range, customer, payload \
             FROM {schema}.model, generate_series(1, {chunk})"
        );
        place.run(sql).await;
        count += chunk * RECORDED;
        let before = counter.0.load(Ordering::Relaxed);
        let begun = Instant::now();
        counter.reach(count).await;
        passed
            .0
            .push((started.elapsed(), rate(count - before, begun.elapsed())));
    }
    let took = started.elapsed().as_secs();
    relay.stop(Duration::from_secs(10)).await.expect("it stops");
    let vacuums = format!(
        "SELECT autovacuum_count FROM pg_stat_user_tables WHERE schemaname = '{}' AND relname = 'outbox'",
        place.schema
    );
    let vacuums: i64 = sqlx::query_scalar(AssertSqlSafe(vacuums))
        .fetch_one(&mut place.beside)
        .await
        .expect("the table has statistics");
    long.rollback().await.expect("it is rolled back");
    let [first, last] = passed.ends(minute);
    Figure {
        id: "outbox.long_tx".to_owned(),
        value: last / first,
        unit: "×",
        goal: Goal::Reach("≥ 0.5"),
        raw: Some(first),
        ours: Some(last),
        runs: vec![last / first],
        note: format!(
            "events/s over the last minute of {took} s and {count} entries against the first, a transaction open all the \
             time; autovacuum {autovacuum}, {vacuums} of the table meanwhile"
        ),
    }
    .print();
    place.close().await;
}

fn main() {
    let settings = Settings::from_env();
    let url = std::env::var("KAIREON_TEST_PG_URL").expect("KAIREON_TEST_PG_URL names the server");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        if settings.wants("outbox.rate") {
            drain_rate(&url, &settings).await;
        }
        if settings.wants("outbox.p50_ms") {
            latency(&url, &settings).await;
        }
        if settings.wants("outbox.long_tx") {
            long_transaction(&url, &settings).await;
        }
    });
}

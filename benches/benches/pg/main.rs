//! `pg.*`: the PostgreSQL store against raw sqlx on the same server, with the same durability.

mod alike;
mod ours;
mod raw;
mod reads;

use std::cell::RefCell;
use std::time::Duration;

use kaireon_benches::workload::{Draw, Workload};
use kaireon_benches::{Figure, Goal, Rounds, Side, callers, median};
use kaireon_core::InteractionId;
use raw::Raw;
use reads::Reads;
use sqlx::{AssertSqlSafe, Executor, PgPool};

/// A ratio of two sides.
pub(crate) fn report(id: &str, goal: Goal, runs: Vec<f64>, [raw, ours]: [f64; 2], note: String) {
    Figure {
        id: id.to_owned(),
        value: median(&runs),
        unit: "×",
        goal,
        raw: Some(raw),
        ours: Some(ours),
        runs,
        note,
    }
    .print();
}

async fn text(pool: &PgPool, sql: String) -> String {
    sqlx::query_scalar(AssertSqlSafe(sql))
        .fetch_one(pool)
        .await
        .expect("the server answers")
}

/// Table and index bytes of a schema per interaction, by place.
async fn bytes(pool: &PgPool, schema: &str, interactions: u64) -> String {
    let of = |pattern: &str, size: &str| {
        format!(
            "SELECT (coalesce(sum({size}(c.oid)), 0) / {interactions})::bigint::text FROM pg_class c \
             JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = '{schema}' AND c.relkind = 'r' AND c.relname LIKE '{pattern}'"
        )
    };
    let mut all = format!(
        "bytes per interaction: {} of tables and {} of indexes",
        text(pool, of("%", "pg_table_size")).await,
        text(pool, of("%", "pg_indexes_size")).await,
    );
    for table in ["history\\_%", "dedupe", "customers", "outbox"] {
        let name = table.trim_end_matches("\\_%");
        let size = text(pool, of(table, "pg_total_relation_size")).await;
        all.push_str(&format!(", {name} {size}"));
    }
    all
}

struct Bench {
    rounds: Rounds,
    runtime: tokio::runtime::Runtime,
    url: String,
    settings: String,
}

impl Bench {
    fn name(side: &str) -> String {
        let id = InteractionId::fresh().to_string().replace('-', "");
        format!("bench_{side}_{}", &id[16..])
    }

    async fn drop_schema(pool: &PgPool, schema: &str) {
        let drop = format!("DROP SCHEMA {schema} CASCADE");
        pool.execute(AssertSqlSafe(drop)).await.expect("the role owns it");
    }

    /// Holds what the sides leave against each other, in schemas of their own.
    async fn alike(url: &str, draw: Draw) {
        let (our_schema, raw_schema) = (Self::name("ours"), Self::name("raw"));
        let store = ours::open(url, &our_schema).await;
        let raw = Raw::open(url, &raw_schema, 8).await;
        alike::check(&store, &our_schema, &raw, draw).await;
        store.disconnect().await.expect("a store disconnects");
        for schema in [&our_schema, &raw_schema] {
            Self::drop_schema(&raw.pool, schema).await;
        }
        raw.pool.close().await;
    }

    /// The raw side's tables begin with the same rows: copied ones all of them, those of a transaction per event as
    /// many as it can take in a while, since its figure falls with more.
    async fn fill(raw: &Raw, our_schema: &str, draw: Draw, share: u64) {
        let copied = format!(
            "INSERT INTO {s}.copied SELECT h.customer, h.at, h.tie, h.id, h.idempotency_key, h.offer, h.creative, \
             h.channel, h.interaction_type, h.campaign, h.value_micros FROM {our_schema}.history h",
            s = raw.schema
        );
        raw.pool
            .execute(AssertSqlSafe(copied))
            .await
            .expect("the role owns them");
        let first = Workload::new(draw, 3).take(usize::try_from(share).unwrap_or(usize::MAX));
        let first = first.map(|event| ours::plain(&event)).collect();
        raw.one_by_one(64, first).await;
    }

    /// Statistics and maps of visibility as after a while, and nothing left to be written by the preload.
    async fn settle(pool: &PgPool, schemas: [&str; 2]) {
        for schema in schemas {
            let tables = "SELECT string_agg(format('%I.%I', n.nspname, c.relname), ', ') FROM pg_class c \
                          JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND n.nspname = ";
            let tables = text(pool, format!("{tables}'{schema}'")).await;
            let settle = format!("VACUUM (ANALYZE) {tables}");
            pool.execute(AssertSqlSafe(settle))
                .await
                .expect("the role owns them");
        }
    }

    /// The figures of one draw on a preloaded pair of schemas.
    fn of_draw(&mut self, draw: Draw) {
        let id = |figure: &str| format!("pg.{figure}/{}", draw.as_str());
        let figures = [
            "bulk",
            "record_1",
            "record_64",
            "record_1024",
            "summaries",
            "history_50",
        ];
        let wants = |figure: &str| self.rounds.settings.wants(&id(figure));
        let flat = draw == Draw::Uniform && self.rounds.settings.wants("pg.summaries/flat");
        if !flat && !figures.iter().any(|figure| wants(figure)) {
            return;
        }
        let preload = self.rounds.settings.scale(1_000_000, 20_000);
        let share = self.rounds.settings.scale(50_000, 2_000);
        let (our_schema, raw_schema) = (Self::name("ours"), Self::name("raw"));
        let (store, raw, sizes) = self.runtime.block_on(async {
            Self::alike(&self.url, draw).await;
            let store = ours::open(&self.url, &our_schema).await;
            ours::preload(&store, draw, preload).await;
            let raw = Raw::open(&self.url, &raw_schema, 64).await;
            Self::fill(&raw, &our_schema, draw, share).await;
            Self::settle(&raw.pool, [&our_schema, &raw_schema]).await;
            let sizes = bytes(&raw.pool, &our_schema, preload).await;
            (store, raw, sizes)
        });
        let begins_with = format!("ours begins with {preload} rows, the raw side with {share}");
        self.writes(draw, &store, &raw, &sizes, &begins_with);
        let reads = Reads {
            runtime: &self.runtime,
            store: &store,
            pool: &raw.pool,
            schema: &our_schema,
            draw,
            settings: &self.settings,
        };
        reads.measure(&mut self.rounds);
        self.runtime.block_on(async {
            store.disconnect().await.expect("a store disconnects");
            for schema in [&our_schema, &raw_schema] {
                Self::drop_schema(&raw.pool, schema).await;
            }
            raw.pool.close().await;
        });
    }

    fn writes(
        &mut self,
        draw: Draw,
        store: &std::sync::Arc<dyn kaireon_core::InteractionStore>,
        raw: &Raw,
        sizes: &str,
        begins_with: &str,
    ) {
        let id = |figure: &str| format!("pg.{figure}/{}", draw.as_str());
        let runtime = &self.runtime;
        let (mut our_load, mut raw_load) = (Workload::new(draw, 2), Workload::new(draw, 4));
        if self.rounds.settings.wants(&id("bulk")) {
            let (raw_load, our_load) = (RefCell::new(&mut raw_load), RefCell::new(&mut our_load));
            let copy = |batches, connections| {
                let batches = callers::batches(&mut raw_load.borrow_mut(), batches);
                let plain = |batch: &Vec<_>| batch.iter().map(ours::plain).collect();
                runtime.block_on(raw.copy(batches.iter().map(plain).collect(), connections))
            };
            let [one, two, our_side] = self.rounds.interleave(
                &id("bulk"),
                3,
                20,
                [
                    &mut |batches| copy(batches, 1),
                    &mut |batches| copy(batches, 2),
                    &mut |batches| {
                        let batches = callers::batches(&mut our_load.borrow_mut(), batches);
                        runtime.block_on(callers::bulk(store, batches))
                    },
                ],
            );
            let rate = |side: &Side| 1_000.0 / side.median();
            // Ours has two batches in flight, so the raw side may as well; it has what is better for it.
            let (raw_side, connections) = if two.median() < one.median() {
                (two, 2)
            } else {
                (one, 1)
            };
            let note = format!(
                "events/s in batches of 1,000, two in flight, against a bare binary COPY on {connections} connection(s), \
                 the better of one and two; {sizes}; {}",
                self.settings
            );
            let both = [rate(&raw_side), rate(&our_side)];
            let runs = raw_side.over(&our_side);
            report(&id("bulk"), Goal::Reach("≥ 0.5"), runs, both, note);
        }
        for (figure, callers, raw_callers, goal) in [
            ("record_1", 1_u64, 1_u64, Goal::Reach("≤ 1.1")),
            ("record_64", 64, 64, Goal::Reach("≥ 6")),
            ("record_1024", 1_024, 64, Goal::Reach("≥ 9")),
        ] {
            if !self.rounds.settings.wants(&id(figure)) {
                continue;
            }
            let take = |workload: &mut Workload, events: u64| {
                workload
                    .by_ref()
                    .take(usize::try_from(events).unwrap_or_default())
                    .collect::<Vec<_>>()
            };
            let at_once = |callers: u64| usize::try_from(callers).unwrap_or(1);
            // What is counted is eight events of each caller, so that all of them are there all the time. The raw
            // side's connections do as many each, which is a share of them.
            #[allow(clippy::cast_precision_loss, reason = "few callers")]
            let share = callers as f64 / raw_callers as f64;
            let [raw_side, our_side] = self.rounds.interleave(
                &id(figure),
                3,
                4,
                [
                    &mut |turns| {
                        let events = take(&mut raw_load, turns * raw_callers * 8);
                        let events = events.iter().map(ours::plain).collect();
                        let took = runtime.block_on(raw.one_by_one(at_once(raw_callers), events));
                        took.mul_f64(share)
                    },
                    &mut |turns| {
                        let events = take(&mut our_load, turns * callers * 8);
                        runtime.block_on(callers::one_by_one(store, at_once(callers), events))
                    },
                ],
            );
            let runs = match figure {
                // Its goal is a bound on the time.
                "record_1" => our_side.over(&raw_side),
                _ => raw_side.over(&our_side),
            };
            #[allow(clippy::cast_precision_loss, reason = "few callers")]
            let events = callers as f64 * 8.0;
            let both = [events / raw_side.median(), events / our_side.median()];
            let note = format!(
                "events/s with {callers} caller(s) against {raw_callers} connection(s) with a transaction per event; \
                 {begins_with}; {}",
                self.settings
            );
            report(&id(figure), goal, runs, both, note);
        }
    }
}

fn main() {
    let url = std::env::var("KAIREON_TEST_PG_URL").expect("KAIREON_TEST_PG_URL says where the server is");
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build().expect("a runtime");
    let settings = runtime.block_on(async {
        let pool = PgPool::connect(&url).await.expect("the server answers");
        let ask = "SELECT format('PostgreSQL %s, fsync %s, synchronous_commit %s', current_setting('server_version'), \
                   current_setting('fsync'), current_setting('synchronous_commit'))";
        let settings = text(&pool, ask.to_owned()).await;
        pool.close().await;
        settings
    });
    let rounds = Rounds::new(Duration::from_secs(3));
    let mut bench = Bench {
        rounds,
        runtime,
        url,
        settings,
    };
    for draw in Draw::BOTH {
        bench.of_draw(draw);
    }
}

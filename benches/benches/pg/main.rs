//! `pg.*`: the PostgreSQL store against raw sqlx on the same server, with the same durability.

mod ours;
mod raw;

use std::sync::Arc;
use std::time::{Duration, Instant};

use kaireon_benches::workload::{Draw, Workload};
use kaireon_benches::{Figure, Goal, Rounds, Side, median};
use kaireon_core::store::{HistoryQuery, SummaryQuery};
use kaireon_core::{CustomerId, InteractionId, InteractionStore, TenantId};
use sqlx::{AssertSqlSafe, Executor, PgPool};

/// A ratio of two sides.
fn report(id: &str, goal: Goal, runs: Vec<f64>, [raw, ours]: [f64; 2], note: String) {
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
    let of = |pattern: &str| {
        format!(
            "SELECT (coalesce(sum(pg_total_relation_size(c.oid)), 0) / {interactions})::bigint::text FROM pg_class c \
             JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = '{schema}' AND c.relkind = 'r' AND c.relname LIKE '{pattern}'"
        )
    };
    let mut all = format!(
        "bytes per interaction, tables and indexes: {}",
        text(pool, of("%")).await
    );
    for table in ["history\\_%", "dedupe", "customers", "outbox"] {
        let name = table.trim_end_matches("\\_%");
        all.push_str(&format!(", {name} {}", text(pool, of(table)).await));
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
        if !figures
            .iter()
            .any(|figure| self.rounds.settings.wants(&id(figure)))
        {
            return;
        }
        let preload = self.rounds.settings.scale(1_000_000, 20_000);
        let (our_schema, raw_schema) = (Self::name("ours"), Self::name("raw"));
        let runtime = &self.runtime;
        let store = runtime.block_on(ours::open(&self.url, &our_schema));
        let raw = runtime.block_on(raw::Raw::open(&self.url, &raw_schema, 64));
        runtime.block_on(ours::preload(&store, draw, preload));
        // The raw side's tables are filled by as many events as it can take in a while: its figure falls with more.
        let share = self.rounds.settings.scale(100_000, 2_000);
        let first = Workload::new(draw, 3)
            .take(usize::try_from(share).unwrap_or(usize::MAX))
            .collect();
        runtime.block_on(raw.one_by_one(64, first));
        runtime.block_on(async {
            for schema in [&our_schema, &raw_schema] {
                let tables = "SELECT string_agg(format('%I.%I', n.nspname, c.relname), ', ') FROM pg_class c \
                              JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND n.nspname = ";
                let tables = text(&raw.pool, format!("{tables}'{schema}'")).await;
                let settle = format!("VACUUM (ANALYZE) {tables}");
                raw.pool.execute(AssertSqlSafe(settle)).await.expect("the role owns them");
            }
        });
        let mut sizes = runtime.block_on(bytes(&raw.pool, &our_schema, preload));
        sizes.push_str(&format!("; {}", self.settings));
        let (mut our_load, mut raw_load) = (Workload::new(draw, 2), Workload::new(draw, 4));

        if self.rounds.settings.wants(&id("bulk")) {
            let [raw_side, our_side] = self.rounds.interleave(
                &id("bulk"),
                3,
                20,
                [
                    &mut |batches| {
                        let batches = ours::batches(&mut raw_load, batches);
                        runtime.block_on(raw.copy(&batches))
                    },
                    &mut |batches| {
                        let batches = ours::batches(&mut our_load, batches);
                        runtime.block_on(ours::bulk(&store, batches))
                    },
                ],
            );
            let rate = |side: &Side| 1_000.0 / side.median();
            let note =
                format!("events/s in batches of 1,000, two in flight, against a bare binary COPY; {sizes}");
            let both = [rate(&raw_side), rate(&our_side)];
            report(
                &id("bulk"),
                Goal::Reach("≥ 0.5"),
                raw_side.over(&our_side),
                both,
                note,
            );
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
                        let took = runtime.block_on(raw.one_by_one(at_once(raw_callers), events));
                        took.mul_f64(share)
                    },
                    &mut |turns| {
                        let events = take(&mut our_load, turns * callers * 8);
                        runtime.block_on(ours::one_by_one(&store, at_once(callers), events))
                    },
                ],
            );
            let runs = if callers == 1 {
                our_side.over(&raw_side)
            } else {
                raw_side.over(&our_side)
            };
            #[allow(clippy::cast_precision_loss, reason = "few callers")]
            let events = callers as f64 * 8.0;
            let both = [events / raw_side.median(), events / our_side.median()];
            let note = format!(
                "events/s with {callers} caller(s) against {raw_callers} connection(s) with a transaction per event; {}",
                self.settings
            );
            report(&id(figure), goal, runs, both, note);
        }
        self.reads(draw, &store, &raw, &our_schema);
        let runtime = &self.runtime;
        runtime.block_on(async {
            store.disconnect().await.expect("a store disconnects");
            for schema in [&our_schema, &raw_schema] {
                Self::drop_schema(&raw.pool, schema).await;
            }
            raw.pool.close().await;
        });
    }

    /// Reads of drawn customers, against the bare statement on the very same rows.
    fn reads(&mut self, draw: Draw, store: &Arc<dyn InteractionStore>, raw: &raw::Raw, schema: &str) {
        let runtime = &self.runtime;
        let drawn: Vec<u64> = Workload::new(draw, 1).customers(10_000);
        let pool = &raw.pool;
        let keys: Vec<(i32, String)> = runtime.block_on(async {
            let find =
                format!("SELECT tenant, digest::text FROM {schema}.customers WHERE customer = ANY ($1)");
            let names: Vec<String> = drawn.iter().map(|number| format!("customer-{number}")).collect();
            let found = sqlx::query_as(AssertSqlSafe(find))
                .bind(names)
                .fetch_all(pool)
                .await;
            found.expect("the server answers")
        });
        let point: Arc<str> =
            format!("SELECT packed FROM {schema}.customers WHERE tenant = $1 AND digest = $2::text::uuid")
                .into();
        let newest: Arc<str> = format!(
            "SELECT h.* FROM {schema}.history h WHERE h.customer = (SELECT id FROM {schema}.customers WHERE tenant = $1 \
             AND digest = $2::text::uuid) ORDER BY h.at DESC, h.id DESC LIMIT 50"
        )
        .into();
        let tenant = TenantId::new("bench").expect("an id");
        for (figure, statement, goal) in [
            ("summaries", point, Goal::Reach("≤ 1.2")),
            ("history_50", newest, Goal::Reach("≤ 1.1")),
        ] {
            let id = format!("pg.{figure}/{}", draw.as_str());
            if !self.rounds.settings.wants(&id) {
                continue;
            }
            let (mut raw_at, mut our_at) = (0, 0);
            // One connection, so that the bare statement is prepared once and none is asked whether it lives.
            let mut connection = runtime.block_on(pool.acquire()).expect("the server answers");
            let [raw_side, our_side] = self.rounds.interleave(
                &id,
                5,
                500,
                [
                    &mut |reads| {
                        runtime.block_on(async {
                            let begun = Instant::now();
                            for _ in 0..reads {
                                raw_at = (raw_at + 1) % keys.len();
                                let (number, digest) = &keys[raw_at];
                                let read = sqlx::query(AssertSqlSafe(Arc::clone(&statement)))
                                    .bind(number)
                                    .bind(digest);
                                assert!(
                                    !read
                                        .fetch_all(&mut *connection)
                                        .await
                                        .expect("the server answers")
                                        .is_empty()
                                );
                            }
                            begun.elapsed()
                        })
                    },
                    &mut |reads| {
                        runtime.block_on(async {
                            let begun = Instant::now();
                            for _ in 0..reads {
                                our_at = (our_at + 1) % drawn.len();
                                let customer =
                                    CustomerId::new(format!("customer-{}", drawn[our_at])).expect("an id");
                                let found = if figure == "summaries" {
                                    let query = SummaryQuery::new(tenant.clone(), customer);
                                    store
                                        .get_summaries(query)
                                        .await
                                        .expect("the server answers")
                                        .len()
                                } else {
                                    let query = HistoryQuery::new(tenant.clone(), customer);
                                    store
                                        .history(query)
                                        .await
                                        .expect("the server answers")
                                        .items
                                        .len()
                                };
                                assert!(found > 0);
                            }
                            begun.elapsed()
                        })
                    },
                ],
            );
            // Giving it back needs the runtime.
            runtime.block_on(async move { drop(connection) });
            let micros = |side: &Side| side.median() * 1e6;
            let both = [micros(&raw_side), micros(&our_side)];
            let note = format!(
                "µs; a drawn customer against the bare statement on the same rows, not decoded; {}",
                self.settings
            );
            report(&id, goal, our_side.over(&raw_side), both, note);
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

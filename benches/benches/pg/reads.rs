//! Reads of customers, against the bare statement on the very same rows: one connection that is kept, prepared once,
//! the same columns, decoded.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kaireon_benches::workload::{Draw, Workload};
use kaireon_benches::{Goal, Rounds, Side, callers};
use kaireon_core::store::{HistoryQuery, SummaryQuery};
use kaireon_core::{CustomerId, InteractionStore, TenantId};
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgRow;
use sqlx::types::Uuid;
use sqlx::types::chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, PgPool, Postgres, Row};
use tokio::runtime::Runtime;

use crate::{ours, report};

/// How many customers have histories of more than a page.
const DEEP: u64 = 200;

/// How many rows each of them has.
const DEEP_ROWS: u64 = 120;

/// What is read of.
pub(crate) struct Reads<'a> {
    pub(crate) runtime: &'a Runtime,
    pub(crate) store: &'a Arc<dyn InteractionStore>,
    pub(crate) pool: &'a PgPool,
    pub(crate) schema: &'a str,
    pub(crate) draw: Draw,
    pub(crate) settings: &'a str,
}

/// Whom a bare statement asks for: the tenant's number and the customer's digest.
type Key = (i32, Uuid);

impl Reads<'_> {
    pub(crate) fn measure(&self, rounds: &mut Rounds) {
        let id = |figure: &str| format!("pg.{figure}/{}", self.draw.as_str());
        if rounds.settings.wants(&id("summaries")) {
            self.summaries(rounds, &id("summaries"));
        }
        if rounds.settings.wants(&id("history_50")) {
            self.history(rounds, &id("history_50"));
        }
        if self.draw == Draw::Uniform && rounds.settings.wants("pg.summaries/flat") {
            self.flat(rounds);
        }
    }

    fn summaries(&self, rounds: &mut Rounds, id: &str) {
        // Of those who were recorded first, so that everyone who is asked for is there.
        let events: Vec<_> = Workload::new(self.draw, 1).take(10_000).collect();
        let queries: Vec<SummaryQuery> = events.iter().map(ours::twelve).collect();
        let keys = self.keys(queries.iter().map(|query| query.customer.to_string()).collect());
        let point: Arc<str> = format!(
            "SELECT packed FROM {}.customers WHERE tenant = $1 AND digest = $2",
            self.schema
        )
        .into();
        let (mut connection, store, runtime) = (self.connection(), self.store, self.runtime);
        let (mut raw_at, mut our_at) = (0, 0);
        let [raw, ours] = rounds.interleave(
            id,
            5,
            500,
            [
                &mut |reads| {
                    runtime.block_on(async {
                        let begun = Instant::now();
                        for _ in 0..reads {
                            raw_at = (raw_at + 1) % keys.len();
                            let (tenant, digest) = keys[raw_at];
                            let packed: Vec<u8> = sqlx::query_scalar(AssertSqlSafe(Arc::clone(&point)))
                                .bind(tenant)
                                .bind(digest)
                                .fetch_one(&mut *connection)
                                .await
                                .expect("the server answers");
                            assert!(!packed.is_empty());
                        }
                        begun.elapsed()
                    })
                },
                &mut |reads| {
                    runtime.block_on(async {
                        let begun = Instant::now();
                        for _ in 0..reads {
                            our_at = (our_at + 1) % queries.len();
                            let found = store.get_summaries(queries[our_at].clone()).await;
                            assert_eq!(found.expect("the server answers").len(), 12);
                        }
                        begun.elapsed()
                    })
                },
            ],
        );
        self.give_back(connection);
        let note = "three dimensions by four periods of a drawn customer, against reading the customer's row";
        self.report(id, Goal::Reach("≤ 1.2"), [&raw, &ours], note);
    }

    fn history(&self, rounds: &mut Rounds, id: &str) {
        let name = |number: u64| format!("deep-{number}");
        self.runtime.block_on(async {
            let mut batches = Vec::new();
            for number in 0..DEEP {
                let rows = Workload::new(self.draw, 100 + number).of_customer(name(number));
                batches.push(
                    rows.take(usize::try_from(DEEP_ROWS).unwrap_or_default())
                        .collect(),
                );
            }
            callers::bulk(self.store, batches).await;
        });
        let tenant = TenantId::new("bench").expect("an id");
        let query = |number| {
            let customer = CustomerId::new(name(number)).expect("an id");
            HistoryQuery::new(tenant.clone(), customer)
        };
        let queries: Vec<HistoryQuery> = (0..DEEP).map(query).collect();
        let keys = self.keys((0..DEEP).map(name).collect());
        let newest: Arc<str> = format!(
            "SELECT at, tie, value_micros, rank, classification, direction, id, idempotency_key, offer, creative, \
             channel, interaction_type, outcome, placement, category, campaign, recommendation, attributes::text \
             FROM {s}.history WHERE customer = (SELECT id FROM {s}.customers WHERE tenant = $1 AND digest = $2) \
             ORDER BY at DESC, id DESC LIMIT 50",
            s = self.schema
        )
        .into();
        let (mut connection, store, runtime) = (self.connection(), self.store, self.runtime);
        let (mut raw_at, mut our_at) = (0, 0);
        let [raw, ours] = rounds.interleave(
            id,
            5,
            200,
            [
                &mut |reads| {
                    runtime.block_on(async {
                        let begun = Instant::now();
                        for _ in 0..reads {
                            raw_at = (raw_at + 1) % keys.len();
                            let (tenant, digest) = keys[raw_at];
                            let rows = sqlx::query(AssertSqlSafe(Arc::clone(&newest)))
                                .bind(tenant)
                                .bind(digest)
                                .fetch_all(&mut *connection)
                                .await
                                .expect("the server answers");
                            let rows: Vec<HistoryRow> = rows.iter().map(HistoryRow::of).collect();
                            assert_eq!(std::hint::black_box(rows).len(), 50);
                        }
                        begun.elapsed()
                    })
                },
                &mut |reads| {
                    runtime.block_on(async {
                        let begun = Instant::now();
                        for _ in 0..reads {
                            our_at = (our_at + 1) % queries.len();
                            let page = store.history(queries[our_at].clone()).await;
                            let page = page.expect("the server answers");
                            assert_eq!((page.items.len(), page.next.is_some()), (50, true));
                        }
                        begun.elapsed()
                    })
                },
            ],
        );
        self.give_back(connection);
        let note = "the newest 50 of 120 rows of a customer, all columns, decoded by both sides";
        self.report(id, Goal::Reach("≤ 1.1"), [&raw, &ours], note);
    }

    fn flat(&self, rounds: &mut Rounds) {
        let many = rounds.settings.scale(100_000, 2_000);
        let (few, much) = self.runtime.block_on(async {
            (
                ours::customer_with(self.store, "few", 1).await,
                ours::customer_with(self.store, "much", many).await,
            )
        });
        let read = |query: &SummaryQuery, reads: u64| -> Duration {
            self.runtime.block_on(async {
                let begun = Instant::now();
                for _ in 0..reads {
                    let found = self.store.get_summaries(query.clone()).await;
                    assert_eq!(found.expect("the server answers").len(), 12);
                }
                begun.elapsed()
            })
        };
        let id = "pg.summaries/flat";
        let [few, much] = rounds.interleave(
            id,
            5,
            500,
            [&mut |reads| read(&few, reads), &mut |reads| read(&much, reads)],
        );
        let note = "the same twelve summaries, over 100,000 rows of history (ours) against one row (raw)";
        self.report(id, Goal::Reach("≤ 1.2"), [&few, &much], note);
    }

    /// By their names, in that order.
    fn keys(&self, names: Vec<String>) -> Vec<Key> {
        let find = format!(
            "SELECT c.tenant, c.digest FROM unnest($1::text[]) WITH ORDINALITY AS w (name, place) \
             JOIN {}.customers c ON c.customer = w.name ORDER BY w.place",
            self.schema
        );
        let wanted = names.len();
        let found: Vec<Key> = self.runtime.block_on(async {
            let found = sqlx::query_as(AssertSqlSafe(find))
                .bind(names)
                .fetch_all(self.pool)
                .await;
            found.expect("the server answers")
        });
        assert_eq!(found.len(), wanted);
        found
    }

    fn connection(&self) -> PoolConnection<Postgres> {
        self.runtime
            .block_on(self.pool.acquire())
            .expect("the server answers")
    }

    /// Giving it back needs the runtime.
    fn give_back(&self, connection: PoolConnection<Postgres>) {
        self.runtime.block_on(async move { drop(connection) });
    }

    fn report(&self, id: &str, goal: Goal, [raw, ours]: [&Side; 2], note: &str) {
        let micros = |side: &Side| side.median() * 1e6;
        let note = format!("µs per read, one after the other; {note}; {}", self.settings);
        report(id, goal, ours.over(raw), [micros(raw), micros(ours)], note);
    }
}

/// A row of the history, as one would keep it by hand.
#[allow(dead_code, reason = "what is decoded is looked at by nobody")]
struct HistoryRow {
    at: DateTime<Utc>,
    numbers: [Option<i64>; 3],
    flags: [i16; 2],
    texts: [String; 5],
    optional: [Option<String>; 7],
}

impl HistoryRow {
    fn of(row: &PgRow) -> Self {
        Self {
            at: row.get(0),
            numbers: [row.get(1), row.get(2), row.get(3)],
            flags: [row.get(4), row.get(5)],
            texts: [6, 8, 9, 10, 11].map(|at| row.get(at)),
            optional: [7, 12, 13, 14, 15, 16, 17].map(|at| row.get(at)),
        }
    }
}

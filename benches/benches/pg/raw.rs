//! The raw side: sqlx alone, one transaction per event, and a bare binary `COPY`. Nothing of ours but the events.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kaireon_core::summary::groups;
use kaireon_core::{Interaction, InteractionType};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Executor, PgPool};

/// Tables as one would make them by hand: dedupe, history with two indexes, a row per summary, outbox.
const TABLES: &str = "
CREATE SCHEMA {s};
CREATE TABLE {s}.dedupe (tenant text, key text, id text NOT NULL, PRIMARY KEY (tenant, key));
CREATE TABLE {s}.history (tenant text, customer text, id text, at timestamptz, offer text, creative text, channel text,
    campaign text, kind text, outcome text, value bigint, key text);
CREATE INDEX ON {s}.history (tenant, customer, at DESC);
CREATE INDEX ON {s}.history (at);
CREATE TABLE {s}.summaries (tenant text, customer text, dimension text, value text, period text, impressions bigint,
    positive bigint, negative bigint, neutral bigint, conversions bigint, total bigint, last_at timestamptz,
    last_outcome text, PRIMARY KEY (tenant, customer, dimension, value, period)) WITH (fillfactor = 70);
CREATE TABLE {s}.outbox (position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, payload bytea NOT NULL);
CREATE TABLE {s}.copied (customer bigint, at timestamptz, tie bigint, id text, key text, offer text, creative text,
    channel text, kind text, campaign text, value bigint);
CREATE INDEX ON {s}.copied (customer, at);
CREATE TABLE {s}.packed (tenant integer, digest uuid, packed bytea, PRIMARY KEY (tenant, digest));
";

const DEDUPE: &str = "INSERT INTO {s}.dedupe VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
const HISTORY: &str = "INSERT INTO {s}.history VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
const SUMMARIES: &str = "INSERT INTO {s}.summaries AS s
SELECT $1, $2, g.dimension, g.value, g.period, $6, $7, 0, $8, $9, $10, $11, $12
FROM unnest($3::text[], $4::text[], $5::text[]) AS g (dimension, value, period)
ON CONFLICT (tenant, customer, dimension, value, period) DO UPDATE SET
    impressions = s.impressions + excluded.impressions, positive = s.positive + excluded.positive,
    neutral = s.neutral + excluded.neutral, conversions = s.conversions + excluded.conversions,
    total = s.total + excluded.total, last_at = greatest(s.last_at, excluded.last_at),
    last_outcome = CASE WHEN excluded.last_at >= s.last_at THEN excluded.last_outcome ELSE s.last_outcome END";
const OUTBOX: &str = "INSERT INTO {s}.outbox (payload) VALUES ($1)";

#[derive(Clone)]
pub(crate) struct Raw {
    pub(crate) pool: PgPool,
    texts: [Arc<str>; 4],
    schema: String,
}

impl Raw {
    pub(crate) async fn open(url: &str, schema: &str, connections: u32) -> Self {
        let options: PgConnectOptions = url.parse().expect("the url is well-formed");
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .min_connections(connections)
            .test_before_acquire(false)
            .connect_with(options)
            .await
            .expect("the server answers");
        let fill = |text: &str| text.replace("{s}", schema);
        if connections > 1 {
            let tables = sqlx::raw_sql(AssertSqlSafe(fill(TABLES)));
            pool.execute(tables).await.expect("the role may create");
        }
        Self {
            pool,
            texts: [DEDUPE, HISTORY, SUMMARIES, OUTBOX].map(|text| fill(text).into()),
            schema: schema.to_owned(),
        }
    }

    fn query(&self, at: usize) -> sqlx::query::Query<'static, sqlx::Postgres, sqlx::postgres::PgArguments> {
        sqlx::query(AssertSqlSafe(Arc::clone(&self.texts[at])))
    }

    /// One event in a transaction of its own.
    pub(crate) async fn record(&self, event: &Interaction) {
        let mut unit = self.pool.begin().await.expect("the server answers");
        let (tenant, customer) = (event.tenant.as_str(), event.customer.as_str());
        let done = self
            .query(0)
            .bind(tenant)
            .bind(event.idempotency_key.as_str())
            .bind(event.id.as_str())
            .execute(&mut *unit);
        assert_eq!(done.await.expect("a write").rows_affected(), 1);
        let done = self
            .query(1)
            .bind(tenant)
            .bind(customer)
            .bind(event.id.as_str())
            .bind(event.timestamp)
            .bind(event.offer.as_str())
            .bind(event.creative.as_str())
            .bind(event.channel.as_str())
            .bind(event.campaign.as_ref().map(|campaign| campaign.as_str()))
            .bind(event.interaction_type.as_str())
            .bind(event.outcome.as_str())
            .bind(event.value.map(kaireon_core::Value::micros))
            .bind(event.idempotency_key.as_str())
            .execute(&mut *unit);
        done.await.expect("a write");
        let groups: Vec<_> = groups(event).collect();
        let is = |kind: InteractionType| i64::from(event.interaction_type == kind);
        let dimensions = groups.iter().map(|(dimension, ..)| format!("{dimension:?}"));
        let done = self
            .query(2)
            .bind(tenant)
            .bind(customer)
            .bind(dimensions.collect::<Vec<_>>())
            .bind(
                groups
                    .iter()
                    .map(|(_, value, _)| (*value).to_owned())
                    .collect::<Vec<_>>(),
            )
            .bind(groups.iter().map(|(.., period)| period.key()).collect::<Vec<_>>())
            .bind(is(InteractionType::Impression))
            .bind(is(InteractionType::Convert))
            .bind(is(InteractionType::Impression))
            .bind(is(InteractionType::Convert))
            .bind(event.value.map_or(0, kaireon_core::Value::micros))
            .bind(event.timestamp)
            .bind(event.outcome.as_str())
            .execute(&mut *unit);
        done.await.expect("a write");
        let payload = kaireon_core::Event::interaction_recorded(event).envelope();
        let done = self.query(3).bind(&payload[..]).execute(&mut *unit);
        done.await.expect("a write");
        unit.commit().await.expect("a commit");
    }

    /// Records events from so many callers.
    pub(crate) async fn one_by_one(&self, callers: usize, events: Vec<Interaction>) -> Duration {
        let mut shares: Vec<Vec<Interaction>> = (0..callers).map(|_| Vec::new()).collect();
        for (at, event) in events.into_iter().enumerate() {
            shares[at % callers].push(event);
        }
        let begun = Instant::now();
        let tasks: Vec<_> = shares
            .into_iter()
            .map(|share| {
                let raw = self.clone();
                tokio::spawn(async move {
                    for event in &share {
                        raw.record(event).await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("a caller does not panic");
        }
        begun.elapsed()
    }

    /// The same rows by a bare binary `COPY`, a thousand at a time, each committed: no key is looked up, nothing is
    /// summed up and nobody is told.
    pub(crate) async fn copy(&self, batches: &[Vec<Interaction>]) -> Duration {
        let begun = Instant::now();
        let mut connection = self.pool.acquire().await.expect("the server answers");
        let statement = format!("COPY {}.copied FROM STDIN (FORMAT binary)", self.schema);
        for batch in batches {
            let mut out = Vec::with_capacity(batch.len() * 256);
            out.extend_from_slice(b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0");
            for event in batch {
                put_row(&mut out, event);
            }
            out.extend_from_slice(&(-1_i16).to_be_bytes());
            let mut copy = connection.copy_in_raw(&statement).await.expect("a copy begins");
            copy.send(out).await.expect("a copy goes on");
            copy.finish().await.expect("a copy ends");
        }
        begun.elapsed()
    }
}

fn put_row(out: &mut Vec<u8>, event: &Interaction) {
    let field = |out: &mut Vec<u8>, bytes: &[u8]| {
        out.extend_from_slice(&i32::try_from(bytes.len()).expect("short").to_be_bytes());
        out.extend_from_slice(bytes);
    };
    out.extend_from_slice(&11_i16.to_be_bytes());
    let number = event.customer.as_str().trim_start_matches("customer-");
    let number: i64 = number.parse().expect("the workload numbers its customers");
    field(out, &number.to_be_bytes());
    // Microseconds from 2000-01-01.
    let at = event.timestamp.timestamp_micros() - 946_684_800_000_000;
    field(out, &at.to_be_bytes());
    field(out, &number.to_be_bytes());
    field(out, event.id.as_str().as_bytes());
    field(out, event.idempotency_key.as_str().as_bytes());
    field(out, event.offer.as_str().as_bytes());
    field(out, event.creative.as_str().as_bytes());
    field(out, event.channel.as_str().as_bytes());
    field(out, event.interaction_type.as_str().as_bytes());
    field(out, b"winter");
    match event.value {
        Some(value) => field(out, &value.micros().to_be_bytes()),
        None => out.extend_from_slice(&(-1_i32).to_be_bytes()),
    }
}

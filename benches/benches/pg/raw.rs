//! The raw side: sqlx alone, one transaction per event, and a bare binary `COPY`. It imports nothing of ours.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::types::chrono::{DateTime, Utc};
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

/// An event as the raw side knows it: an impression, or a conversion with a value.
#[derive(Clone, Debug)]
pub(crate) struct RawEvent {
    pub(crate) tenant: String,
    pub(crate) customer: String,
    /// The number in the customer's name, which stands for the customer in the copied rows.
    pub(crate) number: i64,
    pub(crate) id: String,
    pub(crate) at: DateTime<Utc>,
    pub(crate) offer: String,
    pub(crate) creative: String,
    pub(crate) channel: String,
    pub(crate) campaign: String,
    pub(crate) kind: String,
    pub(crate) outcome: String,
    pub(crate) value: Option<i64>,
    pub(crate) key: String,
}

impl RawEvent {
    /// Dimensions, values and period keys of the twelve summaries.
    fn groups(&self) -> [Vec<String>; 3] {
        let periods = ["%Y-%m-%d", "%G-W%V", "%Y-%m", "all"].map(|key| self.at.format(key).to_string());
        let mut groups = [(); 3].map(|()| Vec::with_capacity(12));
        let dimensions = [
            ("Offer", &self.offer),
            ("Creative", &self.creative),
            ("Channel", &self.channel),
        ];
        for (dimension, value) in dimensions {
            for period in &periods {
                groups[0].push(dimension.to_owned());
                groups[1].push(value.clone());
                groups[2].push(period.clone());
            }
        }
        groups
    }

    fn envelope(&self) -> Vec<u8> {
        let at = self.at.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
        let envelope = json!({
            "id": self.id, "type": "interaction.recorded.v1", "timestamp": at,
            "payload": {
                "tenantId": self.tenant, "customerId": self.customer, "offerId": self.offer,
                "creativeId": self.creative, "channelId": self.channel, "interactionType": self.kind,
                "outcomeTypeKey": self.outcome, "campaignId": self.campaign, "recommendationId": null, "timestamp": at,
            },
        });
        serde_json::to_vec(&envelope).expect("strings are json")
    }
}

#[derive(Clone)]
pub(crate) struct Raw {
    pub(crate) pool: PgPool,
    texts: [Arc<str>; 4],
    pub(crate) schema: String,
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
        let tables = sqlx::raw_sql(AssertSqlSafe(fill(TABLES)));
        pool.execute(tables).await.expect("the role may create");
        Self {
            pool,
            texts: [DEDUPE, HISTORY, SUMMARIES, OUTBOX].map(|text| fill(text).into()),
            schema: schema.to_owned(),
        }
    }

    fn query(&self, at: usize) -> sqlx::query::Query<'static, sqlx::Postgres, sqlx::postgres::PgArguments> {
        sqlx::query(AssertSqlSafe(Arc::clone(&self.texts[at])))
    }

    /// One event in a transaction of its own, on a connection that the caller keeps.
    async fn record(&self, connection: &mut sqlx::PgConnection, event: &RawEvent) {
        let mut unit = sqlx::Connection::begin(connection)
            .await
            .expect("the server answers");
        let (tenant, customer) = (event.tenant.as_str(), event.customer.as_str());
        let done = self
            .query(0)
            .bind(tenant)
            .bind(&event.key)
            .bind(&event.id)
            .execute(&mut *unit);
        assert_eq!(done.await.expect("a write").rows_affected(), 1);
        let done = self
            .query(1)
            .bind(tenant)
            .bind(customer)
            .bind(&event.id)
            .bind(event.at)
            .bind(&event.offer)
            .bind(&event.creative)
            .bind(&event.channel)
            .bind(&event.campaign)
            .bind(&event.kind)
            .bind(&event.outcome)
            .bind(event.value)
            .bind(&event.key)
            .execute(&mut *unit);
        done.await.expect("a write");
        let [dimensions, values, periods] = event.groups();
        let converted = i64::from(event.value.is_some());
        let done = self
            .query(2)
            .bind(tenant)
            .bind(customer)
            .bind(dimensions)
            .bind(values)
            .bind(periods)
            .bind(1 - converted)
            .bind(converted)
            .bind(1 - converted)
            .bind(converted)
            .bind(event.value.unwrap_or_default())
            .bind(event.at)
            .bind(&event.outcome)
            .execute(&mut *unit);
        done.await.expect("a write");
        let done = self.query(3).bind(event.envelope()).execute(&mut *unit);
        done.await.expect("a write");
        unit.commit().await.expect("a commit");
    }

    /// Records events from so many callers, each with a connection of its own.
    pub(crate) async fn one_by_one(&self, callers: usize, events: Vec<RawEvent>) -> Duration {
        let mut shares: Vec<Vec<RawEvent>> = (0..callers).map(|_| Vec::new()).collect();
        for (at, event) in events.into_iter().enumerate() {
            shares[at % callers].push(event);
        }
        let mut callers = Vec::new();
        for share in shares {
            callers.push((share, self.pool.acquire().await.expect("the server answers")));
        }
        let begun = Instant::now();
        let tasks: Vec<_> = callers
            .into_iter()
            .map(|(share, mut connection)| {
                let raw = self.clone();
                tokio::spawn(async move {
                    for event in &share {
                        raw.record(&mut connection, event).await;
                    }
                    // Giving it back is no part of the work.
                    (Instant::now(), connection)
                })
            })
            .collect();
        let mut ended = begun;
        for task in tasks {
            let (at, _connection) = task.await.expect("a caller does not panic");
            ended = ended.max(at);
        }
        ended - begun
    }

    /// The same rows by a bare binary `COPY`, a thousand at a time, each committed: no key is looked up, nothing is
    /// summed up and nobody is told. So many connections share the batches.
    pub(crate) async fn copy(&self, batches: Vec<Vec<RawEvent>>, connections: usize) -> Duration {
        let mut shares: Vec<Vec<Vec<RawEvent>>> = (0..connections).map(|_| Vec::new()).collect();
        for (at, batch) in batches.into_iter().enumerate() {
            shares[at % connections].push(batch);
        }
        let mut ready = Vec::new();
        for share in shares {
            ready.push((share, self.pool.acquire().await.expect("the server answers")));
        }
        let begun = Instant::now();
        let tasks: Vec<_> = ready
            .into_iter()
            .map(|(share, mut connection)| {
                let statement = format!("COPY {}.copied FROM STDIN (FORMAT binary)", self.schema);
                tokio::spawn(async move {
                    for batch in &share {
                        let mut copy = connection.copy_in_raw(&statement).await.expect("a copy begins");
                        copy.send(rows(batch)).await.expect("a copy goes on");
                        copy.finish().await.expect("a copy ends");
                    }
                    // Giving it back is no part of the work.
                    (Instant::now(), connection)
                })
            })
            .collect();
        let mut ended = begun;
        for task in tasks {
            let (at, _connection) = task.await.expect("a connection does not panic");
            ended = ended.max(at);
        }
        ended - begun
    }
}

/// A batch in the binary format of `COPY`.
fn rows(batch: &[RawEvent]) -> Vec<u8> {
    let mut out = Vec::with_capacity(batch.len() * 256);
    out.extend_from_slice(b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0");
    for event in batch {
        put_row(&mut out, event);
    }
    out.extend_from_slice(&(-1_i16).to_be_bytes());
    out
}

fn put_row(out: &mut Vec<u8>, event: &RawEvent) {
    let field = |out: &mut Vec<u8>, bytes: &[u8]| {
        out.extend_from_slice(&i32::try_from(bytes.len()).expect("short").to_be_bytes());
        out.extend_from_slice(bytes);
    };
    out.extend_from_slice(&11_i16.to_be_bytes());
    field(out, &event.number.to_be_bytes());
    // Microseconds from 2000-01-01.
    let at = event.at.timestamp_micros() - 946_684_800_000_000;
    field(out, &at.to_be_bytes());
    field(out, &event.number.to_be_bytes());
    for text in [
        &event.id,
        &event.key,
        &event.offer,
        &event.creative,
        &event.channel,
        &event.kind,
        &event.campaign,
    ] {
        field(out, text.as_bytes());
    }
    match event.value {
        Some(value) => field(out, &value.to_be_bytes()),
        None => out.extend_from_slice(&(-1_i32).to_be_bytes()),
    }
}

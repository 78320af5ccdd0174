//! That both sides leave the same: some events through each, then every row of one is looked for at the other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kaireon_benches::callers;
use kaireon_benches::workload::{Draw, Workload};
use kaireon_core::store::SummaryQuery;
use kaireon_core::{Event, Interaction, InteractionStore};
use sqlx::{AssertSqlSafe, PgPool, Row};

use crate::ours;
use crate::raw::Raw;

/// A summary, as both sides can say it: its group, then counts, sum, last contact and last outcome.
type Summaries = BTreeMap<[String; 4], ([i64; 6], i64, String)>;

/// Fails where the two sides do not leave the same rows, summaries and messages.
pub(crate) async fn check(store: &Arc<dyn InteractionStore>, our_schema: &str, raw: &Raw, draw: Draw) {
    let events: Vec<Interaction> = Workload::new(draw, 9).take(2_000).collect();
    let plain: Vec<_> = events.iter().map(ours::plain).collect();
    callers::bulk(store, events.chunks(callers::BATCH).map(<[_]>::to_vec).collect()).await;
    raw.one_by_one(8, plain.clone()).await;
    raw.copy(vec![plain], 1).await;

    // Our history, with what goes without saying written out.
    let ours = format!(
        "SELECT c.customer, h.at, h.id, coalesce(h.idempotency_key, h.id), h.offer, h.creative, h.channel, \
         h.interaction_type, h.campaign, h.value_micros{{more}} FROM {our_schema}.history h \
         JOIN {our_schema}.customers c ON c.id = h.customer"
    );
    let (history, copied) = (
        ours.replace("{more}", ", coalesce(h.outcome, h.interaction_type)"),
        ours.replace("{more}", ""),
    );
    let schema = &raw.schema;
    let theirs = format!(
        "SELECT customer, at, id, key, offer, creative, channel, kind, campaign, value, outcome FROM {schema}.history"
    );
    same(&raw.pool, &history, &theirs).await;
    let theirs = format!(
        "SELECT 'customer-' || customer, at, id, key, offer, creative, channel, kind, campaign, value \
         FROM {schema}.copied"
    );
    same(&raw.pool, &copied, &theirs).await;
    for side in [our_schema, schema] {
        for table in ["dedupe", "outbox"] {
            let count = format!("SELECT count(*) FROM {side}.{table}");
            let count: i64 = sqlx::query_scalar(AssertSqlSafe(count))
                .fetch_one(&raw.pool)
                .await
                .expect("the server answers");
            assert_eq!(count, 2_000, "{side}.{table}");
        }
    }
    messages(&raw.pool, schema, &events).await;
    assert_eq!(
        our_summaries(store, &events).await,
        raw_summaries(&raw.pool, schema).await
    );
}

/// Fails where one query has a row that the other has not.
async fn same(pool: &PgPool, ours: &str, theirs: &str) {
    let differ = format!(
        "SELECT (SELECT count(*) FROM ({ours}) o), (SELECT count(*) FROM (({ours}) EXCEPT ALL ({theirs})) d), \
         (SELECT count(*) FROM (({theirs}) EXCEPT ALL ({ours})) d)"
    );
    let counts: (i64, i64, i64) = sqlx::query_as(AssertSqlSafe(differ))
        .fetch_one(pool)
        .await
        .expect("the server answers");
    assert_eq!(counts, (2_000, 0, 0), "rows, only ours, only theirs");
}

async fn messages(pool: &PgPool, schema: &str, events: &[Interaction]) {
    let json = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).expect("json");
    let read = format!("SELECT payload FROM {schema}.outbox");
    let payloads: Vec<Vec<u8>> = sqlx::query_scalar(AssertSqlSafe(read))
        .fetch_all(pool)
        .await
        .expect("the server answers");
    let theirs: BTreeSet<String> = payloads.iter().map(|bytes| json(bytes).to_string()).collect();
    let envelope = |event| json(&Event::interaction_recorded(event).envelope()[..]).to_string();
    let ours: BTreeSet<String> = events.iter().map(envelope).collect();
    assert_eq!(ours, theirs);
}

async fn our_summaries(store: &Arc<dyn InteractionStore>, events: &[Interaction]) -> Summaries {
    let signed = |count: u64| i64::try_from(count).expect("few");
    let customers: BTreeSet<_> = events
        .iter()
        .map(|event| (event.tenant.clone(), event.customer.clone()))
        .collect();
    let mut all = Summaries::new();
    for (tenant, customer) in customers {
        let query = SummaryQuery::new(tenant, customer.clone());
        for found in store.get_summaries(query).await.expect("the server answers") {
            let last = found.stats.last.as_ref().expect("there was a contact");
            let group = [
                customer.to_string(),
                format!("{:?}", found.dimension),
                found.value.to_string(),
                found.period.key(),
            ];
            let stats = &found.stats;
            let total = i64::try_from(stats.total_value.micros()).expect("small");
            let counts = [
                signed(stats.impressions),
                signed(stats.positive),
                signed(stats.negative),
                signed(stats.neutral),
                signed(stats.conversions),
                total,
            ];
            let last = (last.timestamp.timestamp_millis(), last.outcome.to_string());
            all.insert(group, (counts, last.0, last.1));
        }
    }
    all
}

async fn raw_summaries(pool: &PgPool, schema: &str) -> Summaries {
    let read = format!(
        "SELECT customer, dimension, value, period, impressions, positive, negative, neutral, conversions, total, \
         (extract(epoch FROM last_at) * 1000)::bigint, last_outcome FROM {schema}.summaries"
    );
    let rows = sqlx::query(AssertSqlSafe(read)).fetch_all(pool).await;
    let rows = rows.expect("the server answers");
    rows.iter()
        .map(|row| {
            let group = [0, 1, 2, 3].map(|at| row.get::<String, _>(at));
            let counts = [4, 5, 6, 7, 8, 9].map(|at| row.get::<i64, _>(at));
            (group, (counts, row.get(10), row.get(11)))
        })
        .collect()
}

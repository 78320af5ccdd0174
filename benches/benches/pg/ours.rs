//! Our side: the PostgreSQL store, through the contract.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use kaireon_benches::workload::{Draw, Workload};
use kaireon_core::outbox::{Lane, LaneSet};
use kaireon_core::store::{DimensionFilter, RecordBatch, SummaryQuery};
use kaireon_core::{Dimension, Interaction, InteractionStore, Value};
use kaireon_store_pg::{PgStore, PgStoreConfig, PgStoreOptions};

use crate::raw::RawEvent;

/// How many events one batch has.
pub(crate) const BATCH: usize = 1_000;

/// A store with the stream on: every event has its outbox entry.
pub(crate) async fn open(url: &str, schema: &str) -> Arc<dyn InteractionStore> {
    let options = PgStoreOptions::default()
        .with_schema(schema)
        .with_lanes(LaneSet::of(&[Lane::Publish]));
    let config = PgStoreConfig::at(url).with_options(options);
    PgStore::migrate(&config).await.expect("the role may create");
    Arc::new(PgStore::connect(config).await.expect("the server answers"))
}

/// So many batches of the workload.
pub(crate) fn batches(workload: &mut Workload, count: u64) -> Vec<Vec<Interaction>> {
    (0..count)
        .map(|_| workload.by_ref().take(BATCH).collect())
        .collect()
}

/// An event in the raw side's words.
pub(crate) fn plain(event: &Interaction) -> RawEvent {
    let name = event.customer.as_str();
    RawEvent {
        tenant: event.tenant.to_string(),
        customer: name.to_owned(),
        number: name.trim_start_matches("customer-").parse().unwrap_or(-1),
        id: event.id.to_string(),
        at: event.timestamp,
        offer: event.offer.to_string(),
        creative: event.creative.to_string(),
        channel: event.channel.to_string(),
        campaign: event
            .campaign
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        kind: event.interaction_type.as_str().to_owned(),
        outcome: event.outcome.to_string(),
        value: event.value.map(Value::micros),
        key: event.idempotency_key.as_str().to_owned(),
    }
}

/// Records batches, two in flight, and says how long it took.
pub(crate) async fn bulk(store: &Arc<dyn InteractionStore>, batches: Vec<Vec<Interaction>>) -> Duration {
    let begun = Instant::now();
    let calls = batches.into_iter().map(|batch| async {
        let outcome = store.record_events(RecordBatch::live(batch)).await;
        let outcome = outcome.expect("the server takes writes");
        assert!(outcome.is_complete(), "fresh keys are new");
    });
    futures_util::stream::iter(calls)
        .buffer_unordered(2)
        .collect::<()>()
        .await;
    begun.elapsed()
}

/// Records events one by one from so many callers, and says how long it took.
pub(crate) async fn one_by_one(
    store: &Arc<dyn InteractionStore>,
    callers: usize,
    events: Vec<Interaction>,
) -> Duration {
    let mut shares: Vec<Vec<Interaction>> = (0..callers).map(|_| Vec::new()).collect();
    for (at, event) in events.into_iter().enumerate() {
        shares[at % callers].push(event);
    }
    let begun = Instant::now();
    let tasks: Vec<_> = shares
        .into_iter()
        .map(|share| {
            let store = Arc::clone(store);
            tokio::spawn(async move {
                for event in share {
                    let recorded = store.record_event(event).await;
                    assert!(recorded.expect("the server takes writes").is_new());
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("a caller does not panic");
    }
    begun.elapsed()
}

/// Fills a store with so many events of the workload.
pub(crate) async fn preload(store: &Arc<dyn InteractionStore>, draw: Draw, events: u64) {
    let mut workload = Workload::new(draw, 1);
    for _ in 0..events / (2 * BATCH as u64) {
        bulk(store, batches(&mut workload, 2)).await;
    }
}

/// A customer beside those of the workload, with so many rows of one offer, creative and channel. Returns a query for
/// the summaries, which are twelve.
pub(crate) async fn customer_with(store: &Arc<dyn InteractionStore>, name: &str, rows: u64) -> SummaryQuery {
    let event = || {
        let builder = Interaction::builder("bench", name)
            .offer("offer")
            .creative("creative")
            .channel("web")
            .campaign("winter");
        builder.build().expect("within the bounds")
    };
    let mut left = rows;
    while left > 0 {
        let now = left.min(BATCH as u64);
        bulk(store, vec![(0..now).map(|_| event()).collect()]).await;
        left -= now;
    }
    twelve(&event())
}

/// A query for the offer, creative and channel of an event: three dimensions by four periods.
pub(crate) fn twelve(event: &Interaction) -> SummaryQuery {
    let mut query = SummaryQuery::new(event.tenant.clone(), event.customer.clone());
    for dimension in Dimension::ALL {
        let value = Some(dimension.of(event).to_owned());
        query.dimensions.push(DimensionFilter { dimension, value });
    }
    query
}

//! Our side: the PostgreSQL store, through the contract.

use std::sync::Arc;

use kaireon_benches::callers::{BATCH, batches, bulk};
use kaireon_benches::workload::{Draw, Workload};
use kaireon_core::outbox::{Lane, LaneSet};
use kaireon_core::store::{DimensionFilter, SummaryQuery};
use kaireon_core::{Dimension, Interaction, InteractionStore, Value};
use kaireon_store_pg::{PgStore, PgStoreConfig, PgStoreOptions};

use crate::raw::RawEvent;

/// A store with the stream on: every event has its outbox entry.
pub(crate) async fn open(url: &str, schema: &str) -> Arc<dyn InteractionStore> {
    let options = PgStoreOptions::default()
        .with_schema(schema)
        .with_lanes(LaneSet::of(&[Lane::Publish]));
    let config = PgStoreConfig::at(url).with_options(options);
    PgStore::migrate(&config).await.expect("the role may create");
    Arc::new(PgStore::connect(config).await.expect("the server answers"))
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

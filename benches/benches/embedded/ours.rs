//! Our side: the embedded store, through the contract.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use kaireon_benches::callers::{BATCH, batches, bulk};
use kaireon_benches::workload::{Draw, Workload};
use kaireon_core::outbox::{Lane, LaneSet};
use kaireon_core::store::{DimensionFilter, SummaryQuery};
use kaireon_core::{CustomerId, Dimension, Interaction, InteractionStore, TenantId};
use kaireon_store_embedded::{EmbeddedConfig, EmbeddedStore};

pub(crate) async fn open(dir: &Path) -> Arc<dyn InteractionStore> {
    // The stream is on: every event has its outbox entry.
    let config = EmbeddedConfig::at(dir).with_lanes(LaneSet::of(&[Lane::Publish]));
    Arc::new(
        EmbeddedStore::open(config)
            .await
            .expect("the directory can be opened"),
    )
}

/// Fills a store with so many events of the workload.
pub(crate) async fn preload(store: &Arc<dyn InteractionStore>, draw: Draw, events: u64) {
    let mut workload = Workload::new(draw, 1);
    for _ in 0..events / BATCH as u64 {
        bulk(store, batches(&mut workload, 1)).await;
    }
}

/// A customer of its own with so many rows of one offer, creative and channel.
pub(crate) async fn customer_with(store: &Arc<dyn InteractionStore>, name: &str, rows: u64) -> SummaryQuery {
    let mut left = rows;
    while left > 0 {
        let now = left.min(BATCH as u64);
        let event = |_| {
            let builder = Interaction::builder("bench", name)
                .offer("offer")
                .creative("creative")
                .channel("web");
            builder.build().expect("within the bounds")
        };
        bulk(store, vec![(0..now).map(event).collect()]).await;
        left -= now;
    }
    let tenant = TenantId::new("bench").expect("a valid tenant");
    let query = SummaryQuery::new(tenant, CustomerId::new(name).expect("a valid customer"));
    let found = store
        .get_summaries(query.clone())
        .await
        .expect("the disk can be read");
    assert_eq!(found.len(), 12, "three dimensions by four periods");
    query
}

/// For each customer among the first events of the preload, a query for the offer, creative and channel of one
/// of them: three dimensions by four periods.
pub(crate) fn known_queries(events: u64) -> HashMap<u64, SummaryQuery> {
    let events = Workload::new(Draw::Uniform, 1).take(usize::try_from(events).unwrap_or(usize::MAX));
    let query = |event: Interaction| {
        let number = event
            .customer
            .as_str()
            .trim_start_matches("customer-")
            .parse()
            .expect("a number");
        let mut query = SummaryQuery::new(event.tenant.clone(), event.customer.clone());
        for dimension in Dimension::ALL {
            let value = Some(dimension.of(&event).to_owned());
            query.dimensions.push(DimensionFilter { dimension, value });
        }
        (number, query)
    };
    events.map(query).collect()
}

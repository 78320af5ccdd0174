//! Our side: the PostgreSQL store, through the contract.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use kaireon_benches::workload::{Draw, Workload};
use kaireon_core::outbox::{Lane, LaneSet};
use kaireon_core::store::RecordBatch;
use kaireon_core::{Interaction, InteractionStore};
use kaireon_store_pg::{PgStore, PgStoreConfig, PgStoreOptions};

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

//! Callers of a store through its contract: in batches, and one by one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use kaireon_core::store::RecordBatch;
use kaireon_core::{Interaction, InteractionStore};

use crate::workload::Workload;

/// How many events one batch has.
pub const BATCH: usize = 1_000;

/// So many events of a workload.
#[must_use]
pub fn events(workload: &mut Workload, count: u64) -> Vec<Interaction> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    workload.by_ref().take(count).collect()
}

/// So many batches of a workload.
#[must_use]
pub fn batches(workload: &mut Workload, count: u64) -> Vec<Vec<Interaction>> {
    (0..count).map(|_| events(workload, BATCH as u64)).collect()
}

/// Records batches of live events with fresh keys, two in flight, and says how long it took.
///
/// # Panics
/// Where the store refuses one.
pub async fn bulk(store: &Arc<dyn InteractionStore>, batches: Vec<Vec<Interaction>>) -> Duration {
    let begun = Instant::now();
    let calls = batches.into_iter().map(|batch| async {
        let outcome = store.record_events(RecordBatch::live(batch)).await;
        assert!(
            outcome.expect("the store takes writes").is_complete(),
            "fresh keys are new"
        );
    });
    futures_util::stream::iter(calls)
        .buffer_unordered(2)
        .collect::<()>()
        .await;
    begun.elapsed()
}

/// Records events with fresh keys one by one from so many callers, and says how long it took.
///
/// # Panics
/// Where the store refuses one.
pub async fn one_by_one(
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
                    assert!(recorded.expect("the store takes writes").is_new());
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("a caller does not panic");
    }
    begun.elapsed()
}

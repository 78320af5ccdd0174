//! Every row through the public API, many at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kaireon::core::respond::respond;
use kaireon::core::{InteractionStore, Result, TenantId};
use tokio::task::JoinSet;

use crate::Failure;
use crate::dataset::Row;
use crate::records;

/// How many rows are on their way at once. One commit takes all that came in while the one before it was flushed,
/// so it is many callers that make durable writes cheap.
pub(crate) const AT_ONCE: usize = 512;

/// What the store answered.
#[derive(Debug, Default)]
pub(crate) struct Replayed {
    /// Records that it did not know.
    pub(crate) new: u64,
    /// Records that it recognised.
    pub(crate) duplicates: u64,
    /// How long it all took.
    pub(crate) took: Duration,
    /// How long each row took, from its first call to its last answer.
    rows: Vec<Duration>,
}

impl Replayed {
    /// Records of both kinds.
    pub(crate) fn records(&self) -> u64 {
        self.new + self.duplicates
    }

    /// The time within which so many of 100 rows were done; zero when there were none. `share` is from 0 to 100.
    pub(crate) fn within(&self, share: usize) -> Duration {
        let last = self.rows.len().saturating_sub(1);
        self.rows.get(last * share / 100).copied().unwrap_or_default()
    }

    fn count(&mut self, is_new: bool) {
        if is_new {
            self.new += 1;
        } else {
            self.duplicates += 1;
        }
    }

    fn add(&mut self, other: Self) {
        self.new += other.new;
        self.duplicates += other.duplicates;
        self.rows.extend(other.rows);
    }
}

/// Replays every row; `done` is called after each.
///
/// Ends with the first error. Rows that were on their way then are recorded wholly or not at all, call by call, and
/// another replay completes them.
pub(crate) async fn replay(
    store: &Arc<dyn InteractionStore>,
    tenant: &TenantId,
    rows: Vec<Row>,
    done: impl Fn() + Clone + Send + 'static,
) -> Result<Replayed, Failure> {
    let begun = Instant::now();
    let (rows, next) = (Arc::new(rows), Arc::new(AtomicUsize::new(0)));
    let mut callers = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (store, tenant, done) = (Arc::clone(store), tenant.clone(), done.clone());
        let (rows, next) = (Arc::clone(&rows), Arc::clone(&next));
        callers.spawn(async move {
            let mut replayed = Replayed::default();
            while let Some(row) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
                record(&*store, &tenant, row, &mut replayed).await?;
                done();
            }
            Ok::<_, Failure>(replayed)
        });
    }
    let mut all = Replayed::default();
    while let Some(caller) = callers.join_next().await {
        all.add(caller??);
    }
    all.took = begun.elapsed();
    all.rows.sort_unstable();
    Ok(all)
}

/// One row, in the order in which it happened.
async fn record(
    store: &dyn InteractionStore,
    tenant: &TenantId,
    row: &Row,
    replayed: &mut Replayed,
) -> Result<()> {
    let begun = Instant::now();
    let decided = store.record_decision(records::decision(tenant, row)?).await?;
    replayed.count(decided.is_new());
    let shown = store.record_event(records::impression(tenant, row)?).await?;
    replayed.count(shown.is_new());
    if row.clicked {
        let clicked = respond(store, records::click(tenant, row)?).await?;
        replayed.count(clicked.is_new());
    }
    replayed.rows.push(begun.elapsed());
    Ok(())
}

#[cfg(test)]
mod tests {
    use kaireon::core::memory::MemoryStore;

    use super::*;
    use crate::dataset;
    use crate::ledger::{Counts, Ledger};

    #[tokio::test]
    async fn a_second_replay_is_recognised_and_moves_no_count() {
        let store: Arc<dyn InteractionStore> = Arc::new(MemoryStore::new());
        let tenant = TenantId::new("shop").unwrap();
        let rows: Vec<Row> = dataset::rows().unwrap().into_iter().take(2_000).collect();
        let clicks = rows.iter().filter(|row| row.clicked).count() as u64;
        assert!(clicks > 0, "the rows of this test hold a click");

        let first = replay(&store, &tenant, rows.clone(), || ()).await.unwrap();
        assert_eq!((first.new, first.duplicates), (4_000 + clicks, 0));
        let held = Ledger::read(&*store, &tenant).await.unwrap();
        let counts = Counts {
            decisions: 2_000,
            impressions: 2_000,
            clicks,
        };
        assert_eq!(held.counts(), counts);

        let second = replay(&store, &tenant, rows, || ()).await.unwrap();
        assert_eq!((second.new, second.duplicates), (0, 4_000 + clicks));
        let again = Ledger::read(&*store, &tenant).await.unwrap();
        assert_eq!(again.counts(), counts);
    }

    #[tokio::test]
    async fn the_error_of_one_row_ends_the_replay() {
        let store: Arc<dyn InteractionStore> = Arc::new(MemoryStore::new());
        let mut rows: Vec<Row> = dataset::rows().unwrap().into_iter().take(10).collect();
        rows[7].propensity = 2.0;
        let tenant = TenantId::new("shop").unwrap();
        let failure = replay(&store, &tenant, rows, || ()).await.unwrap_err();
        assert!(failure.to_string().contains("propensity"), "{failure}");
    }
}

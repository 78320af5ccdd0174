//! How many writes a second a store takes on this machine, measured by writing.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kaireon_core::store::{Accepted, Epoch, Generation, Origin, Purge, RecordBatch, ScanQuery};
use kaireon_core::time::{Clock, SystemClock};
use kaireon_core::{Error, ErrorKind, Interaction, InteractionStore, Result, TenantId};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How many customers the records are of.
const CUSTOMERS: u64 = 10_000;

/// A short measure of how many writes a second a store takes.
///
/// Callers write interactions of a scratch tenant one by one, each waiting for its answer, for so long. The records have
/// origin `Replicated`, so they enter no lane and are told to nobody; they are purged behind it, their summaries (of
/// 10,000 made-up customers) and dedupe records stay. It takes what the machine gives: not while others need it.
///
/// # Errors
/// `Conflict` where the scratch tenant has anything or was ever moved; `Unsupported` where the store takes no replicated
/// records, or has no purge or scan; those of the store.
///
/// # Dropped futures
/// What was written stays: purge the scratch tenant, or give the next probe another.
#[derive(Clone)]
pub struct Probe {
    store: Arc<dyn InteractionStore>,
    scratch: TenantId,
    callers: usize,
    time: Duration,
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe")
            .field("scratch", &self.scratch)
            .field("callers", &self.callers)
            .field("time", &self.time)
            .finish_non_exhaustive()
    }
}

impl Probe {
    /// A probe of a store, into this tenant, by 64 callers for 5 s.
    #[must_use]
    pub fn new(store: Arc<dyn InteractionStore>, scratch: TenantId) -> Self {
        Self {
            store,
            scratch,
            callers: 64,
            time: Duration::from_secs(5),
        }
    }

    /// The same by so many callers; 0 counts as 1.
    #[must_use]
    pub fn with_callers(mut self, callers: usize) -> Self {
        self.callers = callers.max(1);
        self
    }

    /// The same for so long.
    #[must_use]
    pub const fn for_so_long(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    pub(super) async fn run(&self) -> Result<f64> {
        self.is_free().await?;
        let begun = Instant::now();
        let (numbers, written) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let mut callers = JoinSet::new();
        for _ in 0..self.callers {
            let (store, scratch) = (Arc::clone(&self.store), self.scratch.clone());
            let (numbers, written) = (Arc::clone(&numbers), Arc::clone(&written));
            let until = begun + self.time;
            callers.spawn(async move {
                while Instant::now() < until {
                    let number = numbers.fetch_add(1, Ordering::Relaxed);
                    write(store.as_ref(), &scratch, number).await?;
                    written.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            });
        }
        let mut outcome = Ok(());
        while let Some(ended) = callers.join_next().await {
            let ended = ended.unwrap_or_else(|error| {
                Err(
                    Error::new(ErrorKind::Internal, "a caller of the probe ended by a panic")
                        .with_source(error),
                )
            });
            outcome = outcome.and(ended);
        }
        let took = begun.elapsed().as_secs_f64();
        let before = SystemClock.now() + chrono::TimeDelta::milliseconds(1);
        let tenant = self.scratch.clone();
        self.store.purge_before(Purge { tenant, before }).await?;
        outcome?;
        #[allow(clippy::cast_precision_loss, reason = "writes of a few seconds")]
        Ok(written.load(Ordering::Relaxed) as f64 / took.max(f64::EPSILON))
    }

    async fn is_free(&self) -> Result<()> {
        let can = self.store.capabilities();
        for (has, operation) in [
            (can.replication, "record_events"),
            (can.scan, "scan"),
            (can.purge, "purge_before"),
            (can.fence, "fence"),
        ] {
            if !has {
                return Err(Error::unsupported(can.backend, operation));
            }
        }
        let one = ScanQuery {
            limit: 1,
            ..ScanQuery::new(self.scratch.clone())
        };
        let rows = self.store.scan(one).await?;
        if rows.items.is_empty() && self.store.fence(&self.scratch).await?.epoch == Epoch::ZERO {
            return Ok(());
        }
        let context = format!("the scratch tenant {} is not empty, or was moved", self.scratch);
        Err(Error::conflict(context))
    }
}

async fn write(store: &dyn InteractionStore, scratch: &TenantId, number: u64) -> Result<()> {
    let event = Interaction::builder(scratch.as_str(), format!("probe-{}", number % CUSTOMERS))
        .offer(format!("offer-{}", number % 80))
        .creative("probe")
        .channel("probe")
        .build()?;
    let accepted = Accepted {
        value: event,
        generation: Generation::ZERO,
    };
    let batch = RecordBatch::accepted(Origin::Replicated, [accepted]);
    let outcome = store.record_events(batch).await?.into_results().pop();
    let unanswered = || Err(Error::new(ErrorKind::Internal, "a record was not answered"));
    outcome.unwrap_or_else(unanswered).map(drop)
}

//! A stub of every contract for the tests of what wraps them: notes its calls, and answers as it is told.

pub(crate) mod drive;
mod parts;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;

use crate::cache::Flights;
use crate::outbox::{LaneSet, Outbox};
use crate::signals::Signals;
use crate::store::{
    Accepted, BatchOutcome, Epoch, Erasure, ErasureReceipt, FenceRequest, FenceState, Generation,
    HistoryCursor, HistoryQuery, InteractionStore, ItemOutcome, Page, Purge, PurgeReceipt, RecordBatch,
    Recorded, ScanCursor, ScanQuery, StoreCapabilities, SummaryQuery, Tombstone, TombstoneQuery,
};
use crate::time::{self, Timestamp};
use crate::{Decision, Error, Interaction, RecommendationId, Result, Summary, TenantId};

/// What the next call does.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// It answers after so long.
    Answer(Duration),
    /// It fails.
    Fail(Error),
    /// It never answers.
    Hang,
    /// It is a batch, and its items fare so.
    Batch(Vec<ItemOutcome<()>>),
}

/// The stub.
#[derive(Debug, Default)]
pub(crate) struct Probe {
    calls: Mutex<Vec<&'static str>>,
    steps: Mutex<VecDeque<Step>>,
    /// What each batch consisted of.
    batches: Mutex<Vec<Vec<String>>>,
    running: AtomicUsize,
    peak: AtomicUsize,
    flights: Flights,
}

/// Counts a running call, also when it is dropped.
struct Running<'a>(&'a AtomicUsize);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Probe {
    pub(crate) fn shared() -> Arc<Self> {
        Arc::default()
    }

    /// A stub whose first calls fare so; the ones after them answer at once.
    pub(crate) fn scripted(steps: impl IntoIterator<Item = Step>) -> Arc<Self> {
        let probe = Self::default();
        probe.steps.lock().extend(steps);
        Arc::new(probe)
    }

    pub(crate) fn calls(&self) -> Vec<&'static str> {
        self.calls.lock().clone()
    }

    pub(crate) fn batches(&self) -> Vec<Vec<String>> {
        self.batches.lock().clone()
    }

    /// How many calls ran at once at most.
    pub(crate) fn peak(&self) -> usize {
        self.peak.load(Ordering::SeqCst)
    }

    fn note(&self, name: &'static str) {
        self.calls.lock().push(name);
    }

    async fn call(&self, name: &'static str) -> Result<()> {
        self.call_batch(name, Vec::new()).await.map(|_| ())
    }

    async fn call_batch(&self, name: &'static str, items: Vec<String>) -> Result<Vec<ItemOutcome<()>>> {
        self.note(name);
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.peak.fetch_max(running, Ordering::SeqCst);
        let _running = Running(&self.running);
        let done = items.iter().map(|_| ItemOutcome::Done(())).collect();
        if !items.is_empty() {
            self.batches.lock().push(items);
        }
        let step = self.steps.lock().pop_front();
        match step {
            None => Ok(done),
            Some(Step::Answer(after)) => {
                tokio::time::sleep(after).await;
                Ok(done)
            }
            Some(Step::Fail(error)) => Err(error),
            Some(Step::Hang) => std::future::pending().await,
            Some(Step::Batch(outcomes)) => Ok(outcomes),
        }
    }
}

fn outcomes<R>(items: Vec<ItemOutcome<()>>, value: impl Fn(usize) -> R) -> BatchOutcome<R> {
    let with_value = items
        .into_iter()
        .enumerate()
        .map(|(place, outcome)| match outcome {
            ItemOutcome::Done(()) => ItemOutcome::Done(value(place)),
            ItemOutcome::Failed(error) => ItemOutcome::Failed(error),
            ItemOutcome::NotAttempted => ItemOutcome::NotAttempted,
        });
    BatchOutcome::from_items(with_value.collect())
}

fn earliest() -> Timestamp {
    time::from_millis(time::EARLIEST_MS).unwrap()
}

fn page<T, C>() -> Page<T, C> {
    Page {
        items: Vec::new(),
        next: None,
    }
}

fn fence_state() -> FenceState {
    FenceState::new(Epoch::ZERO, LaneSet::NONE, 1, 1)
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl InteractionStore for Probe {
    fn capabilities(&self) -> StoreCapabilities {
        StoreCapabilities::full("probe")
    }

    fn measures(&self) -> Option<Arc<dyn Signals>> {
        self.note("measures");
        None
    }

    fn outbox(&self) -> Option<Arc<dyn Outbox>> {
        self.note("outbox");
        let steps = std::mem::take(&mut *self.steps.lock());
        Some(Self::scripted(steps))
    }

    async fn record_event(&self, event: Interaction) -> Result<Recorded> {
        self.call("record_event").await?;
        Ok(Recorded::new(event.id.clone()))
    }

    async fn get_summaries(&self, _: SummaryQuery) -> Result<Vec<Summary>> {
        self.call("get_summaries").await?;
        Ok(Vec::new())
    }

    async fn disconnect(&self) -> Result<()> {
        self.call("disconnect").await
    }

    async fn ping(&self) -> Result<()> {
        self.call("ping").await
    }

    async fn record_events(&self, batch: RecordBatch<Interaction>) -> Result<BatchOutcome<Recorded>> {
        let keys = batch
            .records
            .iter()
            .map(|record| record.value.idempotency_key.to_string());
        let items = self.call_batch("record_events", keys.collect()).await?;
        Ok(outcomes(items, |place| {
            Recorded::new(batch.records[place].value.id.clone())
        }))
    }

    async fn history(&self, _: HistoryQuery) -> Result<Page<Interaction, HistoryCursor>> {
        self.call("history").await.map(|()| page())
    }

    async fn scan(&self, _: ScanQuery) -> Result<Page<Accepted<Interaction>, ScanCursor>> {
        self.call("scan").await.map(|()| page())
    }

    async fn scan_decisions(&self, _: ScanQuery) -> Result<Page<Accepted<Decision>, ScanCursor>> {
        self.call("scan_decisions").await.map(|()| page())
    }

    async fn record_decision(&self, decision: Decision) -> Result<Recorded<RecommendationId>> {
        self.call("record_decision").await?;
        Ok(Recorded::new(decision.id.clone()))
    }

    async fn record_decisions(
        &self,
        batch: RecordBatch<Decision>,
    ) -> Result<BatchOutcome<Recorded<RecommendationId>>> {
        let ids = batch.records.iter().map(|record| record.value.id.to_string());
        let items = self.call_batch("record_decisions", ids.collect()).await?;
        Ok(outcomes(items, |place| {
            Recorded::new(batch.records[place].value.id.clone())
        }))
    }

    async fn decision(&self, _: &TenantId, _: &RecommendationId) -> Result<Option<Decision>> {
        self.call("decision").await.map(|()| None)
    }

    async fn erase_customer(&self, request: Erasure) -> Result<ErasureReceipt> {
        self.call("erase_customer").await?;
        Ok(ErasureReceipt::new(request.id, Generation(1), earliest()))
    }

    async fn tombstones(&self, _: TombstoneQuery) -> Result<Page<Tombstone, ScanCursor>> {
        self.call("tombstones").await.map(|()| page())
    }

    async fn install_tombstones(&self, _: &TenantId, _: Vec<Tombstone>) -> Result<()> {
        self.call("install_tombstones").await
    }

    async fn purge_before(&self, request: Purge) -> Result<PurgeReceipt> {
        self.call("purge_before").await?;
        Ok(PurgeReceipt::new(request.before, 0, 0))
    }

    async fn raise_fence(&self, _: FenceRequest) -> Result<FenceState> {
        self.call("raise_fence").await.map(|()| fence_state())
    }

    async fn fence(&self, _: &TenantId) -> Result<FenceState> {
        self.call("fence").await.map(|()| fence_state())
    }
}

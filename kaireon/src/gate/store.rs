//! The gate in front of the store.

use std::sync::Arc;

use async_trait::async_trait;
use kaireon_core::signals::Signals;
use kaireon_core::store::{
    Accepted, BatchOutcome, Erasure, ErasureReceipt, FenceRequest, FenceState, HistoryCursor, HistoryQuery,
    ItemOutcome, Origin, Page, Purge, PurgeReceipt, RecordBatch, Recorded, ScanCursor, ScanQuery,
    StoreCapabilities, SummaryQuery, Tombstone, TombstoneQuery,
};
use kaireon_core::time::{Clock, ManualClock, SystemClock};
use kaireon_core::{
    Decision, Error, Interaction, InteractionStore, Outbox, RecommendationId, Result, Summary, TenantId,
};

use super::{Appends, Gate, GatedOutbox};

/// A store behind a gate, which lets no live record in that lies too far ahead of the machine's clock: one that was read
/// by serde was not compared with it before. `disconnect` closes the gate of this set; the backend itself is closed by the facade.
#[derive(Debug)]
pub(crate) struct GatedStore {
    gate: Arc<Gate>,
    appends: Appends,
    inner: Arc<dyn InteractionStore>,
}

impl GatedStore {
    pub(crate) fn new(gate: Arc<Gate>, appends: Appends, inner: Arc<dyn InteractionStore>) -> Self {
        Self { gate, appends, inner }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl InteractionStore for GatedStore {
    fn capabilities(&self) -> StoreCapabilities {
        self.inner.capabilities()
    }

    async fn record_event(&self, event: Interaction) -> Result<Recorded> {
        let _pass = self.gate.enter("record_event")?;
        event.check_at(&SystemClock)?;
        self.inner.record_event(event).await
    }

    async fn get_summaries(&self, query: SummaryQuery) -> Result<Vec<Summary>> {
        let _pass = self.gate.enter("get_summaries")?;
        self.inner.get_summaries(query).await
    }

    async fn disconnect(&self) -> Result<()> {
        self.gate.close();
        self.gate.emptied().await;
        Ok(())
    }

    async fn ping(&self) -> Result<()> {
        let _pass = self.gate.enter("ping")?;
        self.inner.ping().await
    }

    async fn record_events(&self, mut batch: RecordBatch<Interaction>) -> Result<BatchOutcome<Recorded>> {
        let _pass = self.gate.enter("record_events")?;
        let refused = refuse_ahead(&mut batch, |event, clock| event.check_at(clock));
        Ok(with_refused(self.inner.record_events(batch).await?, refused))
    }

    async fn history(&self, query: HistoryQuery) -> Result<Page<Interaction, HistoryCursor>> {
        let _pass = self.gate.enter("history")?;
        self.inner.history(query).await
    }

    async fn scan(&self, query: ScanQuery) -> Result<Page<Accepted<Interaction>, ScanCursor>> {
        let _pass = self.gate.enter("scan")?;
        self.inner.scan(query).await
    }

    async fn scan_decisions(&self, query: ScanQuery) -> Result<Page<Accepted<Decision>, ScanCursor>> {
        let _pass = self.gate.enter("scan_decisions")?;
        self.inner.scan_decisions(query).await
    }

    async fn record_decision(&self, decision: Decision) -> Result<Recorded<RecommendationId>> {
        let _pass = self.gate.enter("record_decision")?;
        decision.check_at(&SystemClock)?;
        self.inner.record_decision(decision).await
    }

    async fn record_decisions(
        &self,
        mut batch: RecordBatch<Decision>,
    ) -> Result<BatchOutcome<Recorded<RecommendationId>>> {
        let _pass = self.gate.enter("record_decisions")?;
        let refused = refuse_ahead(&mut batch, |decision, clock| decision.check_at(clock));
        Ok(with_refused(self.inner.record_decisions(batch).await?, refused))
    }

    async fn decision(&self, tenant: &TenantId, id: &RecommendationId) -> Result<Option<Decision>> {
        let _pass = self.gate.enter("decision")?;
        self.inner.decision(tenant, id).await
    }

    async fn erase_customer(&self, request: Erasure) -> Result<ErasureReceipt> {
        let _pass = self.gate.enter("erase_customer")?;
        self.inner.erase_customer(request).await
    }

    async fn tombstones(&self, query: TombstoneQuery) -> Result<Page<Tombstone, ScanCursor>> {
        let _pass = self.gate.enter("tombstones")?;
        self.inner.tombstones(query).await
    }

    async fn install_tombstones(&self, tenant: &TenantId, tombstones: Vec<Tombstone>) -> Result<()> {
        let _pass = self.gate.enter("install_tombstones")?;
        self.inner.install_tombstones(tenant, tombstones).await
    }

    async fn purge_before(&self, request: Purge) -> Result<PurgeReceipt> {
        let _pass = self.gate.enter("purge_before")?;
        self.inner.purge_before(request).await
    }

    async fn raise_fence(&self, request: FenceRequest) -> Result<FenceState> {
        let _pass = self.gate.enter("raise_fence")?;
        self.inner.raise_fence(request).await
    }

    async fn fence(&self, tenant: &TenantId) -> Result<FenceState> {
        let _pass = self.gate.enter("fence")?;
        self.inner.fence(tenant).await
    }

    /// The store's own, which answers for itself once it is disconnected.
    fn measures(&self) -> Option<Arc<dyn Signals>> {
        self.inner.measures()
    }

    fn outbox(&self) -> Option<Arc<dyn Outbox>> {
        let outbox = self.inner.outbox()?;
        Some(Arc::new(GatedOutbox::new(
            Arc::clone(&self.gate),
            self.appends,
            outbox,
        )))
    }
}

/// Takes out of a live batch what lies too far ahead of the clock; returns each with its place. What another store or an
/// archive accepted is not compared with this clock.
fn refuse_ahead<T>(
    batch: &mut RecordBatch<T>,
    check: impl Fn(&T, &dyn Clock) -> Result<()>,
) -> Vec<(usize, Error)> {
    if batch.origin != Origin::Live {
        return Vec::new();
    }
    // One time for all of them.
    let now = ManualClock::at(SystemClock.now());
    let mut refused = Vec::new();
    let mut place = 0;
    batch.records.retain(|record| {
        let checked = check(&record.value, &now);
        let taken = checked.is_ok();
        refused.extend(checked.err().map(|error| (place, error)));
        place += 1;
        taken
    });
    refused
}

/// The outcome of a batch with what was refused before, each at its place.
fn with_refused<T>(outcome: BatchOutcome<T>, refused: Vec<(usize, Error)>) -> BatchOutcome<T> {
    if refused.is_empty() {
        return outcome;
    }
    let mut items = outcome.into_items();
    for (place, error) in refused {
        // By rising places, so that each is there when it comes to it.
        items.insert(place.min(items.len()), ItemOutcome::Failed(error));
    }
    BatchOutcome::from_items(items)
}

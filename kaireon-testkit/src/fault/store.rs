//! A store with faults.

use std::sync::Arc;

use async_trait::async_trait;
use kaireon_core::signals::Signals;
use kaireon_core::store::{
    Accepted, BatchOutcome, Erasure, ErasureReceipt, FenceRequest, FenceState, HistoryCursor, HistoryQuery,
    Page, Purge, PurgeReceipt, RecordBatch, Recorded, ScanCursor, ScanQuery, StoreCapabilities, SummaryQuery,
    Tombstone, TombstoneQuery,
};
use kaireon_core::{
    Decision, Interaction, InteractionStore, Outbox, RecommendationId, Result, Summary, TenantId,
};

use super::Faulty;

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: InteractionStore> InteractionStore for Faulty<S> {
    fn capabilities(&self) -> StoreCapabilities {
        self.inner.capabilities()
    }

    async fn record_event(&self, event: Interaction) -> Result<Recorded> {
        self.meet("record_event", self.inner.record_event(event)).await
    }

    async fn get_summaries(&self, query: SummaryQuery) -> Result<Vec<Summary>> {
        self.meet("get_summaries", self.inner.get_summaries(query)).await
    }

    async fn disconnect(&self) -> Result<()> {
        self.meet("disconnect", self.inner.disconnect()).await
    }

    async fn ping(&self) -> Result<()> {
        self.meet("ping", self.inner.ping()).await
    }

    async fn record_events(&self, batch: RecordBatch<Interaction>) -> Result<BatchOutcome<Recorded>> {
        let RecordBatch {
            records,
            origin,
            epoch,
        } = batch;
        let send = |records| {
            self.inner.record_events(RecordBatch {
                records,
                origin,
                epoch,
            })
        };
        self.meet_batch("record_events", records, send).await
    }

    async fn history(&self, query: HistoryQuery) -> Result<Page<Interaction, HistoryCursor>> {
        self.meet("history", self.inner.history(query)).await
    }

    async fn scan(&self, query: ScanQuery) -> Result<Page<Accepted<Interaction>, ScanCursor>> {
        self.meet("scan", self.inner.scan(query)).await
    }

    async fn scan_decisions(&self, query: ScanQuery) -> Result<Page<Accepted<Decision>, ScanCursor>> {
        self.meet("scan_decisions", self.inner.scan_decisions(query))
            .await
    }

    async fn record_decision(&self, decision: Decision) -> Result<Recorded<RecommendationId>> {
        self.meet("record_decision", self.inner.record_decision(decision))
            .await
    }

    async fn record_decisions(
        &self,
        batch: RecordBatch<Decision>,
    ) -> Result<BatchOutcome<Recorded<RecommendationId>>> {
        let RecordBatch {
            records,
            origin,
            epoch,
        } = batch;
        let send = |records| {
            self.inner.record_decisions(RecordBatch {
                records,
                origin,
                epoch,
            })
        };
        self.meet_batch("record_decisions", records, send).await
    }

    async fn decision(&self, tenant: &TenantId, id: &RecommendationId) -> Result<Option<Decision>> {
        self.meet("decision", self.inner.decision(tenant, id)).await
    }

    async fn erase_customer(&self, request: Erasure) -> Result<ErasureReceipt> {
        self.meet("erase_customer", self.inner.erase_customer(request))
            .await
    }

    async fn tombstones(&self, query: TombstoneQuery) -> Result<Page<Tombstone, ScanCursor>> {
        self.meet("tombstones", self.inner.tombstones(query)).await
    }

    async fn install_tombstones(&self, tenant: &TenantId, tombstones: Vec<Tombstone>) -> Result<()> {
        self.meet(
            "install_tombstones",
            self.inner.install_tombstones(tenant, tombstones),
        )
        .await
    }

    async fn purge_before(&self, request: Purge) -> Result<PurgeReceipt> {
        self.meet("purge_before", self.inner.purge_before(request)).await
    }

    async fn raise_fence(&self, request: FenceRequest) -> Result<FenceState> {
        self.meet("raise_fence", self.inner.raise_fence(request)).await
    }

    async fn fence(&self, tenant: &TenantId) -> Result<FenceState> {
        self.meet("fence", self.inner.fence(tenant)).await
    }

    /// Without faults: it is no call of the contract.
    fn measures(&self) -> Option<Arc<dyn Signals>> {
        self.inner.measures()
    }

    fn outbox(&self) -> Option<Arc<dyn Outbox>> {
        let outbox = self.inner.outbox()?;
        Some(Arc::new(Faulty::new(outbox, self.plan.clone())))
    }
}

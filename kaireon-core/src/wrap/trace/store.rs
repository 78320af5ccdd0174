//! Spans and metrics, over a store.

use std::sync::Arc;

use async_trait::async_trait;

use super::Trace;
use crate::outbox::Outbox;
use crate::store::{
    Accepted, BatchOutcome, Erasure, ErasureReceipt, FenceRequest, FenceState, HistoryCursor, HistoryQuery,
    InteractionStore, Page, Purge, PurgeReceipt, RecordBatch, Recorded, ScanCursor, ScanQuery,
    StoreCapabilities, SummaryQuery, Tombstone, TombstoneQuery,
};
use crate::wrap::name;
use crate::wrap::operation::Operation;
use crate::{Decision, Interaction, RecommendationId, Result, Summary, TenantId};

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<S: InteractionStore> InteractionStore for Trace<S> {
    fn capabilities(&self) -> StoreCapabilities {
        self.inner.capabilities()
    }

    fn outbox(&self) -> Option<Arc<dyn Outbox>> {
        let outbox = self.inner.outbox()?;
        // Its keys are this store's, under the store's name.
        let _ = self.system(name::of_store);
        Some(Arc::new(Trace {
            inner: outbox,
            meter: Arc::clone(&self.meter),
        }))
    }

    async fn record_event(&self, event: Interaction) -> Result<Recorded> {
        self.traced(
            Operation::RecordEvent,
            name::of_store,
            self.inner.record_event(event),
        )
        .await
    }

    async fn get_summaries(&self, query: SummaryQuery) -> Result<Vec<Summary>> {
        self.traced(
            Operation::GetSummaries,
            name::of_store,
            self.inner.get_summaries(query),
        )
        .await
    }

    async fn disconnect(&self) -> Result<()> {
        self.traced(
            Operation::StoreDisconnect,
            name::of_store,
            self.inner.disconnect(),
        )
        .await
    }

    async fn ping(&self) -> Result<()> {
        self.traced(Operation::StorePing, name::of_store, self.inner.ping())
            .await
    }

    async fn record_events(&self, batch: RecordBatch<Interaction>) -> Result<BatchOutcome<Recorded>> {
        self.traced(
            Operation::RecordEvents,
            name::of_store,
            self.inner.record_events(batch),
        )
        .await
    }

    async fn history(&self, query: HistoryQuery) -> Result<Page<Interaction, HistoryCursor>> {
        self.traced(Operation::History, name::of_store, self.inner.history(query))
            .await
    }

    async fn scan(&self, query: ScanQuery) -> Result<Page<Accepted<Interaction>, ScanCursor>> {
        self.traced(Operation::Scan, name::of_store, self.inner.scan(query))
            .await
    }

    async fn scan_decisions(&self, query: ScanQuery) -> Result<Page<Accepted<Decision>, ScanCursor>> {
        self.traced(
            Operation::ScanDecisions,
            name::of_store,
            self.inner.scan_decisions(query),
        )
        .await
    }

    async fn record_decision(&self, decision: Decision) -> Result<Recorded<RecommendationId>> {
        self.traced(
            Operation::RecordDecision,
            name::of_store,
            self.inner.record_decision(decision),
        )
        .await
    }

    async fn record_decisions(
        &self,
        batch: RecordBatch<Decision>,
    ) -> Result<BatchOutcome<Recorded<RecommendationId>>> {
        self.traced(
            Operation::RecordDecisions,
            name::of_store,
            self.inner.record_decisions(batch),
        )
        .await
    }

    async fn decision(&self, tenant: &TenantId, id: &RecommendationId) -> Result<Option<Decision>> {
        self.traced(
            Operation::Decision,
            name::of_store,
            self.inner.decision(tenant, id),
        )
        .await
    }

    async fn erase_customer(&self, request: Erasure) -> Result<ErasureReceipt> {
        self.traced(
            Operation::EraseCustomer,
            name::of_store,
            self.inner.erase_customer(request),
        )
        .await
    }

    async fn tombstones(&self, query: TombstoneQuery) -> Result<Page<Tombstone, ScanCursor>> {
        self.traced(
            Operation::Tombstones,
            name::of_store,
            self.inner.tombstones(query),
        )
        .await
    }

    async fn install_tombstones(&self, tenant: &TenantId, tombstones: Vec<Tombstone>) -> Result<()> {
        self.traced(
            Operation::InstallTombstones,
            name::of_store,
            self.inner.install_tombstones(tenant, tombstones),
        )
        .await
    }

    async fn purge_before(&self, request: Purge) -> Result<PurgeReceipt> {
        self.traced(
            Operation::PurgeBefore,
            name::of_store,
            self.inner.purge_before(request),
        )
        .await
    }

    async fn raise_fence(&self, request: FenceRequest) -> Result<FenceState> {
        self.traced(
            Operation::RaiseFence,
            name::of_store,
            self.inner.raise_fence(request),
        )
        .await
    }

    async fn fence(&self, tenant: &TenantId) -> Result<FenceState> {
        self.traced(Operation::Fence, name::of_store, self.inner.fence(tenant))
            .await
    }
}

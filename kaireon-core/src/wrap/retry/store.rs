//! Trying again, over a store.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Retry, batch};
use crate::outbox::Outbox;
use crate::signals::Signals;
use crate::store::{
    Accepted, BatchOutcome, Erasure, ErasureReceipt, FenceRequest, FenceState, HistoryCursor, HistoryQuery,
    InteractionStore, Page, Purge, PurgeReceipt, RecordBatch, Recorded, ScanCursor, ScanQuery,
    StoreCapabilities, SummaryQuery, Tombstone, TombstoneQuery,
};
use crate::wrap::operation::Operation;
use crate::{Decision, Interaction, RecommendationId, Result, Summary, TenantId};

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<S: InteractionStore> InteractionStore for Retry<S> {
    fn capabilities(&self) -> StoreCapabilities {
        self.inner.capabilities()
    }

    fn measures(&self) -> Option<Arc<dyn Signals>> {
        self.inner.measures()
    }

    fn outbox(&self) -> Option<Arc<dyn Outbox>> {
        let outbox = self.inner.outbox()?;
        Some(Arc::new(Retry {
            inner: outbox,
            policy: self.policy,
            jitter: Arc::clone(&self.jitter),
        }))
    }

    async fn record_event(&self, event: Interaction) -> Result<Recorded> {
        self.repeated(Operation::RecordEvent, || self.inner.record_event(event.clone()))
            .await
    }

    async fn get_summaries(&self, query: SummaryQuery) -> Result<Vec<Summary>> {
        self.repeated(Operation::GetSummaries, || {
            self.inner.get_summaries(query.clone())
        })
        .await
    }

    async fn disconnect(&self) -> Result<()> {
        self.repeated(Operation::StoreDisconnect, || self.inner.disconnect())
            .await
    }

    async fn ping(&self) -> Result<()> {
        self.inner.ping().await
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
        self.repeated_batch(Operation::RecordEvents, records, batch::nothing, send)
            .await
    }

    async fn history(&self, query: HistoryQuery) -> Result<Page<Interaction, HistoryCursor>> {
        self.repeated(Operation::History, || self.inner.history(query.clone()))
            .await
    }

    async fn scan(&self, query: ScanQuery) -> Result<Page<Accepted<Interaction>, ScanCursor>> {
        self.repeated(Operation::Scan, || self.inner.scan(query.clone()))
            .await
    }

    async fn scan_decisions(&self, query: ScanQuery) -> Result<Page<Accepted<Decision>, ScanCursor>> {
        self.repeated(Operation::ScanDecisions, || {
            self.inner.scan_decisions(query.clone())
        })
        .await
    }

    async fn record_decision(&self, decision: Decision) -> Result<Recorded<RecommendationId>> {
        self.repeated(Operation::RecordDecision, || {
            self.inner.record_decision(decision.clone())
        })
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
        self.repeated_batch(Operation::RecordDecisions, records, batch::nothing, send)
            .await
    }

    async fn decision(&self, tenant: &TenantId, id: &RecommendationId) -> Result<Option<Decision>> {
        self.repeated(Operation::Decision, || self.inner.decision(tenant, id))
            .await
    }

    async fn erase_customer(&self, request: Erasure) -> Result<ErasureReceipt> {
        self.repeated(Operation::EraseCustomer, || {
            self.inner.erase_customer(request.clone())
        })
        .await
    }

    async fn tombstones(&self, query: TombstoneQuery) -> Result<Page<Tombstone, ScanCursor>> {
        self.repeated(Operation::Tombstones, || self.inner.tombstones(query.clone()))
            .await
    }

    async fn install_tombstones(&self, tenant: &TenantId, tombstones: Vec<Tombstone>) -> Result<()> {
        self.repeated(Operation::InstallTombstones, || {
            self.inner.install_tombstones(tenant, tombstones.clone())
        })
        .await
    }

    async fn purge_before(&self, request: Purge) -> Result<PurgeReceipt> {
        self.repeated(Operation::PurgeBefore, || {
            self.inner.purge_before(request.clone())
        })
        .await
    }

    async fn raise_fence(&self, request: FenceRequest) -> Result<FenceState> {
        self.repeated(Operation::RaiseFence, || self.inner.raise_fence(request.clone()))
            .await
    }

    async fn fence(&self, tenant: &TenantId) -> Result<FenceState> {
        self.repeated(Operation::Fence, || self.inner.fence(tenant)).await
    }
}

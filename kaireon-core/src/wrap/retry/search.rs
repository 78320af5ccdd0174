//! Trying again, over a search index.

use async_trait::async_trait;

use super::{Retry, batch};
use crate::search::{
    Deletion, Document, IndexBatch, Indexed, RebuildStatus, RebuildStep, SearchCapabilities, SearchIndex,
    SearchQuery, SearchResults,
};
use crate::store::{BatchOutcome, ItemOutcome};
use crate::wrap::operation::Operation;
use crate::{CustomerId, Result, TenantId};

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<X: SearchIndex> SearchIndex for Retry<X> {
    fn capabilities(&self) -> SearchCapabilities {
        self.inner.capabilities()
    }

    async fn index(&self, batch: IndexBatch) -> Result<BatchOutcome<Indexed>> {
        let IndexBatch { documents, target } = batch;
        let send = |documents| {
            let target = target.clone();
            self.inner.index(IndexBatch { documents, target })
        };
        self.repeated_batch(Operation::Index, documents, overtaken, send)
            .await
    }

    async fn delete(&self, deletion: Deletion) -> Result<u64> {
        self.repeated(Operation::Delete, || self.inner.delete(deletion.clone()))
            .await
    }

    async fn search(&self, query: SearchQuery) -> Result<SearchResults> {
        self.repeated(Operation::Search, || self.inner.search(query.clone()))
            .await
    }

    async fn refresh(&self) -> Result<()> {
        self.repeated(Operation::Refresh, || self.inner.refresh()).await
    }

    async fn disconnect(&self) -> Result<()> {
        self.repeated(Operation::SearchDisconnect, || self.inner.disconnect())
            .await
    }

    async fn erase_customer(&self, tenant: &TenantId, customer: &CustomerId) -> Result<u64> {
        self.repeated(Operation::SearchEraseCustomer, || {
            self.inner.erase_customer(tenant, customer)
        })
        .await
    }

    async fn rebuild(&self, step: RebuildStep) -> Result<RebuildStatus> {
        self.repeated(Operation::Rebuild, || self.inner.rebuild(step.clone()))
            .await
    }

    async fn ping(&self) -> Result<()> {
        self.inner.ping().await
    }
}

/// Holds back documents behind which one with the same key was written: sent now, they would take its place.
fn overtaken(documents: &[Document], outcomes: &[ItemOutcome<Indexed>], open: &mut Vec<usize>) {
    batch::hold_overtaken(documents, outcomes, open, |document| {
        Some((&document.tenant, &document.kind, &document.id))
    });
}

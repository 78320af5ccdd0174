//! Spans and metrics, over a search index.

use async_trait::async_trait;

use super::Trace;
use crate::search::{
    Deletion, IndexBatch, Indexed, RebuildStatus, RebuildStep, SearchCapabilities, SearchIndex, SearchQuery,
    SearchResults,
};
use crate::store::BatchOutcome;
use crate::wrap::name;
use crate::wrap::operation::Operation;
use crate::{CustomerId, Result, TenantId};

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<X: SearchIndex> SearchIndex for Trace<X> {
    fn capabilities(&self) -> SearchCapabilities {
        self.inner.capabilities()
    }

    async fn index(&self, batch: IndexBatch) -> Result<BatchOutcome<Indexed>> {
        self.traced(Operation::Index, name::of_search, self.inner.index(batch))
            .await
    }

    async fn delete(&self, deletion: Deletion) -> Result<u64> {
        self.traced(Operation::Delete, name::of_search, self.inner.delete(deletion))
            .await
    }

    async fn search(&self, query: SearchQuery) -> Result<SearchResults> {
        self.traced(Operation::Search, name::of_search, self.inner.search(query))
            .await
    }

    async fn refresh(&self) -> Result<()> {
        self.traced(Operation::Refresh, name::of_search, self.inner.refresh())
            .await
    }

    async fn disconnect(&self) -> Result<()> {
        self.traced(
            Operation::SearchDisconnect,
            name::of_search,
            self.inner.disconnect(),
        )
        .await
    }

    async fn erase_customer(&self, tenant: &TenantId, customer: &CustomerId) -> Result<u64> {
        self.traced(
            Operation::SearchEraseCustomer,
            name::of_search,
            self.inner.erase_customer(tenant, customer),
        )
        .await
    }

    async fn rebuild(&self, step: RebuildStep) -> Result<RebuildStatus> {
        self.traced(Operation::Rebuild, name::of_search, self.inner.rebuild(step))
            .await
    }

    async fn ping(&self) -> Result<()> {
        self.traced(Operation::SearchPing, name::of_search, self.inner.ping())
            .await
    }
}

//! A limit on how many calls run at once, over a search index.

use async_trait::async_trait;

use super::ConcurrencyLimit;
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
impl<X: SearchIndex> SearchIndex for ConcurrencyLimit<X> {
    fn capabilities(&self) -> SearchCapabilities {
        self.inner.capabilities()
    }

    async fn index(&self, batch: IndexBatch) -> Result<BatchOutcome<Indexed>> {
        self.limited(Operation::Index, name::of_search, self.inner.index(batch))
            .await
    }

    async fn delete(&self, deletion: Deletion) -> Result<u64> {
        self.limited(Operation::Delete, name::of_search, self.inner.delete(deletion))
            .await
    }

    async fn search(&self, query: SearchQuery) -> Result<SearchResults> {
        self.limited(Operation::Search, name::of_search, self.inner.search(query))
            .await
    }

    async fn refresh(&self) -> Result<()> {
        self.limited(Operation::Refresh, name::of_search, self.inner.refresh())
            .await
    }

    async fn disconnect(&self) -> Result<()> {
        self.inner.disconnect().await
    }

    async fn erase_customer(&self, tenant: &TenantId, customer: &CustomerId) -> Result<u64> {
        self.limited(
            Operation::SearchEraseCustomer,
            name::of_search,
            self.inner.erase_customer(tenant, customer),
        )
        .await
    }

    async fn rebuild(&self, step: RebuildStep) -> Result<RebuildStatus> {
        self.limited(Operation::Rebuild, name::of_search, self.inner.rebuild(step))
            .await
    }

    async fn ping(&self) -> Result<()> {
        self.inner.ping().await
    }
}

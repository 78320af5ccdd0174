//! The gate in front of the search index.

use std::sync::Arc;

use async_trait::async_trait;
use kaireon_core::search::{
    Deletion, IndexBatch, Indexed, RebuildStatus, RebuildStep, SearchCapabilities, SearchIndex, SearchQuery,
    SearchResults,
};
use kaireon_core::store::BatchOutcome;
use kaireon_core::{CustomerId, Result, TenantId};

use super::Gate;

/// A search index behind a gate. `disconnect` closes the gate of this set; the backend itself is closed by the
/// facade.
#[derive(Debug)]
pub(crate) struct GatedSearch {
    gate: Arc<Gate>,
    inner: Arc<dyn SearchIndex>,
}

impl GatedSearch {
    pub(crate) fn new(gate: Arc<Gate>, inner: Arc<dyn SearchIndex>) -> Self {
        Self { gate, inner }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SearchIndex for GatedSearch {
    fn capabilities(&self) -> SearchCapabilities {
        self.inner.capabilities()
    }

    async fn index(&self, batch: IndexBatch) -> Result<BatchOutcome<Indexed>> {
        let _pass = self.gate.enter("index")?;
        self.inner.index(batch).await
    }

    async fn delete(&self, deletion: Deletion) -> Result<u64> {
        let _pass = self.gate.enter("delete")?;
        self.inner.delete(deletion).await
    }

    async fn search(&self, query: SearchQuery) -> Result<SearchResults> {
        let _pass = self.gate.enter("search")?;
        self.inner.search(query).await
    }

    async fn refresh(&self) -> Result<()> {
        let _pass = self.gate.enter("refresh")?;
        self.inner.refresh().await
    }

    async fn disconnect(&self) -> Result<()> {
        self.gate.close();
        self.gate.emptied().await;
        Ok(())
    }

    async fn erase_customer(&self, tenant: &TenantId, customer: &CustomerId) -> Result<u64> {
        let _pass = self.gate.enter("erase_customer")?;
        self.inner.erase_customer(tenant, customer).await
    }

    async fn rebuild(&self, step: RebuildStep) -> Result<RebuildStatus> {
        let _pass = self.gate.enter("rebuild")?;
        self.inner.rebuild(step).await
    }

    async fn ping(&self) -> Result<()> {
        let _pass = self.gate.enter("ping")?;
        self.inner.ping().await
    }
}

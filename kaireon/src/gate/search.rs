//! The gate in front of the search index.

use std::sync::Arc;

use async_trait::async_trait;
use kaireon_core::{CustomerId, Result, TenantId};
use crate::stub::{SearchIndex, SearchCapabilities};

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

    async fn erase_customer(&self, tenant: &TenantId, customer: &CustomerId) -> Result<u64> {
        let _pass = self.gate.enter("erase_customer")?;
        self.inner.erase_customer(tenant, customer).await
    }

    async fn ping(&self) -> Result<()> {
        let _pass = self.gate.enter("ping")?;
        self.inner.ping().await
    }

    async fn disconnect(&self) -> Result<()> {
        self.gate.close();
        self.gate.emptied().await;
        Ok(())
    }
}

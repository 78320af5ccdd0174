//! The gate in front of the cache.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use kaireon_core::breaker::{BreakerConfig, CircuitBreaker};
use kaireon_core::cache::{CacheCapabilities, CacheKey, FetchLeases, Flights, SetOptions};
use kaireon_core::limiter::RateLimiter;
use kaireon_core::{CacheStore, CustomerId, Result, TenantId};

use super::Gate;

/// A cache behind a gate. `disconnect` closes the gate of this set; the backend itself is closed by the facade.
#[derive(Debug)]
pub(crate) struct GatedCache {
    gate: Arc<Gate>,
    inner: Arc<dyn CacheStore>,
}

impl GatedCache {
    pub(crate) fn new(gate: Arc<Gate>, inner: Arc<dyn CacheStore>) -> Self {
        Self { gate, inner }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl CacheStore for GatedCache {
    fn capabilities(&self) -> CacheCapabilities {
        self.inner.capabilities()
    }

    async fn get(&self, key: &CacheKey) -> Result<Option<Bytes>> {
        let _pass = self.gate.enter("get")?;
        self.inner.get(key).await
    }

    async fn set(&self, key: &CacheKey, value: Bytes, options: SetOptions) -> Result<bool> {
        let _pass = self.gate.enter("set")?;
        self.inner.set(key, value, options).await
    }

    async fn del(&self, key: &CacheKey) -> Result<bool> {
        let _pass = self.gate.enter("del")?;
        self.inner.del(key).await
    }

    async fn get_many(&self, keys: &[CacheKey]) -> Result<Vec<Option<Bytes>>> {
        let _pass = self.gate.enter("get_many")?;
        self.inner.get_many(keys).await
    }

    async fn set_many(&self, entries: Vec<(CacheKey, Bytes)>, options: SetOptions) -> Result<Vec<bool>> {
        let _pass = self.gate.enter("set_many")?;
        self.inner.set_many(entries, options).await
    }

    async fn del_many(&self, keys: &[CacheKey]) -> Result<u64> {
        let _pass = self.gate.enter("del_many")?;
        self.inner.del_many(keys).await
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

    fn flights(&self) -> &Flights {
        self.inner.flights()
    }

    fn limiter(&self) -> Option<Arc<dyn RateLimiter>> {
        self.inner.limiter()
    }

    fn leases(&self) -> Option<Arc<dyn FetchLeases>> {
        self.inner.leases()
    }

    fn breaker(&self, config: BreakerConfig) -> Result<Option<Arc<dyn CircuitBreaker>>> {
        self.inner.breaker(config)
    }

    fn peek(&self, key: &CacheKey) -> Option<Bytes> {
        // No future that a shutdown would wait for, so no pass.
        self.inner.peek(key)
    }

    fn peek_fetched(&self, key: &CacheKey) -> Option<Bytes> {
        self.inner.peek_fetched(key)
    }
}

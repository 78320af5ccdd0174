//! Trying again, over a cache.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::Retry;
use crate::breaker::{BreakerConfig, CircuitBreaker};
use crate::cache::{CacheCapabilities, CacheKey, CacheStore, FetchLeases, Flights, SetCondition, SetOptions};
use crate::limiter::RateLimiter;
use crate::wrap::operation::Operation;
use crate::{CustomerId, Result, TenantId};

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<C: CacheStore> CacheStore for Retry<C> {
    fn capabilities(&self) -> CacheCapabilities {
        self.inner.capabilities()
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
        self.inner.peek(key)
    }

    fn peek_fetched(&self, key: &CacheKey) -> Option<Bytes> {
        self.inner.peek_fetched(key)
    }

    async fn get(&self, key: &CacheKey) -> Result<Option<Bytes>> {
        self.repeated(Operation::CacheGet, || self.inner.get(key)).await
    }

    async fn set(&self, key: &CacheKey, value: Bytes, options: SetOptions) -> Result<bool> {
        let operation = match options.condition {
            SetCondition::IfAbsent => Operation::CacheSetIfAbsent,
            SetCondition::Always | SetCondition::IfPresent => Operation::CacheSet,
        };
        self.repeated(operation, || self.inner.set(key, value.clone(), options))
            .await
    }

    async fn del(&self, key: &CacheKey) -> Result<bool> {
        self.repeated(Operation::CacheDel, || self.inner.del(key)).await
    }

    async fn get_many(&self, keys: &[CacheKey]) -> Result<Vec<Option<Bytes>>> {
        self.repeated(Operation::CacheGetMany, || self.inner.get_many(keys))
            .await
    }

    async fn set_many(&self, entries: Vec<(CacheKey, Bytes)>, options: SetOptions) -> Result<Vec<bool>> {
        let operation = match options.condition {
            SetCondition::IfAbsent => Operation::CacheSetManyIfAbsent,
            SetCondition::Always | SetCondition::IfPresent => Operation::CacheSetMany,
        };
        self.repeated(operation, || self.inner.set_many(entries.clone(), options))
            .await
    }

    async fn del_many(&self, keys: &[CacheKey]) -> Result<u64> {
        self.repeated(Operation::CacheDelMany, || self.inner.del_many(keys))
            .await
    }

    async fn erase_customer(&self, tenant: &TenantId, customer: &CustomerId) -> Result<u64> {
        self.repeated(Operation::CacheEraseCustomer, || {
            self.inner.erase_customer(tenant, customer)
        })
        .await
    }

    async fn ping(&self) -> Result<()> {
        self.inner.ping().await
    }

    async fn disconnect(&self) -> Result<()> {
        self.repeated(Operation::CacheDisconnect, || self.inner.disconnect())
            .await
    }
}

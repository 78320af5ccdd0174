//! Spans and metrics, over a cache.

use async_trait::async_trait;
use bytes::Bytes;

use super::Trace;
use crate::cache::{CacheCapabilities, CacheKey, CacheStore, Flights, SetOptions};
use crate::wrap::name;
use crate::wrap::operation::Operation;
use crate::{CustomerId, Result, TenantId};

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<C: CacheStore> CacheStore for Trace<C> {
    fn capabilities(&self) -> CacheCapabilities {
        self.inner.capabilities()
    }

    fn flights(&self) -> &Flights {
        self.inner.flights()
    }

    fn peek(&self, key: &CacheKey) -> Option<Bytes> {
        self.inner.peek(key)
    }

    fn peek_fetched(&self, key: &CacheKey) -> Option<Bytes> {
        self.inner.peek_fetched(key)
    }

    async fn get(&self, key: &CacheKey) -> Result<Option<Bytes>> {
        self.traced(Operation::CacheGet, name::of_cache, self.inner.get(key))
            .await
    }

    async fn set(&self, key: &CacheKey, value: Bytes, options: SetOptions) -> Result<bool> {
        self.traced(
            Operation::CacheSet,
            name::of_cache,
            self.inner.set(key, value, options),
        )
        .await
    }

    async fn del(&self, key: &CacheKey) -> Result<bool> {
        self.traced(Operation::CacheDel, name::of_cache, self.inner.del(key))
            .await
    }

    async fn get_many(&self, keys: &[CacheKey]) -> Result<Vec<Option<Bytes>>> {
        self.traced(Operation::CacheGetMany, name::of_cache, self.inner.get_many(keys))
            .await
    }

    async fn set_many(&self, entries: Vec<(CacheKey, Bytes)>, options: SetOptions) -> Result<Vec<bool>> {
        self.traced(
            Operation::CacheSetMany,
            name::of_cache,
            self.inner.set_many(entries, options),
        )
        .await
    }

    async fn del_many(&self, keys: &[CacheKey]) -> Result<u64> {
        self.traced(Operation::CacheDelMany, name::of_cache, self.inner.del_many(keys))
            .await
    }

    async fn erase_customer(&self, tenant: &TenantId, customer: &CustomerId) -> Result<u64> {
        self.traced(
            Operation::CacheEraseCustomer,
            name::of_cache,
            self.inner.erase_customer(tenant, customer),
        )
        .await
    }

    async fn ping(&self) -> Result<()> {
        self.traced(Operation::CachePing, name::of_cache, self.inner.ping())
            .await
    }

    async fn disconnect(&self) -> Result<()> {
        self.traced(
            Operation::CacheDisconnect,
            name::of_cache,
            self.inner.disconnect(),
        )
        .await
    }
}

//! TEMPORARY until search and cache land in core and kaireon-cache.
#![allow(missing_docs)]
use std::sync::Arc;
use async_trait::async_trait;
use bytes::Bytes;
use kaireon_core::breaker::*;
use kaireon_core::cache::*;
use kaireon_core::limiter::*;
use kaireon_core::{CustomerId, Result, TenantId};
pub struct SearchCapabilities { pub backend: std::borrow::Cow<'static, str>, pub erasure: bool }
#[async_trait]
pub trait SearchIndex: Send + Sync + std::fmt::Debug {
    fn capabilities(&self) -> SearchCapabilities;
    async fn erase_customer(&self, tenant: &TenantId, customer: &CustomerId) -> Result<u64>;
    async fn ping(&self) -> Result<()>;
    async fn disconnect(&self) -> Result<()>;
}
#[derive(Debug, Default)]
pub struct Stub { flights: Flights }
#[async_trait]
impl SearchIndex for Stub {
    fn capabilities(&self) -> SearchCapabilities { SearchCapabilities { backend: "memory".into(), erasure: true } }
    async fn erase_customer(&self, _: &TenantId, _: &CustomerId) -> Result<u64> { Ok(0) }
    async fn ping(&self) -> Result<()> { Ok(()) }
    async fn disconnect(&self) -> Result<()> { Ok(()) }
}
#[async_trait]
impl CacheStore for Stub {
    fn capabilities(&self) -> CacheCapabilities { CacheCapabilities::minimal("in-process", 1000) }
    async fn get(&self, _: &CacheKey) -> Result<Option<Bytes>> { Ok(None) }
    async fn set(&self, _: &CacheKey, _: Bytes, _: SetOptions) -> Result<bool> { Ok(true) }
    async fn del(&self, _: &CacheKey) -> Result<bool> { Ok(false) }
    async fn disconnect(&self) -> Result<()> { Ok(()) }
    fn flights(&self) -> &Flights { &self.flights }
}
#[async_trait]
impl RateLimiter for Stub {
    async fn acquire(&self, _: &LimitKey, _: RateLimit) -> Result<RateDecision> { unreachable!() }
}
#[async_trait]
impl CircuitBreaker for Stub {
    async fn admit(&self, _: &str) -> Result<Admission> { unreachable!() }
    async fn report(&self, _: &str, _: u64, _: CallResult) -> Result<()> { unreachable!() }
    async fn state(&self, _: &str) -> Result<BreakerState> { unreachable!() }
}
pub fn stub() -> Arc<Stub> { Arc::new(Stub::default()) }

//! The cache.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use kaireon_core::cache::{CacheCapabilities, CacheKey, Flights, SetOptions};
use kaireon_core::time::Clock;
use kaireon_core::{CacheStore, CustomerId, Error, Result, TenantId};

use super::BACKEND;
use super::config::InProcessCacheConfig;
use super::error::disconnected;
use super::map::Map;
use super::ticks::Ticks;

/// Keeps values in this process's memory.
///
/// - **Bound.** All entries together take at most `max_bytes`, each counted with its key and what keeps it; what is
///   used least goes first. Values are copied when they are set.
/// - **Time to live.** By a clock that is at most 10 ms late. An expired entry is absent to every operation; its
///   memory is given back when it is overwritten, deleted, or in the way of others.
/// - **Erasure** looks at every entry, shard by shard, and keeps out writers meanwhile; reads go on.
pub struct InProcessCache {
    map: Map,
    flights: Flights,
    max_value_bytes: usize,
    closed: AtomicBool,
}

impl InProcessCache {
    /// An empty cache by the machine's clock.
    ///
    /// # Errors
    /// `Config` naming what is out of bounds.
    pub fn new(config: InProcessCacheConfig) -> Result<Self> {
        Self::build(&config, Ticks::of_machine(), Flights::default())
    }

    /// An empty cache whose entries expire by this clock, which may be moved back.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn with_clock(config: InProcessCacheConfig, clock: Arc<dyn Clock>) -> Result<Self> {
        let flights = Flights::with_clock(Arc::clone(&clock));
        Self::build(&config, Ticks::given(clock), flights)
    }

    fn build(config: &InProcessCacheConfig, ticks: Ticks, flights: Flights) -> Result<Self> {
        config.check()?;
        Ok(Self {
            map: Map::new(config, ticks),
            flights,
            max_value_bytes: config.max_value_bytes,
            closed: AtomicBool::new(false),
        })
    }

    /// How many bytes the entries take, as `max_bytes` counts them.
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.map.weight()
    }

    fn check_open(&self, operation: &'static str) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(disconnected(operation));
        }
        Ok(())
    }
}

impl fmt::Debug for InProcessCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InProcessCache")
            .field("weight", &self.map.weight())
            .field("flights", &self.flights)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl CacheStore for InProcessCache {
    fn capabilities(&self) -> CacheCapabilities {
        let mut capabilities = CacheCapabilities::minimal(BACKEND, self.max_value_bytes);
        capabilities.erasure = true;
        capabilities.ping = true;
        capabilities
    }

    async fn get(&self, key: &CacheKey) -> Result<Option<Bytes>> {
        self.check_open("get")?;
        Ok(self.map.get(key.as_str()))
    }

    async fn set(&self, key: &CacheKey, value: Bytes, options: SetOptions) -> Result<bool> {
        self.check_open("set")?;
        options.check()?;
        let SetOptions { ttl, condition } = options;
        if value.len() > self.max_value_bytes {
            return Err(Error::invalid("value", "is larger than the cache takes").with_backend(BACKEND));
        }
        Ok(self.map.set(key.as_str(), &value, ttl, condition))
    }

    async fn del(&self, key: &CacheKey) -> Result<bool> {
        self.check_open("del")?;
        Ok(self.map.remove(key.as_str()))
    }

    async fn erase_customer(&self, tenant: &TenantId, customer: &CustomerId) -> Result<u64> {
        self.check_open("erase_customer")?;
        let detach = || self.flights.detach_customer(tenant, customer);
        Ok(self.map.erase(tenant, customer, detach))
    }

    async fn ping(&self) -> Result<()> {
        self.check_open("ping")
    }

    async fn disconnect(&self) -> Result<()> {
        self.closed.store(true, Ordering::Release);
        self.map.clear();
        Ok(())
    }

    fn flights(&self) -> &Flights {
        &self.flights
    }

    fn peek(&self, key: &CacheKey) -> Option<Bytes> {
        if self.closed.load(Ordering::Acquire) {
            return None;
        }
        self.map.get(key.as_str())
    }

    fn peek_fetched(&self, key: &CacheKey) -> Option<Bytes> {
        if self.closed.load(Ordering::Acquire) {
            return None;
        }
        self.map.get(key.fetched_str())
    }
}

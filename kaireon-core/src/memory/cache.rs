//! The cache in memory.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::TimeDelta;
use parking_lot::Mutex;

use crate::cache::{CacheCapabilities, CacheKey, CacheStore, Flights, SetCondition, SetOptions};
use crate::time::{Clock, ForwardClock, SystemClock, Timestamp};
use crate::{CustomerId, Error, Result, TenantId};

const BACKEND: &str = "memory";
const MAX_VALUE_BYTES: usize = 1 << 20;

/// A cache that forgets only what has expired, and only when it comes across it: without a bound on memory, for
/// tests and for comparison.
pub struct MemoryCache {
    entries: Mutex<HashMap<CacheKey, Entry>>,
    clock: ForwardClock,
    flights: Flights,
    closed: AtomicBool,
}

#[derive(Debug)]
struct Entry {
    value: Bytes,
    expires: Option<Timestamp>,
}

impl Entry {
    fn is_live(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}

impl MemoryCache {
    /// An empty cache by the machine's clock.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }

    /// An empty cache by this clock, which may be moved back.
    #[must_use]
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self {
            entries: Mutex::default(),
            clock: ForwardClock::new(Arc::clone(&clock)),
            flights: Flights::with_clock(clock),
            closed: AtomicBool::new(false),
        }
    }

    fn check_open(&self, operation: &'static str) -> Result<()> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(Error::disconnected(BACKEND, operation));
        }
        Ok(())
    }
}

impl Default for MemoryCache {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryCache")
            .field("entries", &self.entries.lock().len())
            .field("flights", &self.flights)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl CacheStore for MemoryCache {
    fn capabilities(&self) -> CacheCapabilities {
        CacheCapabilities {
            erasure: true,
            ping: true,
            ..CacheCapabilities::minimal(BACKEND, MAX_VALUE_BYTES)
        }
    }

    async fn get(&self, key: &CacheKey) -> Result<Option<Bytes>> {
        self.check_open("get")?;
        Ok(self.peek(key))
    }

    async fn set(&self, key: &CacheKey, value: Bytes, options: SetOptions) -> Result<bool> {
        self.check_open("set")?;
        options.check()?;
        let SetOptions { ttl, condition } = options;
        if value.len() > MAX_VALUE_BYTES {
            return Err(Error::invalid("value", "is larger than the cache takes").with_backend(BACKEND));
        }
        let now = self.clock.now();
        let expires = ttl.and_then(|ttl| TimeDelta::from_std(ttl).ok());
        let expires = expires.and_then(|ttl| now.checked_add_signed(ttl));
        let mut entries = self.entries.lock();
        let present = entries.get(key).is_some_and(|entry| entry.is_live(now));
        let holds = match condition {
            SetCondition::Always => true,
            SetCondition::IfAbsent => !present,
            SetCondition::IfPresent => present,
        };
        if holds {
            entries.insert(key.clone(), Entry { value, expires });
        }
        Ok(holds)
    }

    async fn del(&self, key: &CacheKey) -> Result<bool> {
        self.check_open("del")?;
        let now = self.clock.now();
        let removed = self.entries.lock().remove(key);
        Ok(removed.is_some_and(|entry| entry.is_live(now)))
    }

    async fn erase_customer(&self, tenant: &TenantId, customer: &CustomerId) -> Result<u64> {
        self.check_open("erase_customer")?;
        let prefixes = CacheKey::customer_prefixes(tenant, customer);
        let now = self.clock.now();
        let mut entries = self.entries.lock();
        // What is being fetched was asked for before the erasure, and must not be kept after it.
        self.flights.detach_customer(tenant, customer);
        let erased =
            entries.extract_if(|key, _| prefixes.iter().any(|prefix| key.as_str().starts_with(prefix)));
        Ok(erased.filter(|(_, entry)| entry.is_live(now)).count() as u64)
    }

    async fn ping(&self) -> Result<()> {
        self.check_open("ping")
    }

    async fn disconnect(&self) -> Result<()> {
        self.closed.store(true, Ordering::SeqCst);
        self.entries.lock().clear();
        Ok(())
    }

    fn flights(&self) -> &Flights {
        &self.flights
    }

    fn peek(&self, key: &CacheKey) -> Option<Bytes> {
        let now = self.clock.now();
        let entries = self.entries.lock();
        let entry = entries.get(key).filter(|entry| entry.is_live(now))?;
        Some(entry.value.clone())
    }
}

//! The cache in memory.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::TimeDelta;
use parking_lot::Mutex;

use crate::cache::{
    CacheCapabilities, CacheKey, CacheStore, FetchLeases, Flights, Lease, SetCondition, SetOptions,
};
use crate::time::{Clock, ForwardClock, SystemClock, Timestamp};
use crate::{CustomerId, Error, Result, TenantId};

const BACKEND: &str = "memory";
const MAX_VALUE_BYTES: usize = 1 << 20;

/// A cache that forgets only what has expired, and only when it comes across it: without a bound on memory, for
/// tests and for comparison.
pub struct MemoryCache {
    shelf: Arc<Shelf>,
    flights: Flights,
}

/// What is kept, for the cache and its leases.
struct Shelf {
    kept: Mutex<Kept>,
    clock: ForwardClock,
    closed: AtomicBool,
}

#[derive(Debug, Default)]
struct Kept {
    entries: HashMap<CacheKey, Entry>,
    leases: HashMap<CacheKey, Holder>,
    /// How many leases were granted, which numbers them.
    granted: u64,
}

/// Who was granted the latest lease on a key.
#[derive(Debug)]
struct Holder {
    token: u64,
    ends: Timestamp,
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
            shelf: Arc::new(Shelf {
                kept: Mutex::default(),
                clock: ForwardClock::new(Arc::clone(&clock)),
                closed: AtomicBool::new(false),
            }),
            flights: Flights::with_clock(clock),
        }
    }
}

impl Shelf {
    fn check_open(&self, operation: &'static str) -> Result<()> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(Error::disconnected(BACKEND, operation));
        }
        Ok(())
    }
}

impl Kept {
    fn set(&mut self, now: Timestamp, key: &CacheKey, value: Bytes, options: SetOptions) -> Result<bool> {
        options.check()?;
        let SetOptions { ttl, condition } = options;
        if value.len() > MAX_VALUE_BYTES {
            return Err(Error::invalid("value", "is larger than the cache takes").with_backend(BACKEND));
        }
        let expires = ttl.and_then(|ttl| later(now, ttl));
        let present = self.entries.get(key).is_some_and(|entry| entry.is_live(now));
        let holds = match condition {
            SetCondition::Always => true,
            SetCondition::IfAbsent => !present,
            SetCondition::IfPresent => present,
        };
        if holds {
            self.entries.insert(key.clone(), Entry { value, expires });
        }
        Ok(holds)
    }

    fn has_lease(&self, key: &CacheKey, token: u64) -> bool {
        self.leases.get(key).is_some_and(|holder| holder.token == token)
    }
}

/// `None` where it is never.
fn later(now: Timestamp, wait: Duration) -> Option<Timestamp> {
    now.checked_add_signed(TimeDelta::from_std(wait).ok()?)
}

impl Default for MemoryCache {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryCache")
            .field("entries", &self.shelf.kept.lock().entries.len())
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
        self.shelf.check_open("get")?;
        Ok(self.peek(key))
    }

    async fn set(&self, key: &CacheKey, value: Bytes, options: SetOptions) -> Result<bool> {
        self.shelf.check_open("set")?;
        let now = self.shelf.clock.now();
        self.shelf.kept.lock().set(now, key, value, options)
    }

    async fn del(&self, key: &CacheKey) -> Result<bool> {
        self.shelf.check_open("del")?;
        let now = self.shelf.clock.now();
        let mut kept = self.shelf.kept.lock();
        kept.leases.remove(key);
        Ok(kept.entries.remove(key).is_some_and(|entry| entry.is_live(now)))
    }

    async fn erase_customer(&self, tenant: &TenantId, customer: &CustomerId) -> Result<u64> {
        self.shelf.check_open("erase_customer")?;
        let prefixes = CacheKey::customer_prefixes(tenant, customer);
        let is_of = |key: &CacheKey| prefixes.iter().any(|prefix| key.as_str().starts_with(prefix));
        let now = self.shelf.clock.now();
        let mut kept = self.shelf.kept.lock();
        // What is being fetched was asked for before the erasure, and must not be kept after it.
        self.flights.detach_customer(tenant, customer);
        kept.leases.retain(|key, _| !is_of(key));
        let erased = kept.entries.extract_if(|key, _| is_of(key));
        Ok(erased.filter(|(_, entry)| entry.is_live(now)).count() as u64)
    }

    async fn ping(&self) -> Result<()> {
        self.shelf.check_open("ping")
    }

    async fn disconnect(&self) -> Result<()> {
        self.shelf.closed.store(true, Ordering::SeqCst);
        *self.shelf.kept.lock() = Kept::default();
        Ok(())
    }

    fn leases(&self) -> Option<Arc<dyn FetchLeases>> {
        Some(Arc::new(MemoryLeases(Arc::clone(&self.shelf))))
    }

    fn flights(&self) -> &Flights {
        &self.flights
    }

    fn peek(&self, key: &CacheKey) -> Option<Bytes> {
        let now = self.shelf.clock.now();
        let kept = self.shelf.kept.lock();
        let entry = kept.entries.get(key).filter(|entry| entry.is_live(now))?;
        Some(entry.value.clone())
    }
}

/// The leases of a [`MemoryCache`].
struct MemoryLeases(Arc<Shelf>);

impl fmt::Debug for MemoryLeases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryLeases")
    }
}

#[async_trait]
impl FetchLeases for MemoryLeases {
    async fn take(&self, key: &CacheKey, lasting: Duration) -> Result<Lease> {
        self.0.check_open("take")?;
        SetOptions::ttl(lasting).check()?;
        let now = self.0.clock.now();
        let mut kept = self.0.kept.lock();
        let left = kept.leases.get(key).map(|holder| holder.ends - now);
        if let Some(left) = left
            .and_then(|left| left.to_std().ok())
            .filter(|left| !left.is_zero())
        {
            return Ok(Lease::Held(left));
        }
        kept.granted += 1;
        let token = kept.granted;
        let ends = later(now, lasting).unwrap_or(Timestamp::MAX_UTC);
        kept.leases.insert(key.clone(), Holder { token, ends });
        let entry = kept.entries.get(key).filter(|entry| entry.is_live(now));
        Ok(Lease::Granted {
            token,
            found: entry.map(|entry| entry.value.clone()),
        })
    }

    async fn keep(&self, key: &CacheKey, value: Bytes, ttl: Duration, token: u64) -> Result<bool> {
        self.0.check_open("keep")?;
        let now = self.0.clock.now();
        let mut kept = self.0.kept.lock();
        if !kept.has_lease(key, token) {
            return Ok(false);
        }
        let set = kept.set(now, key, value, SetOptions::ttl(ttl))?;
        kept.leases.remove(key);
        Ok(set)
    }

    async fn release(&self, key: &CacheKey, token: u64) -> Result<()> {
        self.0.check_open("release")?;
        let mut kept = self.0.kept.lock();
        if kept.has_lease(key, token) {
            kept.leases.remove(key);
        }
        Ok(())
    }
}

//! The broken cache: one that processes share.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use kaireon_core::cache::{
    CacheCapabilities, CacheKey, CacheStore, FetchLeases, Flights, SetCondition, SetOptions,
};
use kaireon_core::memory::MemoryCache;
use kaireon_core::time::ManualClock;
use kaireon_core::{CustomerId, Error, Result, TenantId};
use parking_lot::Mutex;

use super::flaw::Flaw;
use super::lease::BrokenLeases;

/// Which process a handle is of.
pub(super) type Process = usize;

/// What the handles of all processes have in common.
pub(super) struct Kept {
    pub(super) inner: MemoryCache,
    /// Every key that was ever set and not deleted since.
    ever: Mutex<HashSet<CacheKey>>,
    /// Who was erased, and by which process: others keep nothing any more that they fetched for them.
    erased: Mutex<HashSet<(String, String, Process)>>,
    /// Keys whose leases a deletion has left.
    pub(super) left: Mutex<HashSet<CacheKey>>,
}

impl Kept {
    pub(super) fn new(clock: &ManualClock) -> Self {
        Self {
            inner: MemoryCache::with_clock(Arc::new(clock.clone())),
            ever: Mutex::default(),
            erased: Mutex::default(),
            left: Mutex::default(),
        }
    }

    /// Whether another process erased the customer for whom this was fetched.
    pub(super) fn is_held(&self, key: &CacheKey, process: Process) -> bool {
        let Some(customer) = key.customer().filter(|_| key.as_str().starts_with('\u{1}')) else {
            return false;
        };
        let erased = self.erased.lock();
        erased
            .iter()
            .any(|(of, who, by)| of == key.tenant() && who == customer && *by != process)
    }

    /// Notes that a key was set.
    pub(super) fn note(&self, key: &CacheKey) {
        self.ever.lock().insert(key.clone());
    }
}

/// A cache that works, behind a layer that alters one rule of it, as one process has it.
pub(super) struct Broken {
    flaw: Option<Flaw>,
    process: Process,
    kept: Arc<Kept>,
    closed: AtomicBool,
    /// What `peek` would show that only remembers.
    peeked: Mutex<HashMap<CacheKey, Bytes>>,
    own: Flights,
    flights: Vec<Flights>,
    calls: AtomicUsize,
}

impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Broken({:?})", self.flaw)
    }
}

impl Broken {
    pub(super) fn new(flaw: Option<Flaw>, process: Process, kept: Arc<Kept>, clock: &ManualClock) -> Self {
        let clock = || Arc::new(clock.clone());
        Self {
            flaw,
            process,
            kept,
            closed: AtomicBool::new(false),
            peeked: Mutex::default(),
            own: Flights::with_clock(clock()),
            flights: (0..64).map(|_| Flights::with_clock(clock())).collect(),
            calls: AtomicUsize::new(0),
        }
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    fn check_open(&self, operation: &'static str) -> Result<()> {
        match self.closed.load(Ordering::SeqCst) {
            true => Err(Error::disconnected("broken", operation)),
            false => Ok(()),
        }
    }

    fn key(&self, key: &CacheKey) -> CacheKey {
        // Only plain keys: a framed one cannot be made here.
        if !self.has(Flaw::SharesTenants) || key.as_str().starts_with('\u{1}') {
            return key.clone();
        }
        let shared = TenantId::new("shared");
        let same = shared.and_then(|tenant| match key.customer() {
            Some(customer) => CacheKey::of_customer(&tenant, &CustomerId::new(customer)?, key.name()),
            None => CacheKey::new(&tenant, key.name()),
        });
        same.unwrap_or_else(|_| key.clone())
    }
}

#[async_trait]
impl CacheStore for Broken {
    fn capabilities(&self) -> CacheCapabilities {
        let mut capabilities = self.kept.inner.capabilities();
        capabilities.shared = true;
        capabilities
    }

    async fn get(&self, key: &CacheKey) -> Result<Option<Bytes>> {
        self.check_open("get")?;
        self.kept.inner.get(&self.key(key)).await
    }

    async fn set(&self, key: &CacheKey, value: Bytes, mut options: SetOptions) -> Result<bool> {
        self.check_open("set")?;
        options.check()?;
        if self.kept.is_held(key, self.process) {
            return Ok(false);
        }
        let key = self.key(key);
        let known = self.kept.ever.lock().contains(&key);
        match self.flaw {
            Some(Flaw::ExpiredCountsAsPresent) if options.condition == SetCondition::IfAbsent && known => {
                return Ok(false);
            }
            Some(Flaw::ExpiredComesToLife) if options.condition == SetCondition::IfPresent && known => {
                options.condition = SetCondition::Always;
            }
            Some(Flaw::LooksThenSets) if options.condition == SetCondition::IfAbsent => {
                if self.kept.inner.get(&key).await?.is_some() {
                    return Ok(false);
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
                options.condition = SetCondition::Always;
            }
            Some(Flaw::NeverExpires) => options.ttl = None,
            Some(Flaw::KeepsTheFirstTtl) if known => options.ttl = Some(Duration::from_millis(300)),
            Some(Flaw::ForgetsLargeValues) if value.len() > self.capabilities().max_value_bytes => {
                return Ok(true);
            }
            _ => {}
        }
        if self.has(Flaw::PeekRemembers) || self.has(Flaw::PeekFetchedRemembers) {
            self.peeked
                .lock()
                .entry(key.clone())
                .or_insert_with(|| value.clone());
        }
        let set = self.kept.inner.set(&key, value, options).await?;
        if set {
            self.kept.note(&key);
        }
        Ok(set)
    }

    async fn del(&self, key: &CacheKey) -> Result<bool> {
        self.check_open("del")?;
        let key = self.key(key);
        let known = self.kept.ever.lock().remove(&key);
        if self.has(Flaw::DeletionLeavesLeases) {
            self.kept.left.lock().insert(key.clone());
        }
        let deleted = self.kept.inner.del(&key).await?;
        Ok(deleted || (known && self.has(Flaw::CountsExpiredAsDeleted)))
    }

    async fn get_many(&self, keys: &[CacheKey]) -> Result<Vec<Option<Bytes>>> {
        let mut values = Vec::with_capacity(keys.len());
        for key in keys {
            let value = self.get(key).await?;
            if value.is_some() || !self.has(Flaw::LeavesOutWhatIsMissing) {
                values.push(value);
            }
        }
        Ok(values)
    }

    async fn erase_customer(&self, tenant: &TenantId, customer: &CustomerId) -> Result<u64> {
        self.check_open("erase_customer")?;
        if !self.has(Flaw::ErasureForgetsFlightsElsewhere) {
            let who = (tenant.to_string(), customer.to_string(), self.process);
            self.kept.erased.lock().insert(who);
        }
        let keys: Vec<CacheKey> = self.kept.ever.lock().iter().cloned().collect();
        let erased = |key: &CacheKey| {
            let framed = key.as_str().starts_with('\u{1}');
            let same = match self.flaw {
                Some(Flaw::ErasureTakesPrefixes) => {
                    key.customer().is_some_and(|of| of.starts_with(customer.as_str()))
                }
                Some(Flaw::ErasureForgetsFetched) if framed => false,
                _ => key.customer() == Some(customer.as_str()),
            };
            same && (key.tenant() == tenant.as_str() || self.has(Flaw::SharesTenants))
        };
        if !self.has(Flaw::ErasureForgetsFlights) {
            self.flights().detach_customer(tenant, customer);
        }
        let mut count = 0;
        for key in keys.iter().filter(|key| erased(key)) {
            count += u64::from(self.kept.inner.del(key).await?);
            self.kept.ever.lock().remove(key);
        }
        Ok(count)
    }

    async fn ping(&self) -> Result<()> {
        self.kept.inner.ping().await
    }

    async fn disconnect(&self) -> Result<()> {
        match self.has(Flaw::WorksAfterDisconnect) {
            true => return Ok(()),
            false => self.closed.store(true, Ordering::SeqCst),
        }
        match self.has(Flaw::DisconnectsEverybody) {
            true => self.kept.inner.disconnect().await,
            false => Ok(()),
        }
    }

    fn leases(&self) -> Option<Arc<dyn FetchLeases>> {
        Some(Arc::new(BrokenLeases {
            flaw: self.flaw,
            process: self.process,
            kept: Arc::clone(&self.kept),
            inner: self.kept.inner.leases()?,
        }))
    }

    fn flights(&self) -> &Flights {
        if self.has(Flaw::FlightsOfTheirOwn) {
            let call = self.calls.fetch_add(1, Ordering::SeqCst);
            return &self.flights[call % self.flights.len()];
        }
        &self.own
    }

    fn peek(&self, key: &CacheKey) -> Option<Bytes> {
        if self.check_open("peek").is_err() && !self.has(Flaw::PeekRemembers) {
            return None;
        }
        match self.has(Flaw::PeekRemembers) {
            true => self.peeked.lock().get(key).cloned(),
            false => self.kept.inner.peek(&self.key(key)),
        }
    }

    fn peek_fetched(&self, key: &CacheKey) -> Option<Bytes> {
        if self.check_open("peek").is_err() {
            return None;
        }
        match self.flaw {
            Some(Flaw::PeekFetchedShowsWhatWasSet) => self.kept.inner.peek(&self.key(key)),
            Some(Flaw::PeekRemembers | Flaw::PeekFetchedRemembers) => {
                let peeked = self.peeked.lock();
                let mut known = peeked.iter();
                let found = known.find(|(known, _)| known.as_str() == key.fetched_str());
                found.map(|(_, value)| value.clone())
            }
            _ => self.kept.inner.peek_fetched(key),
        }
    }
}

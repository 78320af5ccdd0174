//! The cache: bytes under tenant-scoped keys, with a time to live.
//!
//! [`CacheStore`] is the contract; [`CacheStoreExt`] adds JSON values and [`get_or_fetch`](CacheStoreExt::get_or_fetch)
//! with single flight on top of it.

mod ext;
mod fetch;
mod flights;
mod frame;
mod lease;
mod turn;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

pub use ext::CacheStoreExt;
pub use fetch::FetchOptions;
pub use flights::Flights;
pub use lease::{FetchLeases, Lease};

use crate::breaker::{BreakerConfig, CircuitBreaker};
use crate::limiter::RateLimiter;
use crate::{CustomerId, Error, Result, TenantId};

/// A key: the tenant, optionally the customer whose erasure removes it, and a name of the host's.
///
/// The name is 1 to 1,024 bytes without control characters. A clone shares the text. Its `Debug` is redacted.
#[derive(Clone)]
pub struct CacheKey {
    /// `SOH tenant NUL customer-or-nothing NUL name`, so that a framed key is the same text from one byte earlier,
    /// and needs no allocation.
    full: Arc<str>,
    space: Space,
}

/// Whose value a key names.
#[derive(Clone, Copy)]
enum Space {
    /// The host's own, as it was set.
    Plain,
    /// One that `get_or_fetch` keeps, in a frame.
    Framed,
}

/// What the text of a framed key begins with; no tenant has a control character.
const FRAMED: char = '\u{1}';

/// The longest name of a cache key, in bytes.
pub const MAX_CACHE_NAME_BYTES: usize = 1_024;

impl CacheKey {
    /// A key of a tenant.
    ///
    /// # Errors
    /// `InvalidInput` naming `cache_key`.
    pub fn new(tenant: &TenantId, name: impl AsRef<str>) -> Result<Self> {
        Self::join(tenant, "", name.as_ref())
    }

    /// A key that holds something of a customer: the customer's erasure removes it.
    ///
    /// # Errors
    /// `InvalidInput` naming `cache_key`.
    pub fn of_customer(tenant: &TenantId, customer: &CustomerId, name: impl AsRef<str>) -> Result<Self> {
        Self::join(tenant, customer.as_str(), name.as_ref())
    }

    fn join(tenant: &TenantId, customer: &str, name: &str) -> Result<Self> {
        if name.is_empty() || name.len() > MAX_CACHE_NAME_BYTES {
            return Err(Error::invalid("cache_key", "is not 1 to 1,024 bytes long"));
        }
        if name.chars().any(char::is_control) {
            return Err(Error::invalid("cache_key", "contains a control character"));
        }
        Ok(Self {
            full: format!("{FRAMED}{tenant}\0{customer}\0{name}").into(),
            space: Space::Plain,
        })
    }

    /// Where `get_or_fetch` keeps what it fetched for this key: a plain `get` of any key never finds it.
    fn framed(&self) -> Self {
        Self {
            full: Arc::clone(&self.full),
            space: Space::Framed,
        }
    }

    /// The whole key, `tenant NUL customer-or-nothing NUL name`, and before it a SOH where
    /// [`get_or_fetch`](CacheStoreExt::get_or_fetch) keeps its values: what adapters store it under, below a
    /// prefix of their own.
    #[must_use]
    #[inline]
    pub fn as_str(&self) -> &str {
        match self.space {
            Space::Plain => self.plain(),
            Space::Framed => &self.full,
        }
    }

    /// The text of [`as_str`](Self::as_str) under which [`get_or_fetch`](CacheStoreExt::get_or_fetch) keeps its value
    /// for this key, without a key of its own: for [`peek_fetched`](CacheStore::peek_fetched).
    #[must_use]
    #[inline]
    pub fn fetched_str(&self) -> &str {
        &self.full
    }

    #[inline]
    fn plain(&self) -> &str {
        &self.full[FRAMED.len_utf8()..]
    }

    /// The tenant's part.
    #[must_use]
    pub fn tenant(&self) -> &str {
        self.plain().split('\0').next().unwrap_or_default()
    }

    /// The customer's part, where it has one.
    #[must_use]
    pub fn customer(&self) -> Option<&str> {
        self.plain()
            .split('\0')
            .nth(1)
            .filter(|customer| !customer.is_empty())
    }

    /// The host's part.
    #[must_use]
    pub fn name(&self) -> &str {
        self.plain().split('\0').nth(2).unwrap_or_default()
    }

    /// The two beginnings of a customer's keys: of plain ones, and of those of `get_or_fetch`.
    #[must_use]
    pub fn customer_prefixes(tenant: &TenantId, customer: &CustomerId) -> [String; 2] {
        [
            format!("{tenant}\0{customer}\0"),
            format!("{FRAMED}{tenant}\0{customer}\0"),
        ]
    }
}

impl PartialEq for CacheKey {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for CacheKey {}

impl PartialOrd for CacheKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for CacheKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for CacheKey {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CacheKey(redacted)")
    }
}

/// When a set takes place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SetCondition {
    /// Whatever is there.
    #[default]
    Always,
    /// Only when nothing is there, or what is there has expired.
    IfAbsent,
    /// Only when something is there that has not expired.
    IfPresent,
}

/// How to set a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetOptions {
    /// How long it is kept at most; `None` as long as there is room. Zero is `InvalidInput`.
    pub ttl: Option<Duration>,
    /// When to set it.
    pub condition: SetCondition,
}

impl SetOptions {
    /// Kept for so long.
    #[must_use]
    pub const fn ttl(ttl: Duration) -> Self {
        Self {
            ttl: Some(ttl),
            condition: SetCondition::Always,
        }
    }

    /// The same under a condition.
    #[must_use]
    pub const fn when(mut self, condition: SetCondition) -> Self {
        self.condition = condition;
        self
    }

    /// Checks the bounds.
    ///
    /// # Errors
    /// `InvalidInput` naming `ttl`.
    pub fn check(&self) -> Result<()> {
        if self.ttl == Some(Duration::ZERO) {
            return Err(Error::invalid("ttl", "is zero"));
        }
        Ok(())
    }
}

/// What a [`CacheStore`] can do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheCapabilities {
    /// The backend's name, as its configuration value.
    pub backend: Cow<'static, str>,
    /// Whether other processes see what is set here.
    pub shared: bool,
    /// The largest value in bytes; a larger one is `InvalidInput` naming `value`.
    pub max_value_bytes: usize,
    /// `erase_customer`.
    pub erasure: bool,
    /// `ping`.
    pub ping: bool,
}

impl CacheCapabilities {
    /// The least, for one process.
    #[must_use]
    pub fn minimal(backend: impl Into<Cow<'static, str>>, max_value_bytes: usize) -> Self {
        Self {
            backend: backend.into(),
            shared: false,
            max_value_bytes,
            erasure: false,
            ping: false,
        }
    }
}

/// Keeps bytes for a while. It may forget anything at any time, but never returns what was overwritten, deleted
/// or has expired.
///
/// # Errors
/// `InvalidInput` naming `ttl` or `value`; `Unavailable`, `Timeout`, `RateLimited` where there is a server.
#[async_trait]
pub trait CacheStore: Send + Sync + fmt::Debug {
    /// What this backend can do.
    fn capabilities(&self) -> CacheCapabilities;

    /// Reads a value; `None` when nothing is there or it has expired.
    async fn get(&self, key: &CacheKey) -> Result<Option<Bytes>>;

    /// Sets a value; returns whether the condition held and it was set.
    async fn set(&self, key: &CacheKey, value: Bytes, options: SetOptions) -> Result<bool>;

    /// Deletes a value; returns whether one was there.
    async fn del(&self, key: &CacheKey) -> Result<bool>;

    /// Reads several values, in the order of the keys; one round trip per node where there is a server.
    async fn get_many(&self, keys: &[CacheKey]) -> Result<Vec<Option<Bytes>>> {
        let mut values = Vec::with_capacity(keys.len());
        for key in keys {
            values.push(self.get(key).await?);
        }
        Ok(values)
    }

    /// Sets several values under the same options; returns for each whether it was set.
    async fn set_many(&self, entries: Vec<(CacheKey, Bytes)>, options: SetOptions) -> Result<Vec<bool>> {
        let mut set = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            set.push(self.set(&key, value, options).await?);
        }
        Ok(set)
    }

    /// Deletes several values; returns how many were there.
    async fn del_many(&self, keys: &[CacheKey]) -> Result<u64> {
        let mut deleted = 0;
        for key in keys {
            deleted += u64::from(self.del(key).await?);
        }
        Ok(deleted)
    }

    /// Deletes everything whose key carries the customer; returns how much was there.
    async fn erase_customer(&self, tenant: &TenantId, customer: &CustomerId) -> Result<u64> {
        let _ = (tenant, customer);
        Err(Error::unsupported(self.capabilities().backend, "erase_customer"))
    }

    /// Asks the backend for a sign of life. `Unsupported` means unknown, not down.
    async fn ping(&self) -> Result<()> {
        Err(Error::unsupported(self.capabilities().backend, "ping"))
    }

    /// Lets go. Later calls answer `Unavailable`, not applied. Idempotent.
    async fn disconnect(&self) -> Result<()>;

    /// A rate limiter on the same servers, where the backend has one. It shares the cache's connections, and ends with its
    /// `disconnect`. Wrappers hand it on as it is.
    fn limiter(&self) -> Option<Arc<dyn RateLimiter>> {
        None
    }

    /// Circuit breakers on the same servers, where the backend has them, under this configuration. They share the cache's
    /// connections, and end with its `disconnect`. Wrappers hand them on as they are.
    ///
    /// # Errors
    /// `InvalidInput` naming what of the configuration is out of bounds.
    fn breaker(&self, config: BreakerConfig) -> Result<Option<Arc<dyn CircuitBreaker>>> {
        config.check()?;
        Ok(None)
    }

    /// Leases on keys, where the backend has them: of all processes that share it one fetches. They share the cache's
    /// connections, and end with its `disconnect`. Wrappers hand them on as they are;
    /// [`get_or_fetch`](CacheStoreExt::get_or_fetch) uses them where [`FetchOptions::lease`] says so.
    fn leases(&self) -> Option<Arc<dyn FetchLeases>> {
        None
    }

    /// Where callers of one key meet, so that single flight holds across clones and wrappers.
    fn flights(&self) -> &Flights;

    /// Reads from process memory without a future; `None` when nothing is there, or the backend has no such
    /// memory.
    fn peek(&self, key: &CacheKey) -> Option<Bytes> {
        let _ = key;
        None
    }

    /// What [`peek`](Self::peek) answers for the key under which [`get_or_fetch`](CacheStoreExt::get_or_fetch) keeps
    /// its value for this one: bytes that only `get_or_fetch` can read. It asks here first, on every call; a backend
    /// that has a `peek` looks up [`fetched_str`](CacheKey::fetched_str) and saves making that key.
    fn peek_fetched(&self, key: &CacheKey) -> Option<Bytes> {
        self.peek(&key.framed())
    }
}

const _: fn(&dyn CacheStore) = |_| {};

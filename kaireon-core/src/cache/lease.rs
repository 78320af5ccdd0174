//! Leases: of several processes, one fetches.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::CacheKey;
use crate::Result;

/// What became of asking for a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lease {
    /// It is this caller's.
    Granted {
        /// Higher than that of any lease on the key before.
        token: u64,
        /// What lies under the key now: whoever held the lease before may just have kept it.
        found: Option<Bytes>,
    },
    /// Another one has it, for so long at most.
    Held(Duration),
}

/// The right to fetch what lies under a key, for one of all processes that share a cache.
///
/// A lease is by the backend's clock, and ends by itself. What its holder brings after that is kept only as long as nobody
/// else was granted one: the token of a lease fences off those before it.
///
/// # Errors
/// `InvalidInput` naming `value` or `ttl`; `Unsupported` for a key on which the backend can have none; `Unavailable`,
/// `Timeout`, `RateLimited`.
#[async_trait]
pub trait FetchLeases: Send + Sync + fmt::Debug {
    /// Asks for the lease on a key, for so long.
    ///
    /// # Dropped futures
    /// The lease may have been granted, and then stands until it ends.
    async fn take(&self, key: &CacheKey, lasting: Duration) -> Result<Lease>;

    /// Sets the value for so long, and ends the lease, if that token is the latest that was granted on the key, what
    /// [`get_or_fetch`](super::CacheStoreExt::get_or_fetch) kept there was not invalidated since, and the customer was not
    /// erased; returns whether it was set. A backend may forget a token some time after its lease has ended, and answers
    /// `false` then. Whether a `del` of another key ends a lease on it is the backend's choice.
    ///
    /// # Dropped futures
    /// Both or neither may have happened.
    async fn keep(&self, key: &CacheKey, value: Bytes, ttl: Duration, token: u64) -> Result<bool>;

    /// Ends the lease of that token, if it is still the latest.
    ///
    /// # Dropped futures
    /// The lease may stand until it ends.
    async fn release(&self, key: &CacheKey, token: u64) -> Result<()>;
}

const _: fn(&dyn FetchLeases) = |_| {};

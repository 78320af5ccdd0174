//! What every cache gains on top of the contract.

use std::future::Future;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{CacheKey, CacheStore, FetchOptions, SetOptions, fetch};
use crate::{Error, ErrorKind, Result};

/// JSON values and single flight over any [`CacheStore`].
///
/// ```
/// # use kaireon_core::cache::{CacheKey, CacheStore, CacheStoreExt, FetchOptions};
/// # use kaireon_core::{Result, TenantId};
/// # use std::time::Duration;
/// async fn profile(cache: &dyn CacheStore, tenant: &TenantId) -> Result<Option<bytes::Bytes>> {
///     let key = CacheKey::new(tenant, "profile:7")?;
///     let options = FetchOptions::ttl(Duration::from_secs(60))
///         .with_stale_while_revalidate(Duration::from_secs(10))
///         .with_stale_if_error(Duration::from_secs(600));
///     cache
///         .get_or_fetch(&key, options, || async { Ok(Some("from the source".into())) })
///         .await
/// }
/// ```
pub trait CacheStoreExt: CacheStore {
    /// Reads a value, or has it fetched by one of the callers that miss it at the same time; `None` when the fetch
    /// found nothing.
    ///
    /// - Of the concurrent callers of a key, on whatever clone, wrapper or `Arc` of the cache in this process, one
    ///   fetches and all get what it got. A fetch that fails answers all who waited with the same error; who comes
    ///   later fetches anew.
    /// - The caller whose fetch runs may go away: one of those who wait then runs its own.
    /// - With [`stale_while_revalidate`](FetchOptions::stale_while_revalidate), one caller fetches and the others
    ///   get the stale value at once; no task is spawned. With
    ///   [`stale_if_error`](FetchOptions::stale_if_error), a fetch that fails is answered with the stale value.
    /// - With a [`lease`](FetchOptions::lease), and a cache that has leases, that holds for all processes that share it: one
    ///   fetches, the others look every 5 to 100 ms whether it has, or ask for the lease in its place. A fetch that takes
    ///   longer than the lease may be made again elsewhere, and is kept only if it was not. Whoever has waited for as long as
    ///   a lease lasts fetches for itself, and keeps nothing. A lease that cannot be had is no reason not to fetch. It costs two commands for each fetch, one of which is in the place of the `set`.
    /// - What is fetched lies under a key of its own: `get`, `set` and `del` of the same key do not touch it,
    ///   [`invalidate`](Self::invalidate) and the customer's erasure remove it.
    /// - A cache that cannot be read or written does not fail the call: the value is fetched, and not kept.
    ///
    /// # Errors
    /// `InvalidInput` naming a field of the options; otherwise those of the fetch.
    ///
    /// # Dropped futures
    /// Leave nothing behind, and strand nobody; a lease is released by a task. Where there is no
    /// runtime any more, or the process dies, others wait for its end.
    fn get_or_fetch<F, Fut>(
        &self,
        key: &CacheKey,
        options: FetchOptions,
        fetch: F,
    ) -> impl Future<Output = Result<Option<Bytes>>> + Send
    where
        F: FnOnce() -> Fut + Send,
        Fut: Future<Output = Result<Option<Bytes>>> + Send,
    {
        fetch::get_or_fetch(self, key, options, fetch)
    }

    /// Removes what [`get_or_fetch`](Self::get_or_fetch) keeps for a key; returns whether something was there.
    /// A fetch that is under way in this process, or under a lease in another one, answers those who wait for it, and is not
    /// kept.
    ///
    /// # Errors
    /// As for `del`.
    fn invalidate(&self, key: &CacheKey) -> impl Future<Output = Result<bool>> + Send {
        async move {
            let key = key.framed();
            self.flights().detach(&key);
            self.del(&key).await
        }
    }

    /// Reads a JSON value.
    ///
    /// # Errors
    /// As for `get`; `Corrupt` when what is there is not JSON of this type.
    fn get_json<T: DeserializeOwned>(
        &self,
        key: &CacheKey,
    ) -> impl Future<Output = Result<Option<T>>> + Send {
        async move {
            let Some(bytes) = self.get(key).await? else {
                return Ok(None);
            };
            let read = serde_json::from_slice(&bytes);
            // Without the source: its text may quote the value, which may be personal.
            read.map(Some).map_err(|_| {
                Error::new(
                    ErrorKind::Corrupt,
                    "the cached value is not json of the expected type",
                )
                .with_backend(self.capabilities().backend)
                .with_operation("get_json")
            })
        }
    }

    /// Sets a JSON value; returns whether the condition held and it was set.
    ///
    /// # Errors
    /// As for `set`; `InvalidInput` naming `value` when it cannot be written as JSON.
    fn set_json<T: Serialize + Sync>(
        &self,
        key: &CacheKey,
        value: &T,
        options: SetOptions,
    ) -> impl Future<Output = Result<bool>> + Send {
        async move {
            let bytes = serde_json::to_vec(value)
                .map_err(|_| Error::invalid("value", "cannot be written as json"))?;
            self.set(key, bytes.into(), options).await
        }
    }
}

impl<C: CacheStore + ?Sized> CacheStoreExt for C {}

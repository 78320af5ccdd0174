//! How the suite gets at a cache, and what its cases share.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use kaireon_core::cache::{CacheKey, CacheStore, CacheStoreExt, FetchOptions};
use kaireon_core::time::ManualClock;
use kaireon_core::{CustomerId, Result, TenantId};

use crate::Wrapped;
use crate::suite::{marker, run_number};

/// What a fetch of a case brings.
pub type Fetched = Result<Option<Vec<u8>>>;

/// A fetch, as a case hands it to [`CacheFixture::get_or_fetch`].
pub type Fetch = Pin<Box<dyn Future<Output = Fetched> + Send>>;

/// Opens a cache for the cases of the suite. Each case gets a fixture of its own.
#[async_trait]
pub trait CacheFixture: Send + Sync {
    /// A live handle. May be called again while another is live: then it gives the same one, or a second one that
    /// sees what the first sets and shares its flights.
    async fn open(&self) -> Arc<dyn CacheStore>;

    /// A live handle as another process has it: it shares what is kept, and nothing in memory. Asked for where the
    /// cache's capabilities say that it is shared, and there is one then.
    async fn open_elsewhere(&self) -> Option<Arc<dyn CacheStore>> {
        None
    }

    /// Cleans up. Called once, also after a case that failed.
    async fn close(&self) {}

    /// The clock that the cache and its flights were given, where they accept one; otherwise cases wait for real
    /// time.
    fn clock(&self) -> Option<ManualClock> {
        None
    }

    /// `get_or_fetch` on a handle. Broken variants override it; a backend has no reason to.
    async fn get_or_fetch(
        &self,
        cache: Arc<dyn CacheStore>,
        key: CacheKey,
        options: FetchOptions,
        fetch: Fetch,
    ) -> Fetched {
        let fetched = cache.get_or_fetch(&key, options, || async { Ok(fetch.await?.map(Into::into)) });
        Ok(fetched.await?.map(|value| value.to_vec()))
    }
}

#[async_trait]
impl<F, W> CacheFixture for Wrapped<F, W>
where
    F: CacheFixture,
    W: Fn(Arc<dyn CacheStore>) -> Arc<dyn CacheStore> + Send + Sync,
{
    async fn open(&self) -> Arc<dyn CacheStore> {
        (self.1)(self.0.open().await)
    }

    async fn open_elsewhere(&self) -> Option<Arc<dyn CacheStore>> {
        self.0.open_elsewhere().await.map(&self.1)
    }

    async fn close(&self) {
        self.0.close().await;
    }

    fn clock(&self) -> Option<ManualClock> {
        self.0.clock()
    }
}

/// A tenant of this run's own.
pub(super) fn tenant(name: &str) -> TenantId {
    TenantId::new(format!("t{}-{name}", run_number())).unwrap()
}

/// A customer of this run's own.
pub(super) fn customer(name: &str) -> CustomerId {
    CustomerId::new(format!("{}{name}", marker(run_number()))).unwrap()
}

/// A key of a tenant of this run's own.
pub(super) fn key(name: &str) -> CacheKey {
    CacheKey::new(&tenant("a"), name).unwrap()
}

/// Lets time pass, by the cache's clock or in truth.
pub(super) async fn pass(fixture: &dyn CacheFixture, time: Duration) {
    match fixture.clock() {
        Some(clock) => clock.advance(TimeDelta::from_std(time).unwrap()),
        None => tokio::time::sleep(time).await,
    }
}

/// A fetch that brings a value at once.
pub(super) fn bring(value: &str) -> Fetch {
    let value = value.as_bytes().to_vec();
    Box::pin(async move { Ok(Some(value)) })
}

/// A fetch that must not be run.
pub(super) fn never() -> Fetch {
    Box::pin(async { panic!("it was fetched, though it need not be") })
}

/// Counts fetches.
#[derive(Clone, Default)]
pub(super) struct Count(Arc<AtomicUsize>);

impl Count {
    pub(super) fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    /// The same fetch, counted when it begins.
    pub(super) fn of(&self, fetch: Fetch) -> Fetch {
        let count = self.clone();
        Box::pin(async move {
            count.0.fetch_add(1, Ordering::SeqCst);
            fetch.await
        })
    }
}

//! A caller whose look into the cache is overtaken by the flight of another.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use kaireon_cache::{InProcessCache, InProcessCacheConfig};
use kaireon_core::cache::{CacheCapabilities, CacheKey, CacheStore, FetchOptions, Flights, SetOptions};
use kaireon_core::{CacheStoreExt, Result, TenantId};
use tokio::sync::Notify;

/// A cache whose next answer takes its time on the way back.
#[derive(Debug)]
struct Delayed {
    inner: InProcessCache,
    next: AtomicBool,
    arrive: Notify,
}

#[async_trait]
impl CacheStore for Delayed {
    fn capabilities(&self) -> CacheCapabilities {
        self.inner.capabilities()
    }

    async fn get(&self, key: &CacheKey) -> Result<Option<Bytes>> {
        let answer = self.inner.get(key).await;
        if self.next.swap(false, Ordering::SeqCst) {
            self.arrive.notified().await;
        }
        answer
    }

    async fn set(&self, key: &CacheKey, value: Bytes, options: SetOptions) -> Result<bool> {
        self.inner.set(key, value, options).await
    }

    async fn del(&self, key: &CacheKey) -> Result<bool> {
        self.inner.del(key).await
    }

    async fn disconnect(&self) -> Result<()> {
        self.inner.disconnect().await
    }

    fn flights(&self) -> &Flights {
        self.inner.flights()
    }
}

#[tokio::test]
async fn a_caller_whose_look_was_overtaken_by_a_flight_does_not_fetch_again() {
    let cache = Arc::new(Delayed {
        inner: InProcessCache::new(InProcessCacheConfig::default()).unwrap(),
        next: AtomicBool::new(true),
        arrive: Notify::new(),
    });
    let key = CacheKey::new(&TenantId::new("t").unwrap(), "k").unwrap();
    let options = FetchOptions::ttl(Duration::from_secs(60));
    let late = {
        let (cache, key) = (Arc::clone(&cache), key.clone());
        tokio::spawn(async move {
            let fetch = || async { panic!("it was fetched, though another had just done so") };
            cache.get_or_fetch(&key, options, fetch).await
        })
    };
    while cache.next.load(Ordering::SeqCst) {
        tokio::task::yield_now().await;
    }
    // The late one has looked and found nothing; its answer is on the way.
    let value = Bytes::from_static(b"v");
    let fetched = cache
        .get_or_fetch(&key, options, || async { Ok(Some(value.clone())) })
        .await;
    assert_eq!(fetched.unwrap(), Some(value.clone()));
    cache.arrive.notify_one();
    assert_eq!(late.await.unwrap().unwrap(), Some(value));
    assert_eq!(cache.flights().in_flight(), 0);
}

//! Opens broken caches, and fetches over them as broken fetches do.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use kaireon_core::cache::{CacheKey, CacheStore, CacheStoreExt, FetchOptions, SetOptions};
use kaireon_core::time::{ManualClock, from_millis};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::cache::{Broken, Kept};
use super::flaw::Flaw;
use crate::cache::{CacheFixture, Fetch, Fetched};

/// Opens caches with a flaw, or sound ones.
#[derive(Clone, Debug)]
pub struct Fixture {
    flaw: Option<Flaw>,
    clock: ManualClock,
    cache: Arc<Broken>,
    elsewhere: Arc<Broken>,
    table: Arc<Mutex<HashMap<CacheKey, Stranding>>>,
    failures: Arc<Mutex<HashMap<CacheKey, kaireon_core::Error>>>,
}

/// A flight whose channel nobody closes.
type Stranding = (watch::Sender<Option<Fetched>>, watch::Receiver<Option<Fetched>>);

impl Fixture {
    /// A fixture.
    ///
    /// # Panics
    /// Never: the time it begins at can be expressed.
    #[must_use]
    pub fn new(flaw: Option<Flaw>) -> Self {
        let clock = ManualClock::at(from_millis(1_700_000_000_000).expect("a time of 2023"));
        let kept = Arc::new(Kept::new(&clock));
        let theirs = match flaw {
            Some(Flaw::KeepsForItself) => Arc::new(Kept::new(&clock)),
            _ => Arc::clone(&kept),
        };
        let cache = Arc::new(Broken::new(flaw, 0, kept, &clock));
        let elsewhere = Arc::new(Broken::new(flaw, 1, theirs, &clock));
        Self {
            flaw,
            clock,
            cache,
            elsewhere,
            table: Arc::default(),
            failures: Arc::default(),
        }
    }

    /// As a first attempt at single flight would be.
    async fn stranding(
        &self,
        cache: Arc<dyn CacheStore>,
        key: CacheKey,
        options: FetchOptions,
        fetch: Fetch,
    ) -> Fetched {
        let waiting = {
            let mut table = self.table.lock();
            let waiting = table.get(&key).map(|(_, outcome)| outcome.clone());
            if waiting.is_none() {
                table.insert(key.clone(), watch::channel(None));
            }
            waiting
        };
        if let Some(mut waiting) = waiting {
            let fetched = waiting.wait_for(Option::is_some).await;
            return fetched
                .ok()
                .and_then(|fetched| fetched.clone())
                .expect("the channel is never closed");
        }
        let fetched = through(&*cache, &key, options, fetch).await;
        if let Some((sender, _)) = self.table.lock().remove(&key) {
            sender.send_replace(Some(fetched.clone()));
        }
        fetched
    }
}

async fn through(cache: &dyn CacheStore, key: &CacheKey, options: FetchOptions, fetch: Fetch) -> Fetched {
    let fetched = cache.get_or_fetch(key, options, || async { Ok(fetch.await?.map(Into::into)) });
    Ok(fetched.await?.map(|value| value.to_vec()))
}

#[async_trait]
impl CacheFixture for Fixture {
    async fn open(&self) -> Arc<dyn CacheStore> {
        Arc::<Broken>::clone(&self.cache)
    }

    async fn open_elsewhere(&self) -> Option<Arc<dyn CacheStore>> {
        Some(Arc::<Broken>::clone(&self.elsewhere))
    }

    fn clock(&self) -> Option<ManualClock> {
        Some(self.clock.clone())
    }

    async fn get_or_fetch(
        &self,
        cache: Arc<dyn CacheStore>,
        key: CacheKey,
        mut options: FetchOptions,
        fetch: Fetch,
    ) -> Fetched {
        options.check()?;
        match self.flaw {
            Some(Flaw::StrandsWaiters) => return self.stranding(cache, key, options, fetch).await,
            Some(Flaw::RemembersFailures) => {
                if let Some(error) = self.failures.lock().get(&key) {
                    return Err(error.clone());
                }
                let fetched = through(&*cache, &key, options, fetch).await;
                if let Err(error) = &fetched {
                    self.failures.lock().insert(key, error.clone());
                }
                return fetched;
            }
            Some(Flaw::KeepsUnderThePlainKey) => {
                let fetched = through(&*cache, &key, options, fetch).await;
                if let Ok(Some(value)) = &fetched {
                    let keep = SetOptions::ttl(options.ttl);
                    cache.set(&key, Bytes::copy_from_slice(value), keep).await?;
                }
                return fetched;
            }
            Some(Flaw::RemembersAbsence) => {
                options.negative_ttl = options.negative_ttl.or(Some(Duration::from_secs(60)));
            }
            Some(Flaw::WaitsForRevalidation) => {
                // Kept as long, but shown to nobody who could wait.
                options.stale_if_error = options.stale_if_error.max(options.stale_while_revalidate);
                options.stale_while_revalidate = Duration::ZERO;
            }
            Some(Flaw::IgnoresStaleIfError) => options.stale_if_error = Duration::ZERO,
            Some(Flaw::ShowsStaleUnasked) => options.stale_if_error = Duration::from_secs(600),
            Some(Flaw::IgnoresJitter) => options.jitter_percent = 0,
            _ => {}
        }
        through(&*cache, &key, options, fetch).await
    }
}

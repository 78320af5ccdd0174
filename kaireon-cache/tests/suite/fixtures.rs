//! The in-process backend under both kinds of clock, and through the wrappers.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kaireon_cache::{
    InProcessBreaker, InProcessCache, InProcessCacheConfig, InProcessLimiter, InProcessLimiterConfig,
};
use kaireon_core::CacheStore;
use kaireon_core::breaker::{BreakerConfig, CircuitBreaker};
use kaireon_core::limiter::RateLimiter;
use kaireon_core::time::{ManualClock, from_millis};
use kaireon_core::wrap::{ConcurrencyLimit, Retry, RetryPolicy, Timeout, Trace};
use kaireon_testkit::breaker::BreakerFixture;
use kaireon_testkit::cache::CacheFixture;
use kaireon_testkit::limiter::LimiterFixture;

/// Handles of one thing, under a clock that cases move.
pub(super) struct Manual<T>(ManualClock, T);

/// Handles of one thing, under the machine's clock.
pub(super) struct Machine<T>(T);

/// Breakers are made when they are asked for.
pub(super) struct Later;

fn clock() -> ManualClock {
    ManualClock::at(from_millis(1_700_000_000_000).unwrap())
}

impl Manual<Arc<InProcessCache>> {
    pub(super) fn cache() -> Self {
        let clock = clock();
        let cache = InProcessCache::with_clock(InProcessCacheConfig::default(), Arc::new(clock.clone()));
        Self(clock, Arc::new(cache.unwrap()))
    }
}

impl Manual<Arc<InProcessLimiter>> {
    pub(super) fn limiter() -> Self {
        let clock = clock();
        let limiter =
            InProcessLimiter::with_clock(InProcessLimiterConfig::default(), Arc::new(clock.clone()));
        Self(clock, Arc::new(limiter.unwrap()))
    }
}

impl Manual<Later> {
    pub(super) fn breaker() -> Self {
        Self(clock(), Later)
    }
}

impl Machine<Arc<InProcessCache>> {
    pub(super) fn cache() -> Self {
        Self(Arc::new(
            InProcessCache::new(InProcessCacheConfig::default()).unwrap(),
        ))
    }
}

impl Machine<Arc<InProcessLimiter>> {
    pub(super) fn limiter() -> Self {
        Self(Arc::new(
            InProcessLimiter::new(InProcessLimiterConfig::default()).unwrap(),
        ))
    }
}

impl Machine<Later> {
    pub(super) fn breaker() -> Self {
        Self(Later)
    }
}

#[async_trait]
impl CacheFixture for Manual<Arc<InProcessCache>> {
    async fn open(&self) -> Arc<dyn CacheStore> {
        Arc::<InProcessCache>::clone(&self.1)
    }

    fn clock(&self) -> Option<ManualClock> {
        Some(self.0.clone())
    }
}

#[async_trait]
impl CacheFixture for Machine<Arc<InProcessCache>> {
    async fn open(&self) -> Arc<dyn CacheStore> {
        Arc::<InProcessCache>::clone(&self.0)
    }
}

#[async_trait]
impl LimiterFixture for Manual<Arc<InProcessLimiter>> {
    async fn open(&self) -> Arc<dyn RateLimiter> {
        Arc::<InProcessLimiter>::clone(&self.1)
    }

    fn clock(&self) -> Option<ManualClock> {
        Some(self.0.clone())
    }
}

#[async_trait]
impl LimiterFixture for Machine<Arc<InProcessLimiter>> {
    async fn open(&self) -> Arc<dyn RateLimiter> {
        Arc::<InProcessLimiter>::clone(&self.0)
    }
}

#[async_trait]
impl BreakerFixture for Manual<Later> {
    async fn open(&self, config: BreakerConfig) -> Arc<dyn CircuitBreaker> {
        Arc::new(InProcessBreaker::with_clock(config, Arc::new(self.0.clone())).unwrap())
    }

    fn clock(&self) -> Option<ManualClock> {
        Some(self.0.clone())
    }
}

#[async_trait]
impl BreakerFixture for Machine<Later> {
    async fn open(&self, config: BreakerConfig) -> Arc<dyn CircuitBreaker> {
        Arc::new(InProcessBreaker::new(config).unwrap())
    }
}

const LONG: Duration = Duration::from_secs(120);

pub(super) fn wrapped_cache(cache: Arc<dyn CacheStore>) -> Arc<dyn CacheStore> {
    let limited = Timeout::new(ConcurrencyLimit::new(cache, 2_000), LONG);
    Arc::new(Trace::new(Retry::new(limited, RetryPolicy::default())))
}

pub(super) fn wrapped_limiter(limiter: Arc<dyn RateLimiter>) -> Arc<dyn RateLimiter> {
    let limited = Timeout::new(ConcurrencyLimit::new(limiter, 64), LONG);
    Arc::new(Trace::new(Retry::new(limited, RetryPolicy::default())))
}

pub(super) fn wrapped_breaker(breaker: Arc<dyn CircuitBreaker>) -> Arc<dyn CircuitBreaker> {
    let limited = Timeout::new(ConcurrencyLimit::new(breaker, 64), LONG);
    Arc::new(Trace::new(Retry::new(limited, RetryPolicy::default())))
}

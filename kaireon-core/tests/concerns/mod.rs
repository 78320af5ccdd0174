//! The suites of publisher, cache, limiter, breaker and settings, on the in-memory reference.

use std::sync::Arc;

use async_trait::async_trait;
use kaireon_core::breaker::{BreakerConfig, CircuitBreaker};
use kaireon_core::limiter::RateLimiter;
use kaireon_core::memory::{MemoryBreaker, MemoryCache, MemoryLimiter, MemoryPublisher, MemorySettings};
use kaireon_core::time::{ManualClock, from_millis};
use kaireon_core::{CacheStore, EventPublisher, SettingsStore};
use kaireon_testkit::Wrapped;
use kaireon_testkit::breaker::BreakerFixture;
use kaireon_testkit::cache::CacheFixture;
use kaireon_testkit::limiter::LimiterFixture;
use kaireon_testkit::publisher::PublisherFixture;
use kaireon_testkit::settings::SettingsFixture;

/// One of each, under a clock that the cases move.
struct Reference {
    clock: ManualClock,
    cache: Arc<MemoryCache>,
    limiter: Arc<MemoryLimiter>,
}

impl Reference {
    fn new() -> Self {
        let clock = ManualClock::at(from_millis(1_700_000_000_000).unwrap());
        Self {
            cache: Arc::new(MemoryCache::with_clock(Arc::new(clock.clone()))),
            limiter: Arc::new(MemoryLimiter::with_clock(Arc::new(clock.clone()))),
            clock,
        }
    }
}

#[async_trait]
impl PublisherFixture for Reference {
    async fn open(&self) -> Arc<dyn EventPublisher> {
        Arc::new(MemoryPublisher::new())
    }
}

#[async_trait]
impl CacheFixture for Reference {
    async fn open(&self) -> Arc<dyn CacheStore> {
        Arc::<MemoryCache>::clone(&self.cache)
    }

    fn clock(&self) -> Option<ManualClock> {
        Some(self.clock.clone())
    }
}

#[async_trait]
impl LimiterFixture for Reference {
    async fn open(&self) -> Arc<dyn RateLimiter> {
        Arc::<MemoryLimiter>::clone(&self.limiter)
    }

    fn clock(&self) -> Option<ManualClock> {
        Some(self.clock.clone())
    }
}

#[async_trait]
impl BreakerFixture for Reference {
    async fn open(&self, config: BreakerConfig) -> Arc<dyn CircuitBreaker> {
        Arc::new(MemoryBreaker::with_clock(config, Arc::new(self.clock.clone())).unwrap())
    }

    fn clock(&self) -> Option<ManualClock> {
        Some(self.clock.clone())
    }
}

mod publisher {
    kaireon_testkit::publisher_suite!(super::Reference::new());
}

mod cache {
    kaireon_testkit::cache_suite!(super::Reference::new());
}

mod limiter {
    kaireon_testkit::limiter_suite!(super::Reference::new());
}

mod breaker {
    kaireon_testkit::breaker_suite!(super::Reference::new());
}

/// Settings that no other case shares.
struct Settings(MemorySettings);

#[async_trait]
impl SettingsFixture for Settings {
    async fn open(&self) -> Arc<dyn SettingsStore> {
        Arc::new(self.0.open_again())
    }
}

fn boxed(store: Arc<dyn SettingsStore>) -> Arc<dyn SettingsStore> {
    Arc::new(Box::new(store) as Box<dyn SettingsStore>)
}

mod settings {
    use kaireon_core::memory::MemorySettings;

    kaireon_testkit::settings_suite!(super::Settings(MemorySettings::new()));
}

mod settings_through_arc_and_box {
    use kaireon_core::memory::MemorySettings;

    kaireon_testkit::settings_suite!(super::Wrapped(
        super::Settings(MemorySettings::new()),
        super::boxed
    ));
}

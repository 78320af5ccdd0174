//! The event stream, cache, rate limits and circuit breakers of this process alone.

use std::sync::Arc;

use kaireon_cache::{InProcessBreaker, InProcessCache, InProcessCacheConfig};
use kaireon_cache::{InProcessLimiter, InProcessLimiterConfig};
use kaireon_core::breaker::{BreakerConfig, CircuitBreaker};
use kaireon_core::limiter::RateLimiter;
use kaireon_core::{CacheStore, EventPublisher, Result};
use kaireon_events::{InProcessPublisher, InProcessPublisherConfig};

use super::{Adapter, Connect, Connecting};
use crate::Config;

pub(super) static PUBLISHER: Adapter<dyn EventPublisher> = Adapter {
    names: &["in-process", "in_process"],
    needs: &[],
    stand_in: None,
    offered_by: None,
    check: |config| publisher_config(config).map(drop),
    place: |_| String::new(),
    shared: false,
    tables: None,
    connect: Connect::With(publisher),
};

pub(super) static CACHE: Adapter<dyn CacheStore> = Adapter {
    names: &["in-process", "in_process"],
    needs: &[],
    stand_in: None,
    offered_by: None,
    check: |config| cache_config(config).map(drop),
    place: |_| String::new(),
    shared: false,
    tables: None,
    connect: Connect::With(cache),
};

fn publisher_config(config: &Config) -> Result<InProcessPublisherConfig> {
    InProcessPublisherConfig::from_vars(|name| config.extra.get(name).cloned())
}

fn cache_config(config: &Config) -> Result<InProcessCacheConfig> {
    InProcessCacheConfig::from_vars(|name| config.extra.get(name).cloned())
}

fn publisher(config: &Config) -> Connecting<dyn EventPublisher> {
    let settings = publisher_config(config);
    Box::pin(async move { Ok(Arc::new(InProcessPublisher::new(settings?)?) as Arc<dyn EventPublisher>) })
}

fn cache(config: &Config) -> Connecting<dyn CacheStore> {
    let settings = cache_config(config);
    Box::pin(async move { Ok(Arc::new(InProcessCache::new(settings?)?) as Arc<dyn CacheStore>) })
}

/// The rate limiter of this process.
pub(crate) fn limiter() -> Result<Arc<dyn RateLimiter>> {
    Ok(Arc::new(
        InProcessLimiter::new(InProcessLimiterConfig::default())?,
    ))
}

/// The circuit breakers of this process.
pub(crate) fn breaker() -> Result<Arc<dyn CircuitBreaker>> {
    Ok(Arc::new(InProcessBreaker::new(BreakerConfig::default())?))
}

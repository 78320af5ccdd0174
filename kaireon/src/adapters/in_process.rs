//! The event stream, cache, rate limits and circuit breakers of this process alone.

use std::sync::Arc;

use kaireon_cache::{
    InProcessBreaker, InProcessCache, InProcessCacheConfig, InProcessLimiter, InProcessLimiterConfig,
    MAX_BYTES_VARIABLE, MAX_VALUE_BYTES_VARIABLE,
};
use kaireon_core::breaker::{BreakerConfig, CircuitBreaker};
use kaireon_core::limiter::RateLimiter;
use kaireon_core::{CacheStore, EventPublisher, Result};
use kaireon_events::{InProcessPublisher, InProcessPublisherConfig};

use super::{Adapter, Connect, Connecting, Vars};
use crate::Config;

const NAME: &str = "in-process";

pub(super) static PUBLISHER: Adapter<dyn EventPublisher> = Adapter {
    names: &[NAME, "in_process"],
    needs: &[],
    stand_in: None,
    offered_by: None,
    check: |config| Vars::problems(config, NAME, |vars| publisher_config(vars)?.check()),
    place: |_| String::new(),
    shared: false,
    tables: None,
    connect: Connect::With(publisher),
};

pub(super) static CACHE: Adapter<dyn CacheStore> = Adapter {
    names: &[NAME, "in_process"],
    needs: &[],
    stand_in: None,
    offered_by: None,
    check: |config| {
        Vars::problems(config, NAME, |vars| {
            cache_config(vars)?.check().map_err(|error| match error.field() {
                Some("max_bytes") => error.with_field(MAX_BYTES_VARIABLE),
                Some("max_value_bytes") => error.with_field(MAX_VALUE_BYTES_VARIABLE),
                _ => error,
            })
        })
    },
    place: |_| String::new(),
    shared: false,
    tables: None,
    connect: Connect::With(cache),
};

fn publisher_config(vars: &Vars<'_>) -> Result<InProcessPublisherConfig> {
    InProcessPublisherConfig::from_vars(|name| vars.get(name))
}

fn cache_config(vars: &Vars<'_>) -> Result<InProcessCacheConfig> {
    InProcessCacheConfig::from_vars(|name| vars.get(name))
}

fn publisher(config: &Config) -> Connecting<dyn EventPublisher> {
    let settings = publisher_config(&Vars::of(config));
    Box::pin(async move { Ok(Arc::new(InProcessPublisher::new(settings?)?) as Arc<dyn EventPublisher>) })
}

fn cache(config: &Config) -> Connecting<dyn CacheStore> {
    let settings = cache_config(&Vars::of(config));
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

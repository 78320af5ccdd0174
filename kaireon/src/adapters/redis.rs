//! The cache and the event stream on Redis: one for every process that reaches the same server.

use kaireon_core::{CacheStore, EventPublisher};

use super::place::hashed;
use super::{Adapter, Connect, Variable, disabled};
use crate::Config;
use crate::problem::Problem;

pub(super) static CACHE: Adapter<dyn CacheStore> = Adapter {
    names: &["redis"],
    needs: &[Variable::RedisUrl],
    stand_in: None,
    offered_by: Some(Variable::RedisUrl),
    check: check_cache,
    place: |config| hashed(config, config.redis_url.as_deref(), is_read_by_cache),
    shared: true,
    tables: None,
    #[cfg(feature = "redis")]
    connect: Connect::With(with::cache),
    #[cfg(not(feature = "redis"))]
    connect: Connect::Without { feature: "redis" },
};

/// Fire and forget: a host without Redis at hand, such as a developer's machine, goes on without a stream.
pub(super) static PUBLISHER: Adapter<dyn EventPublisher> = Adapter {
    names: &["redis"],
    needs: &[Variable::RedisUrl],
    stand_in: Some(&disabled::PUBLISHER),
    offered_by: Some(Variable::RedisUrl),
    check: check_publisher,
    place: |config| hashed(config, config.redis_url.as_deref(), is_read_by_publisher),
    shared: true,
    tables: None,
    #[cfg(feature = "redis")]
    connect: Connect::With(with::publisher),
    #[cfg(not(feature = "redis"))]
    connect: Connect::Without { feature: "redis" },
};

/// Which key is whose is the cache's alone.
const KEY_PREFIX: &str = "KAIREON_REDIS_KEY_PREFIX";

fn is_read_by_cache(name: &str) -> bool {
    name.starts_with("KAIREON_REDIS_") || name == "KAIREON_CACHE_MAX_VALUE_BYTES"
}

fn is_read_by_publisher(name: &str) -> bool {
    let how = name.starts_with("KAIREON_REDIS_") && name != KEY_PREFIX;
    how || name.starts_with("KAIREON_EVENTS_")
}

#[cfg(not(feature = "redis"))]
fn check_cache(_config: &Config) -> Vec<Problem> {
    Vec::new()
}

#[cfg(feature = "redis")]
fn check_cache(config: &Config) -> Vec<Problem> {
    with::check(config, |vars, url| with::cache_settings(vars, url).map(drop))
}

#[cfg(not(feature = "redis"))]
fn check_publisher(_config: &Config) -> Vec<Problem> {
    Vec::new()
}

#[cfg(feature = "redis")]
fn check_publisher(config: &Config) -> Vec<Problem> {
    with::check(config, |vars, url| with::publisher_settings(vars, url).map(drop))
}

#[cfg(feature = "redis")]
mod with {
    use std::sync::Arc;

    use kaireon_cache::{RedisCache, RedisCacheConfig};
    use kaireon_core::{CacheStore, EventPublisher, Result};
    use kaireon_events::{RedisPublisher, RedisPublisherConfig};

    use super::super::{Connecting, Vars};
    use crate::Config;
    use crate::config::REDIS_URL;
    use crate::problem::Problem;

    pub(super) fn check(
        config: &Config,
        settings: impl Fn(&Vars<'_>, Option<String>) -> Result<()>,
    ) -> Vec<Problem> {
        // Stands in where the URL is wrong, which is told once, so that what else is wrong is found.
        const SOME_URL: &str = "redis://localhost";
        Vars::problems(config, "redis", |vars| {
            let url = match vars.is_wrong(REDIS_URL) {
                true => Some(SOME_URL.to_owned()),
                false => config.redis_url.clone(),
            };
            settings(vars, url)
        })
    }

    fn variable(vars: &Vars<'_>, url: &Option<String>, name: &str) -> Option<String> {
        match name {
            REDIS_URL => url.clone(),
            _ => vars.get(name),
        }
    }

    pub(super) fn cache_settings(vars: &Vars<'_>, url: Option<String>) -> Result<RedisCacheConfig> {
        RedisCacheConfig::from_vars(|name| variable(vars, &url, name))
    }

    pub(super) fn publisher_settings(vars: &Vars<'_>, url: Option<String>) -> Result<RedisPublisherConfig> {
        RedisPublisherConfig::from_vars(|name| variable(vars, &url, name))
    }

    pub(super) fn cache(config: &Config) -> Connecting<dyn CacheStore> {
        let settings = cache_settings(&Vars::of(config), config.redis_url.clone());
        Box::pin(async move { Ok(Arc::new(RedisCache::connect(settings?).await?) as Arc<dyn CacheStore>) })
    }

    pub(super) fn publisher(config: &Config) -> Connecting<dyn EventPublisher> {
        let settings = publisher_settings(&Vars::of(config), config.redis_url.clone());
        Box::pin(
            async move { Ok(Arc::new(RedisPublisher::connect(settings?).await?) as Arc<dyn EventPublisher>) },
        )
    }
}

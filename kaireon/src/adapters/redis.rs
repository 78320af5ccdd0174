//! The cache on Redis: one for every process that reaches the same server.

use kaireon_core::CacheStore;

use super::place::hashed;
use super::{Adapter, Connect, Variable};
use crate::Config;
use crate::problem::Problem;

pub(super) static CACHE: Adapter<dyn CacheStore> = Adapter {
    names: &["redis"],
    needs: &[Variable::RedisUrl],
    stand_in: None,
    offered_by: Some(Variable::RedisUrl),
    check,
    place: |config| hashed(config, config.redis_url.as_deref(), is_read),
    shared: true,
    tables: None,
    #[cfg(feature = "redis")]
    connect: Connect::With(with::connect),
    #[cfg(not(feature = "redis"))]
    connect: Connect::Without { feature: "redis" },
};

fn is_read(name: &str) -> bool {
    name.starts_with("KAIREON_REDIS_") || name == "KAIREON_CACHE_MAX_VALUE_BYTES"
}

#[cfg(not(feature = "redis"))]
fn check(_config: &Config) -> Vec<Problem> {
    Vec::new()
}

#[cfg(feature = "redis")]
fn check(config: &Config) -> Vec<Problem> {
    use super::Vars;
    use crate::config::REDIS_URL;

    // Stands in where the URL is wrong, which is told once, so that what else is wrong is found.
    const SOME_URL: &str = "redis://localhost";
    Vars::problems(config, "redis", |vars| {
        let url = match vars.is_wrong(REDIS_URL) {
            true => Some(SOME_URL.to_owned()),
            false => config.redis_url.clone(),
        };
        with::settings(vars, url).map(drop)
    })
}

#[cfg(feature = "redis")]
mod with {
    use std::sync::Arc;

    use kaireon_cache::{RedisCache, RedisCacheConfig};
    use kaireon_core::{CacheStore, Result};

    use super::super::{Connecting, Vars};
    use crate::Config;
    use crate::config::REDIS_URL;

    pub(super) fn settings(vars: &Vars<'_>, url: Option<String>) -> Result<RedisCacheConfig> {
        RedisCacheConfig::from_vars(|name| match name {
            REDIS_URL => url.clone(),
            _ => vars.get(name),
        })
    }

    pub(super) fn connect(config: &Config) -> Connecting<dyn CacheStore> {
        let settings = settings(&Vars::of(config), config.redis_url.clone());
        Box::pin(async move { Ok(Arc::new(RedisCache::connect(settings?).await?) as Arc<dyn CacheStore>) })
    }
}

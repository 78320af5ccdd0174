//! The backend on Redis: `config`, where each key lies (`places`), the `scripts` for what carries a customer, then the
//! cache. Its client is that of `kaireon-connect`.

mod batch;
mod cache;
mod config;
mod error;
mod places;
mod scripts;

pub use cache::RedisCache;
pub use config::{KEY_PREFIX_VARIABLE, RedisCacheConfig};
pub use kaireon_connect::redis::{RedisConnectConfig, RedisMode};

/// The backend's name, as its configuration value.
const BACKEND: &str = "redis";

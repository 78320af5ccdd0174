//! The backend on Redis: `config`, where each key lies (`places`), the `scripts` for what carries a customer, then the
//! cache, its `leases`, and its rate `limiter` and circuit `breaker`. The client is that of `kaireon-connect`.

mod batch;
mod breaker;
mod cache;
mod config;
mod error;
mod leases;
mod limiter;
mod places;
mod scripts;

pub use breaker::RedisBreaker;
pub use cache::RedisCache;
pub use config::{KEY_PREFIX_VARIABLE, RedisCacheConfig};
pub use kaireon_connect::redis::{RedisConnectConfig, RedisMode};
pub use limiter::RedisLimiter;

/// The backend's name, as its configuration value.
const BACKEND: &str = "redis";

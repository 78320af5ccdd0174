//! The in-process backend: `config`, the `map` with its `entry`, which is its client, then the cache; the limiter and
//! the breaker beside it.

mod breaker;
mod cache;
mod config;
mod error;
mod limiter;
mod log;
mod map;
mod ticks;

pub use breaker::InProcessBreaker;
pub use cache::InProcessCache;
pub use config::{InProcessCacheConfig, InProcessLimiterConfig, MAX_BYTES_VARIABLE};
pub use limiter::InProcessLimiter;

/// The backend's name, as its configuration value.
const BACKEND: &str = "in-process";

//! Cache, rate limiter and circuit breaker for kaireon: one folder and one feature per backend.
//!
//! | feature | cache | limiter | breaker | for |
//! |---|---|---|---|---|
//! | `in-process` | [`InProcessCache`] | [`InProcessLimiter`] | [`InProcessBreaker`] | one process, in its memory |
//! | `redis` | [`RedisCache`] | [`RedisLimiter`] | [`RedisBreaker`] | every process that reaches the same Redis |
//!
//! With `sessions`, [`CacheSessions`] keeps the sessions of tower-sessions in any of these caches.
//!
//! ```
//! # #[cfg(feature = "in-process")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> kaireon_core::Result<()> {
//! use std::time::Duration;
//!
//! use kaireon_cache::{InProcessCache, InProcessCacheConfig};
//! use kaireon_core::cache::{CacheKey, FetchOptions};
//! use kaireon_core::{CacheStoreExt, TenantId};
//!
//! let cache = InProcessCache::new(InProcessCacheConfig::default())?;
//! let key = CacheKey::new(&TenantId::new("acme")?, "catalogue")?;
//! let options = FetchOptions::ttl(Duration::from_secs(60));
//! for _ in 0..2 {
//!     // Fetched once, however many ask for it.
//!     let value = cache
//!         .get_or_fetch(&key, options, || async { Ok(Some("from the source".into())) })
//!         .await?;
//!     assert_eq!(value.as_deref(), Some(&b"from the source"[..]));
//! }
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "in-process"))]
//! # fn main() {}
//! ```

#[cfg(feature = "in-process")]
mod in_process;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "sessions")]
mod sessions;

#[cfg(feature = "in-process")]
pub use in_process::{
    InProcessBreaker, InProcessCache, InProcessCacheConfig, InProcessLimiter, InProcessLimiterConfig,
    MAX_BYTES_VARIABLE,
};
#[cfg(feature = "redis")]
pub use redis::{
    KEY_PREFIX_VARIABLE, RedisBreaker, RedisCache, RedisCacheConfig, RedisConnectConfig, RedisLimiter,
    RedisMode,
};

#[cfg(feature = "sessions")]
pub use sessions::CacheSessions;

/// The variable that sets the largest value, whatever the backend.
#[cfg(any(feature = "in-process", feature = "redis"))]
pub const MAX_VALUE_BYTES_VARIABLE: &str = "KAIREON_CACHE_MAX_VALUE_BYTES";

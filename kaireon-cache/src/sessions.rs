//! Sessions of tower-sessions over any cache.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kaireon_core::cache::{CacheKey, CacheStore, SetCondition, SetOptions};
use kaireon_core::time::{Clock, SystemClock};
use kaireon_core::{Error, TenantId};
use tower_sessions_core::SessionStore;
use tower_sessions_core::session::{Id, Record};
use tower_sessions_core::session_store::{Error as StoreError, Result};

/// For what the digest is: another one of the same bytes is another number.
const CONTEXT: &str = "kaireon 2026-11 sessions: name of a session";

/// Keeps the sessions of a [`SessionManagerLayer`] in a cache, under one tenant. A clone is the same store.
///
/// - **Create** never overwrites a session: one whose id is taken gets another.
/// - **Save** changes a session that is there. One that was deleted meanwhile, by a logout beside a slow request, is not
///   brought back.
/// - **Expiry** is the session's own: what has expired is not loaded, whatever the cache keeps.
/// - **Secrets.** Who knows a session's id is its user, so a session lies under a digest of it, and its value is without it.
/// - **Bounds.** A session is a value of the cache: up to its `max_value_bytes`, and gone when the cache forgets it. In
///   process memory sessions end with the process.
/// - **Erasure.** A session is under no customer, because it is looked for without one: what is kept of a customer in
///   sessions is the host's to delete.
///
/// ```
/// # fn main() {}
/// # #[cfg(feature = "in-process")]
/// # async fn sessions() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
///
/// use kaireon_cache::{CacheSessions, InProcessCache, InProcessCacheConfig};
/// use kaireon_core::TenantId;
/// use tower_sessions_core::Session;
///
/// let cache = Arc::new(InProcessCache::new(InProcessCacheConfig::default())?);
/// let sessions = Arc::new(CacheSessions::new(cache, TenantId::new("acme")?));
/// // What a layer does for each request.
/// let session = Session::new(None, sessions, None);
/// session.insert("basket", 7).await?;
/// session.save().await?;
/// # Ok(())
/// # }
/// ```
///
/// [`SessionManagerLayer`]: https://docs.rs/tower-sessions/0.15/tower_sessions/struct.SessionManagerLayer.html
#[derive(Clone)]
pub struct CacheSessions {
    cache: Arc<dyn CacheStore>,
    tenant: TenantId,
    clock: Arc<dyn Clock>,
}

impl CacheSessions {
    /// Sessions in this cache, as values of this tenant.
    #[must_use]
    pub fn new(cache: Arc<dyn CacheStore>, tenant: TenantId) -> Self {
        Self {
            cache,
            tenant,
            clock: Arc::new(SystemClock),
        }
    }

    /// The same; what has expired is by this clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    fn key(&self, id: &Id) -> Result<CacheKey> {
        let digest = blake3::derive_key(CONTEXT, &id.0.to_le_bytes());
        let digest = blake3::Hash::from_bytes(digest).to_hex();
        CacheKey::new(&self.tenant, format!("session:{digest}")).map_err(|error| failed(&error))
    }

    /// How long a session has yet; `None` where it has expired.
    fn left(&self, record: &Record) -> Option<Duration> {
        let now = self.clock.now().timestamp_millis();
        let left = record.expiry_date.unix_timestamp_nanos() - i128::from(now) * 1_000_000;
        let left = u128::try_from(left).ok().filter(|left| *left > 0)?;
        Some(Duration::from_nanos_u128(left))
    }

    async fn set(&self, record: &Record, left: Duration, condition: SetCondition) -> Result<bool> {
        let kept = Record {
            id: Id(0),
            ..record.clone()
        };
        let value = serde_json::to_vec(&kept).map_err(|error| StoreError::Encode(error.to_string()))?;
        let options = SetOptions::ttl(left).when(condition);
        let set = self
            .cache
            .set(&self.key(&record.id)?, value.into(), options)
            .await;
        set.map_err(|error| failed(&error))
    }
}

impl fmt::Debug for CacheSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheSessions")
            .field("cache", &self.cache)
            .field("tenant", &self.tenant)
            .finish_non_exhaustive()
    }
}

fn failed(error: &Error) -> StoreError {
    StoreError::Backend(error.to_string())
}

#[async_trait]
impl SessionStore for CacheSessions {
    async fn create(&self, record: &mut Record) -> Result<()> {
        let Some(left) = self.left(record) else {
            return Ok(());
        };
        while !self.set(record, left, SetCondition::IfAbsent).await? {
            record.id = Id::default();
        }
        Ok(())
    }

    async fn save(&self, record: &Record) -> Result<()> {
        match self.left(record) {
            Some(left) => {
                if !self.set(record, left, SetCondition::IfPresent).await? {
                    tracing::debug!("a session was saved that is not there any more");
                }
                Ok(())
            }
            None => self.delete(&record.id).await,
        }
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        let value = self.cache.get(&self.key(id)?).await;
        let Some(value) = value.map_err(|error| failed(&error))? else {
            return Ok(None);
        };
        // Without the source: its text may quote the value, which may be personal.
        let kept: Record = serde_json::from_slice(&value)
            .map_err(|_| StoreError::Decode("what is kept is no session".to_owned()))?;
        let record = Record { id: *id, ..kept };
        Ok(self.left(&record).is_some().then_some(record))
    }

    async fn delete(&self, id: &Id) -> Result<()> {
        let deleted = self.cache.del(&self.key(id)?).await;
        deleted.map(drop).map_err(|error| failed(&error))
    }
}

#[cfg(test)]
mod tests {
    use kaireon_core::memory::MemoryCache;

    use super::*;

    #[tokio::test]
    async fn what_is_no_session_is_an_error_that_does_not_show_it() {
        let sessions = CacheSessions::new(Arc::new(MemoryCache::new()), TenantId::new("t").unwrap());
        let id = Id::default();
        for garbage in ["anna", r#"{"id":0,"data":{"name":"anna"},"expiry_date":"anna"}"#] {
            let key = sessions.key(&id).unwrap();
            let set = sessions.cache.set(&key, garbage.into(), SetOptions::default());
            assert!(set.await.unwrap());
            let error = sessions.load(&id).await.unwrap_err();
            assert!(matches!(error, StoreError::Decode(_)), "{error}");
            assert!(!error.to_string().contains("anna"), "{error}");
        }
    }
}

//! Sessions of tower-sessions in the cache of an [`Infra`].

use async_trait::async_trait;
use kaireon_cache::CacheSessions;
use kaireon_core::TenantId;
use tower_sessions_core::SessionStore;
use tower_sessions_core::session::{Id, Record};
use tower_sessions_core::session_store::Result;

use crate::Infra;

/// The store that a [`SessionManagerLayer`] is given, in whichever cache is in force when it is asked: with Redis every
/// instance has the same sessions, and a [`reset`](Infra::reset) needs no other layer. What it promises is in
/// [`CacheSessions`].
///
/// ```no_run
/// # async fn routes(infra: kaireon::Infra) -> kaireon::core::Result<()> {
/// use kaireon::core::TenantId;
///
/// let sessions = infra.sessions(TenantId::new("acme")?);
/// // let app = router.layer(SessionManagerLayer::new(sessions));
/// # let _ = sessions;
/// # Ok(())
/// # }
/// ```
///
/// [`SessionManagerLayer`]: https://docs.rs/tower-sessions/0.15/tower_sessions/struct.SessionManagerLayer.html
#[derive(Clone, Debug)]
pub struct InfraSessions {
    infra: Infra,
    tenant: TenantId,
}

impl Infra {
    /// Sessions of tower-sessions in the cache, as values of this tenant.
    #[must_use]
    pub fn sessions(&self, tenant: TenantId) -> InfraSessions {
        InfraSessions {
            infra: self.clone(),
            tenant,
        }
    }
}

impl InfraSessions {
    /// In the cache of the present set.
    fn now(&self) -> CacheSessions {
        CacheSessions::new(self.infra.cache(), self.tenant.clone())
    }
}

#[async_trait]
impl SessionStore for InfraSessions {
    async fn create(&self, record: &mut Record) -> Result<()> {
        self.now().create(record).await
    }

    async fn save(&self, record: &Record) -> Result<()> {
        self.now().save(record).await
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        self.now().load(id).await
    }

    async fn delete(&self, id: &Id) -> Result<()> {
        self.now().delete(id).await
    }
}

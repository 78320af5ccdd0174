//! Who asks, and of which tenant: the host says.

use std::future::Future;

use async_trait::async_trait;
use axum::http::request::Parts;
use kaireon_core::TenantId;

/// What a request is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Action {
    /// To look at a tenant's setting, or at its trail.
    Read,
    /// To change a tenant's setting.
    Change,
}

/// Who asks, and of which tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Who: 1 to 1,024 bytes without control characters. It is kept with every change, for good.
    pub author: String,
    /// Whose setting.
    pub tenant: TenantId,
}

impl Caller {
    /// Somebody, of a tenant.
    #[must_use]
    pub fn new(author: impl Into<String>, tenant: TenantId) -> Self {
        Self {
            author: author.into(),
            tenant,
        }
    }
}

/// Why a request is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// Nobody knows who asks: 401.
    Unauthorised,
    /// Whoever asks may not: 403.
    Forbidden,
}

/// Decides who may do what. Any `Fn(Parts, Action) -> Future` is one.
#[async_trait]
pub trait Authorise: Send + Sync + 'static {
    /// Who asks, and of which tenant, by the request without its body.
    ///
    /// # Errors
    /// [`Denied`], where the request is not let in.
    async fn authorise(&self, request: &Parts, action: Action) -> Result<Caller, Denied>;
}

#[async_trait]
impl<F, Fut> Authorise for F
where
    F: Fn(Parts, Action) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Caller, Denied>> + Send + 'static,
{
    async fn authorise(&self, request: &Parts, action: Action) -> Result<Caller, Denied> {
        self(request.clone(), action).await
    }
}

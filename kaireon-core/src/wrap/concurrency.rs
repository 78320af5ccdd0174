//! A limit on how many calls run at once.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{Semaphore, SemaphorePermit, TryAcquireError};

use super::guard::Guard;
use super::name::NameOf;
use super::operation::Operation;
use crate::outbox::Outbox;
use crate::{Effect, Error, ErrorKind, Result};

/// Lets at most so many calls through at once; the others wait in order of arrival.
///
/// A call that has waited for [`queue_wait`](Self::with_queue_wait) (1 s by default) answers `RateLimited`, transient
/// and not applied. A place is held from the moment at which a call is let through until its future has ended or
/// is dropped; a batch takes one place. Clones, and the outbox of a wrapped store, share the places.
///
/// `ping` and `disconnect` take no place, so that a busy backend is not called down and can be let go; nor does
/// `Outbox::wait`, which would hold one while nothing happens. A subscription holds one until it is set up.
///
/// # Panics
/// A call that has to wait panics outside a tokio runtime whose time driver is enabled.
#[derive(Clone, Debug)]
pub struct ConcurrencyLimit<T> {
    inner: T,
    places: Arc<Semaphore>,
    queue_wait: Duration,
    name: Option<Cow<'static, str>>,
}

impl<T> ConcurrencyLimit<T> {
    /// Lets `limit` calls of `inner` through at once; 0 counts as 1.
    #[must_use]
    pub fn new(inner: T, limit: usize) -> Self {
        Self {
            inner,
            places: Arc::new(Semaphore::new(limit.clamp(1, Semaphore::MAX_PERMITS))),
            queue_wait: Duration::from_secs(1),
            name: None,
        }
    }

    /// Sets how long a call waits for a place. Zero: it does not wait.
    #[must_use]
    pub fn with_queue_wait(mut self, wait: Duration) -> Self {
        self.queue_wait = wait;
        self
    }

    /// Names the backend in errors; by default its capabilities do. For outboxes, limiters and breakers, which
    /// have none.
    #[must_use]
    pub fn with_name(mut self, backend: impl Into<Cow<'static, str>>) -> Self {
        self.name = Some(backend.into());
        self
    }

    /// What is wrapped.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.inner
    }

    async fn place(&self, operation: Operation, name: NameOf<T>) -> Result<SemaphorePermit<'_>> {
        match self.places.try_acquire() {
            Ok(place) => Ok(place),
            Err(TryAcquireError::NoPermits) if self.queue_wait.is_zero() => {
                Err(self.refusal(operation, name))
            }
            Err(_) => self.queued(operation, name).await,
        }
    }

    async fn queued(&self, operation: Operation, name: NameOf<T>) -> Result<SemaphorePermit<'_>> {
        match tokio::time::timeout(self.queue_wait, self.places.acquire()).await {
            Ok(place) => Ok(place.expect("the semaphore is never closed")),
            Err(_) => Err(self.refusal(operation, name)),
        }
    }

    #[cold]
    fn refusal(&self, operation: Operation, name: NameOf<T>) -> Error {
        let backend = self.name.clone().unwrap_or_else(|| name(&self.inner));
        let wait = self.queue_wait;
        Error::new(
            ErrorKind::RateLimited,
            format!("too many calls at once; none ended within {wait:?}"),
        )
        .with_backend(backend)
        .with_operation(operation.name())
        .with_effect(Effect::NotApplied)
    }
}

impl<T: Send + Sync> Guard for ConcurrencyLimit<T> {
    type Inner = T;

    fn inner(&self) -> &T {
        &self.inner
    }

    fn around_outbox(&self, outbox: Arc<dyn Outbox>, name: NameOf<T>) -> Arc<dyn Outbox> {
        Arc::new(ConcurrencyLimit {
            inner: outbox,
            places: Arc::clone(&self.places),
            queue_wait: self.queue_wait,
            name: Some(self.name.clone().unwrap_or_else(|| name(&self.inner))),
        })
    }

    async fn around<R: Send>(
        &self,
        operation: Operation,
        name: NameOf<T>,
        call: BoxFuture<'_, Result<R>>,
    ) -> Result<R> {
        let _place = match operation {
            Operation::StorePing
            | Operation::EventsPing
            | Operation::SearchPing
            | Operation::CachePing
            | Operation::StoreDisconnect
            | Operation::EventsDisconnect
            | Operation::SearchDisconnect
            | Operation::CacheDisconnect
            | Operation::Wait => None,
            _ => Some(self.place(operation, name).await?),
        };
        call.await
    }
}

#[cfg(test)]
mod tests;

//! A limit on how long a call may take.

use std::borrow::Cow;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::guard::Guard;
use super::name::NameOf;
use super::operation::Operation;
use crate::outbox::Outbox;
use crate::store::{BatchOutcome, ItemOutcome};
use crate::{Error, ErrorKind, Result};

/// Ends a call that has not answered in time: drops it, and answers `Timeout`.
///
/// The error is transient; its effect is `Unknown` for what writes and `NotApplied` for what reads. It names the
/// backend and the operation. Inside [`Retry`](super::Retry) the limit is for an attempt, outside it for the
/// whole call.
///
/// - A batch that ran out of time answers `Ok` with that error for each of its items, because some of them may
///   have been applied.
/// - `erase_customer`, `install_tombstones`, `purge_before` and `rebuild` may have a
///   [limit of their own](Self::with_maintenance_limit).
/// - `Outbox::wait` is given its own `at_most` on top of the limit.
/// - `disconnect` is not limited: it finishes what was accepted. Whoever shuts down sets its deadline.
/// - A call that answers without waiting is never late, and sets no timer. The limit runs from the moment at
///   which the call first waits.
///
/// ```
/// use std::time::Duration;
/// use kaireon_core::wrap::{Retry, RetryPolicy, Timeout};
/// # fn example<S>(store: S, other: S) {
/// // Each attempt has a second.
/// let attempts = Retry::new(Timeout::new(store, Duration::from_secs(1)), RetryPolicy::default());
/// // All attempts and the pauses between them have a second together.
/// let whole = Timeout::new(Retry::new(other, RetryPolicy::default()), Duration::from_secs(1));
/// # }
/// ```
///
/// # Panics
/// Its calls panic outside a tokio runtime whose time driver is enabled.
#[derive(Clone, Debug)]
pub struct Timeout<T> {
    inner: T,
    limit: Duration,
    maintenance: Duration,
    name: Option<Cow<'static, str>>,
}

impl<T> Timeout<T> {
    /// Gives every call of `inner` so long.
    #[must_use]
    pub fn new(inner: T, limit: Duration) -> Self {
        Self {
            inner,
            limit,
            maintenance: limit,
            name: None,
        }
    }

    /// Gives `erase_customer` (of a store, a search index, a cache), `install_tombstones`, `purge_before` and
    /// `rebuild` another limit. They work through all that a customer, a tenant or an index has.
    #[must_use]
    pub fn with_maintenance_limit(mut self, limit: Duration) -> Self {
        self.maintenance = limit;
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

    /// How long a call may take, if there is a limit.
    const fn limit_of(&self, operation: Operation) -> Option<Duration> {
        match operation {
            Operation::StoreDisconnect
            | Operation::EventsDisconnect
            | Operation::SearchDisconnect
            | Operation::CacheDisconnect => None,
            Operation::EraseCustomer
            | Operation::InstallTombstones
            | Operation::PurgeBefore
            | Operation::SearchEraseCustomer
            | Operation::Rebuild
            | Operation::CacheEraseCustomer => Some(self.maintenance),
            _ => Some(self.limit),
        }
    }

    #[cold]
    fn late(&self, operation: Operation, name: NameOf<T>, limit: Duration) -> Error {
        let backend = self.name.clone().unwrap_or_else(|| name(&self.inner));
        Error::new(ErrorKind::Timeout, format!("no answer within {limit:?}"))
            .with_backend(backend)
            .with_operation(operation.name())
            .with_effect(operation.effect_without_answer())
    }
}

impl<T: Send + Sync> Guard for Timeout<T> {
    type Inner = T;

    fn inner(&self) -> &T {
        &self.inner
    }

    fn around_outbox(&self, outbox: Arc<dyn Outbox>, name: NameOf<T>) -> Arc<dyn Outbox> {
        Arc::new(Timeout {
            inner: outbox,
            limit: self.limit,
            maintenance: self.maintenance,
            name: Some(self.name.clone().unwrap_or_else(|| name(&self.inner))),
        })
    }

    async fn around<R: Send>(
        &self,
        operation: Operation,
        name: NameOf<T>,
        call: BoxFuture<'_, Result<R>>,
    ) -> Result<R> {
        let Some(limit) = self.limit_of(operation) else {
            return call.await;
        };
        within(limit, call)
            .await
            .unwrap_or_else(|| Err(self.late(operation, name, limit)))
    }

    /// With an outcome for each item: an `Err` would say that none was tried.
    async fn around_batch<R: Send>(
        &self,
        operation: Operation,
        name: NameOf<T>,
        items: usize,
        call: BoxFuture<'_, Result<BatchOutcome<R>>>,
    ) -> Result<BatchOutcome<R>> {
        if let Some(result) = within(self.limit, call).await {
            return result;
        }
        let late = self.late(operation, name, self.limit);
        let failed = std::iter::repeat_with(|| ItemOutcome::Failed(late.clone()));
        Ok(BatchOutcome::from_items(failed.take(items).collect()))
    }

    async fn around_wait<R: Send>(
        &self,
        operation: Operation,
        name: NameOf<T>,
        at_most: Duration,
        call: BoxFuture<'_, Result<R>>,
    ) -> Result<R> {
        let limit = self.limit.saturating_add(at_most);
        within(limit, call)
            .await
            .unwrap_or_else(|| Err(self.late(operation, name, limit)))
    }
}

/// The future's output, or `None` when `limit` has passed since it first waited.
async fn within<R>(limit: Duration, mut call: BoxFuture<'_, R>) -> Option<R> {
    // Registering a timer takes the runtime's timer lock twice; a call that is ready at once is spared it.
    let first = poll_fn(|context| match call.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    });
    if let Some(output) = first.await {
        return Some(output);
    }
    // Unconstrained, because a call that uses up tokio's budget at each poll must not hold up its own timer.
    let mut timer = pin!(tokio::task::unconstrained(tokio::time::sleep(limit)));
    let mut polled = true;
    poll_fn(|context| {
        // The call was polled just now, and has this task's waker.
        if !std::mem::take(&mut polled)
            && let Poll::Ready(output) = call.as_mut().poll(context)
        {
            return Poll::Ready(Some(output));
        }
        timer.as_mut().poll(context).map(|()| None)
    })
    .await
}

#[cfg(test)]
mod tests;

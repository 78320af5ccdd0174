//! Trying again.

mod attempts;
mod batch;
mod cache;
mod guards;
mod outbox;
mod policy;
mod publisher;
mod search;
mod store;

use std::sync::Arc;

use futures_util::future::BoxFuture;

use self::attempts::Attempts;
pub use self::policy::{FullJitter, Jitter, RetryPolicy};
use super::operation::Operation;
use crate::Result;

/// Tries again what failed for a passing reason and may safely be sent twice.
///
/// A failed call is sent again when its error [is transient](crate::Error::is_transient), and either was
/// certainly not applied or belongs to an operation that may be applied twice:
///
/// | operation | again, when it is unknown whether it was applied? | why |
/// |---|---|---|
/// | `record_event`, `record_events`, `record_decision`, `record_decisions` | yes | idempotent by key; a retry of what was applied answers `Duplicate`, with the id it has |
/// | `erase_customer` (store) | yes | resumed by its `ErasureId` |
/// | `install_tombstones`, `purge_before`, `raise_fence` | yes | generations, watermarks and fences only rise; a purge's counts are those of the attempt that answered |
/// | `set_lanes`, `change_lanes` | yes | the same lanes again |
/// | `append` | **no** | each call adds entries |
/// | `lease`, `release` | yes | the same owner renews; leases that are gone are ignored |
/// | `settle` | yes | entries that are gone are ignored |
/// | `replay` | **no** | its answer, how many were found, would be wrong |
/// | `publish`, `publish_batch` | yes | delivery is at least once, and repeats carry the same event id |
/// | `subscribe` | yes | a subscription that was lost on its way has ended |
/// | `index` | yes | an equal version is written again, a lower one is `Outdated` |
/// | `delete`, `refresh`, `rebuild`, `erase_customer` (search) | yes | gone stays gone, and steps may be repeated; counts are those of the attempt that answered |
/// | `set`, `set_many` under `IfAbsent` | **no** | the second attempt would find the first one's value and answer `false` |
/// | `set`, `set_many` otherwise | yes | the same value again; `IfPresent` may answer `false` for what was forgotten meanwhile, as a cache may |
/// | `del`, `del_many`, `erase_customer` (cache) | yes | gone stays gone; the answer is that of the last attempt, and a cache may have forgotten the value before |
/// | `acquire` | **no** | a lost admission would take a second place in the window |
/// | `admit`, `report` | **no** | a probe would be let through twice, a failure counted twice |
/// | everything that reads | yes | nothing is applied |
/// | `disconnect` | yes | idempotent |
///
/// Three things are never tried again here. `ping` and `Outbox::wait` ask about now. An error of kind `Fenced` is
/// handed on as it is, still transient: the number that was refused is the caller's to refresh.
///
/// Of a batch, only the items that failed so or were not attempted are sent again, and the outcomes keep the
/// order of the items. An event is not sent again once a later one of the batch with the same partition key has
/// been published, nor a document once a later one with the same key has been written, because that would
/// reverse the two; its error is handed on.
///
/// How often, and with which pauses, is said by the [`RetryPolicy`]. When it allows no further attempt, the error
/// is handed on as no longer transient, so that nobody further out multiplies the attempts; items that were never
/// attempted stay so. If any attempt may have been applied, the effect of the last error is `Unknown`, whatever
/// that error itself says (but not for `Conflict`, which shows that another record is there).
///
/// ```
/// use std::time::Duration;
/// use kaireon_core::wrap::{Retry, RetryPolicy};
/// # fn example<S>(store: S) {
/// let policy = RetryPolicy { max_attempts: 6, max_elapsed: Duration::from_secs(30), ..RetryPolicy::default() };
/// let store = Retry::new(store, policy);
/// # }
/// ```
///
/// # Panics
/// A call that has to pause panics outside a tokio runtime whose time driver is enabled.
#[derive(Clone, Debug)]
pub struct Retry<T> {
    inner: T,
    policy: RetryPolicy,
    jitter: Arc<dyn Jitter>,
}

impl<T> Retry<T> {
    /// Tries the calls of `inner` as often as the policy says.
    #[must_use]
    pub fn new(inner: T, policy: RetryPolicy) -> Self {
        Self {
            inner,
            policy,
            jitter: Arc::new(FullJitter),
        }
    }

    /// Takes its randomness from elsewhere; by default from [`FullJitter`].
    #[must_use]
    pub fn with_jitter(mut self, jitter: Arc<dyn Jitter>) -> Self {
        self.jitter = jitter;
        self
    }

    /// What is wrapped.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.inner
    }

    fn attempts(&self, operation: Operation) -> Attempts<'_> {
        Attempts::begin(operation, &self.policy, &*self.jitter)
    }

    async fn repeated<'a, R>(
        &'a self,
        operation: Operation,
        mut attempt: impl FnMut() -> BoxFuture<'a, Result<R>> + Send,
    ) -> Result<R> {
        let mut attempts = self.attempts(operation);
        loop {
            match attempt().await {
                Ok(value) => return Ok(value),
                // Boxed, so that the pause's timer does not make the future of every call larger.
                Err(error) => Box::pin(attempts.pause_after(error)).await?,
            }
        }
    }
}

#[cfg(test)]
mod tests;

//! What becomes of calls while the limiter cannot be asked.

use std::future::Future;
use std::time::Duration;

use super::{LimitKey, RateDecision, RateLimit, RateLimiter};
use crate::Result;
use crate::time::{Clock, SystemClock};

/// After how long a call that was refused for want of a limiter may be tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What is said of a call that the limiter cannot count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outage {
    /// It is admitted: for as long as the limiter is away there is no limit.
    Open,
    /// It is refused: for as long as the limiter is away nothing goes on.
    Closed,
}

/// The caller's choice of what an outage means, over any [`RateLimiter`].
///
/// ```
/// # use std::time::Duration;
/// # use kaireon_core::limiter::{LimitKey, Outage, RateLimit, RateLimiter, RateLimiterExt};
/// # async fn handle(limiter: &dyn RateLimiter, key: &LimitKey) -> kaireon_core::Result<bool> {
/// let limit = RateLimit { limit: 100, window: Duration::from_secs(60) };
/// // An offer too many is better than none.
/// let decision = limiter.acquire_or(key, limit, Outage::Open).await?;
/// # Ok(decision.admitted)
/// # }
/// ```
pub trait RateLimiterExt: RateLimiter {
    /// Asks for one call; where the limiter cannot say, `outage` does. Such a verdict is not
    /// [`counted`](RateDecision::counted), has the machine's time, leaves nothing remaining and, where it refuses, asks
    /// to wait for a second. It is told to the counter `kaireon.limiter.uncounted`.
    ///
    /// # Errors
    /// Those of [`acquire`](RateLimiter::acquire) that trying again does not mend: the limiter is not away, the call is
    /// wrong, or the handle was disconnected.
    ///
    /// # Dropped futures
    /// The call may have taken a place.
    fn acquire_or(
        &self,
        key: &LimitKey,
        limit: RateLimit,
        outage: Outage,
    ) -> impl Future<Output = Result<RateDecision>> + Send {
        async move {
            let error = match self.acquire(key, limit).await {
                Err(error) if error.is_transient() => error,
                decided => return decided,
            };
            tracing::debug!(%error, ?outage, "the limiter cannot be asked");
            let at = SystemClock.now();
            let (decision, outcome) = match outage {
                Outage::Open => (RateDecision::new(true, 0, Duration::ZERO, at), "admitted"),
                Outage::Closed => (RateDecision::new(false, 0, RETRY_AFTER, at), "refused"),
            };
            metrics::counter!("kaireon.limiter.uncounted", "outcome" => outcome).increment(1);
            Ok(decision.not_counted())
        }
    }
}

impl<L: RateLimiter + ?Sized> RateLimiterExt for L {}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;
    use crate::{Error, ErrorKind, TenantId};

    /// Answers so.
    #[derive(Debug)]
    struct Away(Option<ErrorKind>);

    #[async_trait]
    impl RateLimiter for Away {
        async fn acquire(&self, _: &LimitKey, limit: RateLimit) -> Result<RateDecision> {
            limit.check()?;
            match self.0 {
                Some(kind) => Err(Error::new(kind, "away").with_transient(kind != ErrorKind::Config)),
                None => Ok(RateDecision::new(true, 7, Duration::ZERO, SystemClock.now())),
            }
        }
    }

    const LIMIT: RateLimit = RateLimit {
        limit: 1,
        window: Duration::from_secs(1),
    };

    async fn say(limiter: &dyn RateLimiter, limit: RateLimit, outage: Outage) -> Result<RateDecision> {
        let key = LimitKey::new(&TenantId::new("t").unwrap(), "k").unwrap();
        limiter.acquire_or(&key, limit, outage).await
    }

    #[tokio::test]
    async fn the_callers_choice_counts_only_while_the_limiter_is_away() {
        for kind in [ErrorKind::Unavailable, ErrorKind::Timeout, ErrorKind::RateLimited] {
            let open = say(&Away(Some(kind)), LIMIT, Outage::Open).await.unwrap();
            assert!(open.admitted && !open.counted && open.retry_after.is_zero());
            let closed = say(&Away(Some(kind)), LIMIT, Outage::Closed).await.unwrap();
            assert!(!closed.admitted && !closed.counted && closed.retry_after == RETRY_AFTER);
        }
        for outage in [Outage::Open, Outage::Closed] {
            let there = say(&Away(None), LIMIT, outage).await.unwrap();
            assert!(there.admitted && there.counted && there.remaining == 7);
            let wrong = say(&Away(Some(ErrorKind::Config)), LIMIT, outage).await;
            assert_eq!(wrong.unwrap_err().kind(), ErrorKind::Config);
            let zero = RateLimit { limit: 0, ..LIMIT };
            let error = say(&Away(Some(ErrorKind::Unavailable)), zero, outage).await;
            assert_eq!(error.unwrap_err().field(), Some("limit"));
        }
    }
}

//! Rate limits: at most so many calls in any window of a given length.

mod outage;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

pub use outage::{Outage, RateLimiterExt};

use crate::time::Timestamp;
use crate::{Error, Result, TenantId, id};

/// The key of a limit: a tenant and a name of the host's, 1 to 256 bytes without control characters.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct LimitKey(std::sync::Arc<str>);

impl LimitKey {
    /// A key of a tenant.
    ///
    /// # Errors
    /// `InvalidInput` naming `limit_key`.
    pub fn new(tenant: &TenantId, name: impl AsRef<str>) -> Result<Self> {
        id::check_id("limit_key", name.as_ref())?;
        Ok(Self(format!("{tenant}\0{}", name.as_ref()).into()))
    }

    /// `tenant NUL name`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for LimitKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LimitKey(redacted)")
    }
}

/// At most `limit` calls in any window of length `window`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// How many calls, from 1.
    pub limit: u32,
    /// The length of the window, from 1 ms.
    pub window: Duration,
}

impl RateLimit {
    /// Checks the bounds.
    ///
    /// # Errors
    /// `InvalidInput` naming `limit` or `window`.
    pub fn check(&self) -> Result<()> {
        if self.limit == 0 {
            return Err(Error::invalid("limit", "is zero"));
        }
        if self.window < Duration::from_millis(1) {
            return Err(Error::invalid("window", "is shorter than a millisecond"));
        }
        Ok(())
    }
}

/// The limiter's verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateDecision {
    /// Whether the call may go on.
    pub admitted: bool,
    /// How many more calls would be admitted now.
    pub remaining: u32,
    /// After how long a refused call may be admitted; zero for an admitted one.
    pub retry_after: Duration,
    /// The time, by the clock that decides, at which it was decided.
    pub at: Timestamp,
    /// Whether a limiter has counted the call. Otherwise the caller's choice of an [`Outage`] decided.
    pub counted: bool,
}

impl RateDecision {
    /// A verdict of a limiter.
    #[must_use]
    pub const fn new(admitted: bool, remaining: u32, retry_after: Duration, at: Timestamp) -> Self {
        Self {
            admitted,
            remaining,
            retry_after,
            at,
            counted: true,
        }
    }

    /// The same, of a call that no limiter has counted.
    #[must_use]
    pub const fn not_counted(self) -> Self {
        Self {
            counted: false,
            ..self
        }
    }
}

/// A sliding-window limiter: in no window of the configured length are more than `limit` calls admitted. Of one key,
/// every admission counts under each limit that it is asked for with.
#[async_trait]
pub trait RateLimiter: Send + Sync + fmt::Debug {
    /// Asks for one call. A refused call takes no place in the window. The times of its verdicts
    /// ([`RateDecision::at`]) do not run backwards for a key, also where the clock is moved back.
    ///
    /// # Errors
    /// `InvalidInput` naming `limit` or `window`; `RateLimited` where no further key can be remembered;
    /// `Unavailable` or `Timeout` where there is a server.
    async fn acquire(&self, key: &LimitKey, limit: RateLimit) -> Result<RateDecision>;
}

const _: fn(&dyn RateLimiter) = |_| {};

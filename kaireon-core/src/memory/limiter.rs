//! The rate limiter in memory.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;

use crate::Result;
use crate::limiter::{LimitKey, RateDecision, RateLimit, RateLimiter};
use crate::time::{Clock, ForwardClock, SteadyClock};

/// Counts, for each call, the admissions of the window that ends with it. Forgets no admission: for tests and for
/// comparison.
pub struct MemoryLimiter {
    /// Every admission of a key, in milliseconds, in order.
    admissions: Mutex<HashMap<LimitKey, Vec<i64>>>,
    clock: ForwardClock,
}

impl MemoryLimiter {
    /// A limiter by the machine's steady clock.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SteadyClock::new()))
    }

    /// A limiter by this clock, which may be moved back.
    #[must_use]
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self {
            admissions: Mutex::default(),
            clock: ForwardClock::new(clock),
        }
    }
}

impl Default for MemoryLimiter {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryLimiter")
    }
}

#[async_trait]
impl RateLimiter for MemoryLimiter {
    async fn acquire(&self, key: &LimitKey, limit: RateLimit) -> Result<RateDecision> {
        limit.check()?;
        let RateLimit { limit, window } = limit;
        let window = i64::try_from(window.as_nanos().div_ceil(1_000_000)).unwrap_or(i64::MAX);
        let mut admissions = self.admissions.lock();
        let at = self.clock.now();
        let now = at.timestamp_millis();
        let times = admissions.entry(key.clone()).or_default();
        // Both ends of the window belong to it: times are cut to milliseconds.
        let within: Vec<i64> = times
            .iter()
            .copied()
            .filter(|time| now - time <= window)
            .collect();
        let room = usize::try_from(limit)
            .unwrap_or(usize::MAX)
            .saturating_sub(within.len());
        if room == 0 {
            // Room comes when so few of them are left that one more is within the limit.
            let leaving = within[within.len() - usize::try_from(limit).unwrap_or(usize::MAX)];
            let wait = leaving.saturating_add(window).saturating_add(1) - now;
            let wait = Duration::from_millis(wait.unsigned_abs());
            return Ok(RateDecision::new(false, 0, wait, at));
        }
        times.push(now);
        let remaining = u32::try_from(room - 1).unwrap_or(u32::MAX);
        Ok(RateDecision::new(true, remaining, Duration::ZERO, at))
    }
}

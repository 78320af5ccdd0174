//! The rate limiter.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kaireon_core::Result;
use kaireon_core::limiter::{LimitKey, RateDecision, RateLimit, RateLimiter};
use kaireon_core::time::{Clock, ForwardClock, SteadyClock};
use parking_lot::Mutex;

use super::config::InProcessLimiterConfig;
use super::error::too_many_keys;
use super::log::{Log, Verdict};

/// Into how many parts the keys are divided, each under a lock of its own.
const MOST_PARTS: usize = 16;

/// A sliding-window limiter in this process's memory, exact: it notes the time of every admission.
///
/// - **Memory.** Up to 8 bytes for each admission within the window, so `8 × limit` bytes per key at most (twice
///   that while its list grows), and some 150 bytes per key. Keys whose window has passed are forgotten while others are
///   used: looking for them costs each call as much as one look-up more.
/// - **Keys** are divided over up to 16 parts by hash, each with its share of `max_keys`.
/// - **Several limits of one key** (10 a second and 100 a minute) are each exact from their first use on.
/// - **Clock.** The machine's steady one, or one that is handed in and may be moved back: time then stands still
///   while it is moved, and runs on from there.
pub struct InProcessLimiter {
    parts: Box<[Mutex<Part>]>,
    keys_per_part: usize,
    hasher: RandomState,
    clock: ForwardClock,
}

#[derive(Default)]
struct Part {
    logs: HashMap<LimitKey, Log>,
    calls_since_sweep: usize,
}

impl InProcessLimiter {
    /// A limiter by the machine's steady clock.
    ///
    /// # Errors
    /// `Config` naming what is out of bounds.
    pub fn new(config: InProcessLimiterConfig) -> Result<Self> {
        Self::with_clock(config, Arc::new(SteadyClock::new()))
    }

    /// A limiter by this clock, which may be moved back.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn with_clock(config: InProcessLimiterConfig, clock: Arc<dyn Clock>) -> Result<Self> {
        config.check()?;
        let InProcessLimiterConfig { max_keys } = config;
        let parts = max_keys.min(MOST_PARTS);
        Ok(Self {
            parts: (0..parts).map(|_| Mutex::default()).collect(),
            keys_per_part: max_keys / parts,
            hasher: RandomState::new(),
            clock: ForwardClock::new(clock),
        })
    }

    /// How many keys are remembered now.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.parts.iter().map(|part| part.lock().logs.len()).sum()
    }

    fn part(&self, key: &LimitKey) -> &Mutex<Part> {
        let parts = self.parts.len() as u64;
        let at = usize::try_from(self.hasher.hash_one(key) % parts);
        &self.parts[at.expect("there are at most 16 parts")]
    }
}

impl Part {
    /// Forgets idle keys: when as many calls have come as there are keys, so that each call pays for one.
    fn sweep(&mut self, now: i64) {
        self.calls_since_sweep = 0;
        self.logs.retain(|_, log| !log.is_idle(now));
        if self.logs.len() < self.logs.capacity() / 4 {
            self.logs.shrink_to_fit();
        }
    }
}

impl fmt::Debug for InProcessLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InProcessLimiter")
            .field("keys", &self.keys())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl RateLimiter for InProcessLimiter {
    async fn acquire(&self, key: &LimitKey, limit: RateLimit) -> Result<RateDecision> {
        limit.check()?;
        let RateLimit { limit, window } = limit;
        let window = i64::try_from(window.as_nanos().div_ceil(1_000_000)).unwrap_or(i64::MAX);
        let mut part = self.part(key).lock();
        // Under the lock, so that the times of a key are in order.
        let at = self.clock.now();
        let now = at.timestamp_millis();
        part.calls_since_sweep += 1;
        if part.calls_since_sweep > part.logs.len() + 64 {
            part.sweep(now);
        }
        if !part.logs.contains_key(key) {
            if part.logs.len() >= self.keys_per_part {
                part.sweep(now);
            }
            if part.logs.len() >= self.keys_per_part {
                return Err(too_many_keys());
            }
        }
        let log = part.logs.entry(key.clone()).or_default();
        Ok(match log.acquire(now, limit, window) {
            Verdict::Admitted { remaining } => RateDecision::new(true, remaining, Duration::ZERO, at),
            Verdict::Refused { wait } => {
                let wait = Duration::from_millis(wait.unsigned_abs());
                RateDecision::new(false, 0, wait, at)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use kaireon_core::time::{ManualClock, from_millis};
    use kaireon_core::{ErrorKind, TenantId};

    use super::*;

    fn key(name: usize) -> LimitKey {
        LimitKey::new(&TenantId::new("t").unwrap(), name.to_string()).unwrap()
    }

    const LIMIT: RateLimit = RateLimit {
        limit: 2,
        window: Duration::from_secs(1),
    };

    #[tokio::test]
    async fn idle_keys_are_forgotten_while_others_are_used() {
        let clock = ManualClock::at(from_millis(1_700_000_000_000).unwrap());
        let limiter =
            InProcessLimiter::with_clock(InProcessLimiterConfig::default(), Arc::new(clock.clone())).unwrap();
        for name in 0..10_000 {
            assert!(limiter.acquire(&key(name), LIMIT).await.unwrap().admitted);
        }
        assert_eq!(limiter.keys(), 10_000);
        clock.advance(TimeDelta::milliseconds(1_001));
        for call in 0..10_000 + 16 * 128 {
            limiter.acquire(&key(10_000 + call % 16), LIMIT).await.unwrap();
        }
        // Keys of parts that none of the sixteen fell into are still there.
        assert!(limiter.keys() < 10_000, "{}", limiter.keys());
    }

    #[tokio::test]
    async fn a_key_too_many_is_refused_and_not_forgotten_for() {
        let clock = ManualClock::at(from_millis(1_700_000_000_000).unwrap());
        let config = InProcessLimiterConfig::default().with_max_keys(1);
        let limiter = InProcessLimiter::with_clock(config, Arc::new(clock.clone())).unwrap();
        limiter.acquire(&key(1), LIMIT).await.unwrap();
        let error = limiter.acquire(&key(2), LIMIT).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::RateLimited);
        assert!(limiter.acquire(&key(1), LIMIT).await.unwrap().admitted);
        clock.advance(TimeDelta::milliseconds(1_001));
        assert!(limiter.acquire(&key(2), LIMIT).await.unwrap().admitted);
    }
}

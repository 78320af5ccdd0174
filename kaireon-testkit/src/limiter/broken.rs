//! Deliberately wrong limiters, by which the suite is shown to bite.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kaireon_core::Result;
use kaireon_core::limiter::{LimitKey, RateDecision, RateLimit, RateLimiter};
use kaireon_core::time::{Clock, ForwardClock, ManualClock, from_millis};
use parking_lot::Mutex;

use super::LimiterFixture;

/// One altered rule of a limiter that works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Flaw {
    /// Counts from one full window to the next.
    FixedWindow,
    /// A bucket of `limit` that fills evenly.
    Bucket,
    /// Weighs the last full window by how much of it is still within.
    WeighsTheLastWindow,
    /// A refused call takes a place.
    RefusedTakesAPlace,
    /// One limit for all keys of a name, whose ever.
    ForgetsTenants,
    /// Times follow a clock that is moved back.
    FollowsTheClockBack,
    /// Names half of the wait.
    NamesHalfTheWait,
    /// Looks, and notes the admission later.
    LooksThenNotes,
    /// Says that one more would be admitted.
    CountsOneMoreAsLeft,
    /// Admits one less than the limit.
    AdmitsOneLess,
    /// Takes limits of zero.
    TakesAnyLimit,
    /// Counts the admissions of each limit by themselves.
    CountsLimitsApart,
    /// Remembers no more admissions than the latest limit.
    ForgetsBeyondTheLimit,
}

impl Flaw {
    /// Every flaw.
    pub const ALL: &[Self] = &[
        Self::FixedWindow,
        Self::Bucket,
        Self::WeighsTheLastWindow,
        Self::RefusedTakesAPlace,
        Self::ForgetsTenants,
        Self::FollowsTheClockBack,
        Self::NamesHalfTheWait,
        Self::LooksThenNotes,
        Self::CountsOneMoreAsLeft,
        Self::AdmitsOneLess,
        Self::TakesAnyLimit,
        Self::CountsLimitsApart,
        Self::ForgetsBeyondTheLimit,
    ];

    /// The cases that must fail.
    #[must_use]
    pub fn caught_by(self) -> &'static [&'static str] {
        match self {
            Self::FixedWindow => &[
                "no_window_holds_more_than_the_limit_across_the_edges_of_fixed_windows",
                "no_window_holds_more_than_the_limit_at_an_uneven_pace",
            ],
            Self::Bucket => &[
                "no_window_holds_more_than_the_limit_across_the_edges_of_fixed_windows",
                "no_window_holds_more_than_the_limit_under_a_burst_after_a_pause",
                "no_window_holds_more_than_the_limit_at_an_uneven_pace",
            ],
            Self::WeighsTheLastWindow => &["no_window_holds_more_than_the_limit_at_an_uneven_pace"],
            Self::RefusedTakesAPlace => &["a_refused_call_takes_no_place"],
            Self::ForgetsTenants => &["tenants_do_not_share_a_limit"],
            Self::FollowsTheClockBack => &["a_clock_moved_back_admits_no_more"],
            Self::NamesHalfTheWait => &["a_refused_call_is_admitted_after_the_wait_it_was_told"],
            Self::LooksThenNotes => &["concurrent_callers_together_keep_to_the_limit"],
            Self::CountsOneMoreAsLeft => &["remaining_counts_down_to_nothing"],
            Self::AdmitsOneLess => &["the_limit_is_used_in_full"],
            Self::TakesAnyLimit => &["limits_out_of_bounds_are_invalid_input_naming_the_field"],
            Self::CountsLimitsApart | Self::ForgetsBeyondTheLimit => {
                &["limits_of_one_key_count_the_same_admissions"]
            }
        }
    }

    /// Cases that the flaw fails as well, because they count on its rule.
    #[must_use]
    pub fn may_fail(self) -> &'static [&'static str] {
        match self {
            Self::FixedWindow | Self::Bucket | Self::WeighsTheLastWindow => &[
                "no_window_holds_more_than_the_limit_across_the_edges_of_fixed_windows",
                "no_window_holds_more_than_the_limit_under_a_burst_after_a_pause",
                "no_window_holds_more_than_the_limit_at_an_uneven_pace",
                "a_limit_of_one_admits_one_per_window",
                "a_clock_moved_back_admits_no_more",
                "a_refused_call_takes_no_place",
                "a_refused_call_is_admitted_after_the_wait_it_was_told",
                "the_limit_is_used_in_full",
                "remaining_counts_down_to_nothing",
                "limits_of_one_key_count_the_same_admissions",
            ],
            Self::CountsOneMoreAsLeft => &["limits_of_one_key_count_the_same_admissions"],
            Self::RefusedTakesAPlace => &[
                "limits_of_one_key_count_the_same_admissions",
                "the_limit_is_used_in_full",
                "a_refused_call_is_admitted_after_the_wait_it_was_told",
                "no_window_holds_more_than_the_limit_under_a_burst_after_a_pause",
                "a_limit_of_one_admits_one_per_window",
                "a_clock_moved_back_admits_no_more",
            ],
            Self::AdmitsOneLess => &[
                "a_refused_call_takes_no_place",
                "remaining_counts_down_to_nothing",
                "keys_do_not_share_a_limit",
                "tenants_do_not_share_a_limit",
                "limits_of_one_key_count_the_same_admissions",
                "concurrent_callers_together_keep_to_the_limit",
                "a_limit_of_one_admits_one_per_window",
                "a_clock_moved_back_admits_no_more",
                "a_refused_call_is_admitted_after_the_wait_it_was_told",
            ],
            _ => &[],
        }
    }
}

/// Opens limiters with a flaw, or sound ones.
#[derive(Clone, Debug)]
pub struct Fixture {
    clock: ManualClock,
    limiter: Arc<Broken>,
}

impl Fixture {
    /// A fixture.
    ///
    /// # Panics
    /// Never: the time it begins at can be expressed.
    #[must_use]
    pub fn new(flaw: Option<Flaw>) -> Self {
        let clock = ManualClock::at(from_millis(1_700_000_000_000).expect("a time of 2023"));
        let limiter = Arc::new(Broken {
            flaw,
            forward: ForwardClock::new(Arc::new(clock.clone())),
            clock: clock.clone(),
            keys: Mutex::default(),
        });
        Self { clock, limiter }
    }
}

#[async_trait]
impl LimiterFixture for Fixture {
    async fn open(&self) -> Arc<dyn RateLimiter> {
        Arc::<Broken>::clone(&self.limiter)
    }

    fn clock(&self) -> Option<ManualClock> {
        Some(self.clock.clone())
    }
}

struct Broken {
    flaw: Option<Flaw>,
    clock: ManualClock,
    forward: ForwardClock,
    keys: Mutex<HashMap<String, Vec<i64>>>,
}

impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Broken({:?})", self.flaw)
    }
}

impl Broken {
    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    /// How many of these admissions count against the limit now.
    #[allow(clippy::cast_precision_loss, reason = "this is the flaw")]
    fn counting(&self, times: &[i64], now: i64, limit: usize, window: i64) -> usize {
        let count = |from: i64, to: i64| times.iter().filter(|&&time| time >= from && time < to).count();
        let edge = now - now % window;
        match self.flaw {
            Some(Flaw::FixedWindow) => count(edge, i64::MAX),
            Some(Flaw::WeighsTheLastWindow) => {
                let left = 1.0 - (now - edge) as f64 / window as f64;
                let weighed = count(edge - window, edge) as f64 * left;
                (0..=times.len())
                    .rfind(|&whole| whole as f64 <= weighed)
                    .unwrap_or_default()
                    + count(edge, i64::MAX)
            }
            Some(Flaw::Bucket) => {
                let (mut level, mut last) = (limit as f64, i64::MIN);
                for &time in times.iter().chain([&now]) {
                    let filled = time.saturating_sub(last) as f64 * limit as f64 / window as f64;
                    level = (level + filled).min(limit as f64);
                    last = time;
                    if time != now || level < 1.0 {
                        level -= 1.0;
                    }
                }
                let taken_now = count(now, now + 1) as f64;
                if level - taken_now >= 1.0 { 0 } else { limit }
            }
            _ => count(now - window, i64::MAX),
        }
    }
}

#[async_trait]
impl RateLimiter for Broken {
    async fn acquire(&self, key: &LimitKey, limit: RateLimit) -> Result<RateDecision> {
        if !self.has(Flaw::TakesAnyLimit) {
            limit.check()?;
        }
        let name = match self.has(Flaw::ForgetsTenants) {
            true => key.as_str().split('\0').nth(1).unwrap_or_default().to_owned(),
            false => key.as_str().to_owned(),
        };
        let name = match self.has(Flaw::CountsLimitsApart) {
            true => format!("{name}\0{}\0{:?}", limit.limit, limit.window),
            false => name,
        };
        let window = i64::try_from(limit.window.as_millis()).unwrap_or(i64::MAX).max(1);
        let most = (limit.limit as usize).saturating_sub(usize::from(self.has(Flaw::AdmitsOneLess)));
        if self.has(Flaw::LooksThenNotes) {
            let at = self.forward.now();
            let now = at.timestamp_millis();
            let seen = self
                .keys
                .lock()
                .get(&name)
                .map_or(0, |times| self.counting(times, now, most, window));
            tokio::task::yield_now().await;
            let admitted = seen < most;
            if admitted {
                self.keys.lock().entry(name).or_default().push(now);
            }
            let remaining = u32::try_from(most.saturating_sub(seen + 1)).unwrap_or_default();
            let wait = if admitted { Duration::ZERO } else { limit.window };
            return Ok(RateDecision::new(admitted, remaining, wait, at));
        }
        let mut keys = self.keys.lock();
        let at = match self.has(Flaw::FollowsTheClockBack) {
            true => self.clock.now(),
            false => self.forward.now(),
        };
        let now = at.timestamp_millis();
        let times = keys.entry(name).or_default();
        let counting = self.counting(times, now, most, window);
        if counting >= most {
            let leaving = times
                .len()
                .checked_sub(most.max(1))
                .and_then(|at| times.get(at))
                .copied();
            if self.has(Flaw::RefusedTakesAPlace) {
                times.push(now);
            }
            let wait = (leaving.unwrap_or(now) + window + 1 - now).max(1);
            let wait = if self.has(Flaw::NamesHalfTheWait) {
                wait / 2
            } else {
                wait
            };
            let wait = Duration::from_millis(wait.unsigned_abs());
            return Ok(RateDecision::new(false, 0, wait, at));
        }
        times.push(now);
        if self.has(Flaw::ForgetsBeyondTheLimit) {
            times.drain(..times.len().saturating_sub(most));
        }
        let left = most - counting - 1 + usize::from(self.has(Flaw::CountsOneMoreAsLeft));
        Ok(RateDecision::new(
            true,
            u32::try_from(left).unwrap_or(u32::MAX),
            Duration::ZERO,
            at,
        ))
    }
}

//! How often to try, and how long to pause.

use std::fmt;
use std::time::Duration;

/// How often a call is tried, and with which pauses.
///
/// The pause after the n-th failed attempt is drawn evenly from zero to `base_delay` × 2ⁿ⁻¹, at most `max_delay`
/// ("full jitter": callers that failed together do not come back together). Where the error says how long the
/// backend asks to be left alone, the drawn pause is added to that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The most attempts, the first one included; 4 by default. 0 counts as 1.
    pub max_attempts: u32,
    /// The upper end of the first pause; 50 ms by default.
    pub base_delay: Duration,
    /// The upper end of every pause; 2 s by default.
    pub max_delay: Duration,
    /// No attempt begins when so long has passed since the first one began; 10 s by default. A running attempt
    /// is not cut off by it: that is what [`Timeout`](super::super::Timeout) is for.
    pub max_elapsed: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 4,
            base_delay: Duration::from_millis(50),
            max_delay: Duration::from_secs(2),
            max_elapsed: Duration::from_secs(10),
        }
    }
}

impl RetryPolicy {
    /// How long to pause after `made` attempts in `elapsed` time, or `None` when no further one is allowed.
    pub(super) fn pause(
        &self,
        made: u32,
        elapsed: Duration,
        asked: Option<Duration>,
        jitter: &dyn Jitter,
    ) -> Option<Duration> {
        let Self {
            max_attempts,
            base_delay,
            max_delay,
            max_elapsed,
        } = *self;
        if made >= max_attempts {
            return None;
        }
        let doubled = 2_u32.saturating_pow(made.saturating_sub(1));
        let drawn = jitter.draw(base_delay.saturating_mul(doubled).min(max_delay));
        let pause = asked.unwrap_or_default().saturating_add(drawn);
        (elapsed.saturating_add(pause) < max_elapsed).then_some(pause)
    }
}

/// Draws the length of a pause.
pub trait Jitter: Send + Sync + fmt::Debug {
    /// A pause from zero to `ceiling`.
    fn draw(&self, ceiling: Duration) -> Duration;
}

/// Draws evenly from zero to the ceiling.
#[derive(Clone, Copy, Debug, Default)]
pub struct FullJitter;

impl Jitter for FullJitter {
    fn draw(&self, ceiling: Duration) -> Duration {
        let nanos = u64::try_from(ceiling.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(fastrand::u64(0..=nanos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Longest;

    impl Jitter for Longest {
        fn draw(&self, ceiling: Duration) -> Duration {
            ceiling
        }
    }

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    const POLICY: RetryPolicy = RetryPolicy {
        max_attempts: 6,
        base_delay: ms(50),
        max_delay: ms(300),
        max_elapsed: ms(10_000),
    };

    #[test]
    fn pauses_double_up_to_the_longest() {
        let pauses: Vec<_> = (1..=6)
            .map(|made| POLICY.pause(made, ms(0), None, &Longest))
            .collect();
        assert_eq!(
            pauses,
            [
                Some(ms(50)),
                Some(ms(100)),
                Some(ms(200)),
                Some(ms(300)),
                Some(ms(300)),
                None
            ]
        );
    }

    #[test]
    fn what_the_backend_asks_for_is_added_to() {
        assert_eq!(POLICY.pause(1, ms(0), Some(ms(700)), &Longest), Some(ms(750)));
    }

    #[test]
    fn no_attempt_begins_after_the_whole_time() {
        assert_eq!(POLICY.pause(1, ms(9_949), None, &Longest), Some(ms(50)));
        assert_eq!(POLICY.pause(1, ms(9_950), None, &Longest), None);
        assert_eq!(POLICY.pause(1, ms(0), Some(ms(10_000)), &Longest), None);
    }

    #[test]
    fn the_largest_values_do_not_overflow() {
        let policy = RetryPolicy {
            max_attempts: u32::MAX,
            base_delay: Duration::MAX,
            max_delay: Duration::MAX,
            max_elapsed: Duration::MAX,
        };
        assert_eq!(
            policy.pause(40, Duration::MAX, Some(Duration::MAX), &Longest),
            None
        );
        assert!(policy.pause(40, ms(0), None, &FullJitter).is_some());
    }

    #[test]
    fn full_jitter_fills_its_range() {
        let drawn: Vec<_> = (0..2_000).map(|_| FullJitter.draw(ms(100))).collect();
        assert!(drawn.iter().all(|pause| *pause <= ms(100)));
        let mean = drawn.iter().sum::<Duration>() / 2_000;
        assert!(mean > ms(40) && mean < ms(60), "{mean:?}");
        assert!(drawn.iter().any(|pause| *pause < ms(10)) && drawn.iter().any(|pause| *pause > ms(90)));
    }
}

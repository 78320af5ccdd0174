//! The admissions of one key: an exact log, from which a window is counted.

use std::collections::VecDeque;

/// The times, in milliseconds, of the latest admissions: no more than the largest limit, and none older than the
/// longest window, that the key was asked for with. Times handed in do not run backwards.
#[derive(Debug, Default)]
pub(super) struct Log {
    times: VecDeque<i64>,
    limit: u32,
    window: i64,
}

/// What the log says of a call.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Admitted and noted; so many more would be.
    Admitted { remaining: u32 },
    /// Refused; it would be admitted after so many milliseconds.
    Refused { wait: i64 },
}

impl Log {
    /// Asks for one call at `now`.
    ///
    /// Times are cut to milliseconds, so that two of them `window` apart may in truth be nearer than that: a time
    /// has left the window when more than `window` lies between.
    pub(super) fn acquire(&mut self, now: i64, limit: u32, window: i64) -> Verdict {
        self.limit = self.limit.max(limit);
        self.window = self.window.max(window);
        while self
            .times
            .front()
            .is_some_and(|&time| is_past(time, self.window, now))
        {
            self.times.pop_front();
        }
        let past = self.times.partition_point(|&time| is_past(time, window, now));
        let within = self.times.len() - past;
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        if within >= most {
            // The one whose leaving makes room.
            let leaves = self.times[self.times.len() - most]
                .saturating_add(window)
                .saturating_add(1);
            return Verdict::Refused { wait: leaves - now };
        }
        if self.times.len() >= usize::try_from(self.limit).unwrap_or(usize::MAX) {
            self.times.pop_front();
        }
        self.times.push_back(now);
        let remaining = u32::try_from(most - within - 1).unwrap_or(u32::MAX);
        Verdict::Admitted { remaining }
    }

    /// Whether nothing in it matters any more.
    pub(super) fn is_idle(&self, now: i64) -> bool {
        self.times
            .back()
            .is_none_or(|&time| is_past(time, self.window, now))
    }
}

fn is_past(time: i64, window: i64, now: i64) -> bool {
    now - time > window
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, proptest};

    use super::*;

    #[test]
    fn a_refused_call_takes_no_place() {
        let mut log = Log::default();
        assert_eq!(log.acquire(0, 1, 10), Verdict::Admitted { remaining: 0 });
        assert_eq!(log.acquire(0, 1, 10), Verdict::Refused { wait: 11 });
        assert_eq!(log.acquire(10, 1, 10), Verdict::Refused { wait: 1 });
        assert_eq!(log.acquire(11, 1, 10), Verdict::Admitted { remaining: 0 });
    }

    #[test]
    fn two_windows_of_one_key_are_both_held() {
        let mut log = Log::default();
        let mut admitted = Vec::new();
        for now in 0..2_000 {
            if let Verdict::Admitted { .. } = log.acquire(now, 20, 1_000)
                && let Verdict::Admitted { .. } = log.acquire(now, 4, 100)
            {
                admitted.push(now);
            }
        }
        assert!(log.times.len() <= 20);
        assert!(!log.is_idle(2_000) && log.is_idle(10_000));
        // Each call of the wider window takes a place in both; the narrower one has room for two pairs.
        assert_eq!(admitted, [0, 1, 1001, 1002]);
    }

    proptest! {
        #[test]
        fn no_window_holds_more_than_the_limit_and_no_call_waits_in_vain(
            steps in proptest::collection::vec(0_i64..40, 1..400), limit in 1_u32..12, window in 1_i64..200,
        ) {
            let (mut log, mut admitted, mut now) = (Log::default(), Vec::<i64>::new(), 0);
            for step in steps {
                now += step;
                let within = admitted.iter().filter(|&&time| now - time <= window).count();
                match log.acquire(now, limit, window) {
                    Verdict::Admitted { .. } => {
                        prop_assert!(within < limit as usize);
                        admitted.push(now);
                    }
                    Verdict::Refused { wait } => {
                        prop_assert!(within >= limit as usize);
                        let then = now + wait;
                        let room = |at: i64| admitted.iter().filter(|&&time| at - time <= window).count() < limit as usize;
                        prop_assert!(room(then) && !room(then - 1));
                    }
                }
                prop_assert!(log.times.len() <= limit as usize);
            }
        }
    }
}

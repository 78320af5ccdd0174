//! Clocks that never run backwards.

use std::sync::Arc;
use std::time::Instant;

use chrono::TimeDelta;
use parking_lot::Mutex;

use super::{Clock, SystemClock, TimeSource, Timestamp, from_millis};

/// The machine's steady clock, counted on from what the wall clock showed when it was made: setting the wall clock
/// does not move it.
#[derive(Clone, Copy, Debug)]
pub struct SteadyClock {
    wall: Timestamp,
    steady: Instant,
}

impl SteadyClock {
    /// Begins at the wall clock's present time.
    #[must_use]
    pub fn new() -> Self {
        Self {
            wall: SystemClock.now(),
            steady: Instant::now(),
        }
    }
}

impl Default for SteadyClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SteadyClock {
    fn now(&self) -> Timestamp {
        let elapsed = i64::try_from(self.steady.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.wall + TimeDelta::milliseconds(elapsed)
    }

    fn source(&self) -> TimeSource {
        TimeSource::Real
    }
}

/// A clock over another that may be moved back: it stands still while the other is moved, and runs on with it from
/// there. So no duration is ever measured too long, and none is stretched by the distance of the move.
#[derive(Debug)]
pub struct ForwardClock {
    clock: Arc<dyn Clock>,
    seen: Mutex<Seen>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    /// What the other clock showed last, in milliseconds.
    last: i64,
    /// By how much it was moved back in all.
    moved: i64,
}

impl ForwardClock {
    /// A clock over this one.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let last = clock.now().timestamp_millis();
        Self {
            clock,
            seen: Mutex::new(Seen { last, moved: 0 }),
        }
    }
}

impl Clock for ForwardClock {
    fn now(&self) -> Timestamp {
        // Under the lock, so that a reading that was overtaken by another is not taken for a move.
        let mut seen = self.seen.lock();
        let now = self.clock.now();
        let millis = now.timestamp_millis();
        seen.moved = seen.moved.saturating_add((seen.last - millis).max(0));
        seen.last = millis;
        from_millis(millis.saturating_add(seen.moved)).unwrap_or(now)
    }

    fn source(&self) -> TimeSource {
        self.clock.source()
    }
}

#[cfg(test)]
mod tests {
    use super::super::ManualClock;
    use super::*;

    #[test]
    fn a_clock_moved_back_stands_still_and_then_runs_on() {
        let start = from_millis(1_700_000_000_000).unwrap();
        let manual = ManualClock::at(start);
        let forward = ForwardClock::new(Arc::new(manual.clone()));
        manual.advance(TimeDelta::seconds(5));
        assert_eq!(forward.now(), start + TimeDelta::seconds(5));
        manual.advance(TimeDelta::hours(-1));
        assert_eq!(forward.now(), start + TimeDelta::seconds(5));
        manual.advance(TimeDelta::seconds(2));
        assert_eq!(forward.now(), start + TimeDelta::seconds(7));
        manual.advance(TimeDelta::hours(1));
        assert_eq!(forward.now(), start + TimeDelta::seconds(3_607));
    }

    #[test]
    fn a_clock_over_another_shows_the_same_time_as_that() {
        let manual = ManualClock::at(from_millis(0).unwrap());
        assert_eq!(ForwardClock::new(Arc::new(manual)).source(), TimeSource::Own);
        let forward: Arc<dyn Clock> = Arc::new(ForwardClock::new(Arc::new(SteadyClock::new())));
        assert_eq!(forward.source(), TimeSource::Real);
        assert_eq!(Arc::new(SystemClock).source(), TimeSource::Real);
    }

    #[test]
    fn the_steady_clock_begins_at_the_wall_clock() {
        let clock = SteadyClock::new();
        let (first, wall) = (clock.now(), SystemClock.now());
        assert!((wall - first).abs() < TimeDelta::seconds(1));
        assert!(clock.now() >= first);
    }
}

//! The time by which entries expire, in milliseconds from an arbitrary start.

use std::sync::Arc;
#[cfg(target_os = "linux")]
use std::time::Duration;
use std::time::Instant;

use kaireon_core::time::{Clock, ForwardClock};

/// The longest step of a coarse clock that is accepted: the kernel's tick at 250 Hz. A virtual machine may delay a
/// tick, so it has to be well below the promised 10 ms.
#[cfg(target_os = "linux")]
const LONGEST_STEP: Duration = Duration::from_millis(4);

/// See the module. Never runs backwards.
#[derive(Debug)]
pub(super) enum Ticks {
    /// The kernel's coarse clock: a tenth of the price of a fine one, and it does not hold up what is read next.
    #[cfg(target_os = "linux")]
    Coarse,
    /// The fine clock, where no coarse one is fine enough.
    Fine(Instant),
    /// A clock that was handed in.
    Given(ForwardClock),
}

impl Ticks {
    /// The machine's.
    pub(super) fn of_machine() -> Self {
        #[cfg(target_os = "linux")]
        {
            use rustix::time::{ClockId, clock_getres};
            let step = clock_getres(ClockId::MonotonicCoarse);
            if Duration::try_from(step).is_ok_and(|step| step <= LONGEST_STEP) {
                return Self::Coarse;
            }
        }
        Self::Fine(Instant::now())
    }

    /// Those of a clock.
    pub(super) fn given(clock: Arc<dyn Clock>) -> Self {
        Self::Given(ForwardClock::new(clock))
    }

    /// The present time, at most 10 ms late.
    pub(super) fn now(&self) -> u64 {
        match self {
            #[cfg(target_os = "linux")]
            Self::Coarse => {
                use rustix::time::{ClockId, clock_gettime};
                let time = clock_gettime(ClockId::MonotonicCoarse);
                let (seconds, nanos) = (time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs());
                seconds * 1_000 + nanos / 1_000_000
            }
            Self::Fine(start) => u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
            Self::Given(clock) => clock.now().timestamp_millis().unsigned_abs(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Instant, Ticks};

    #[test]
    fn the_machine_s_ticks_follow_the_fine_clock() {
        for ticks in [Ticks::of_machine(), Ticks::Fine(Instant::now())] {
            let (start, fine) = (ticks.now(), Instant::now());
            let mut last = start;
            while fine.elapsed() < Duration::from_millis(50) {
                let now = ticks.now();
                assert!(now >= last);
                last = now;
            }
            assert!((30..200).contains(&(last - start)), "{}", last - start);
        }
    }
}

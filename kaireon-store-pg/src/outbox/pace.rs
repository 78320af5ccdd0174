//! How often a relay looks where nothing may wake it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The wait after something came, or is to come.
const SHORTEST: Duration = Duration::from_millis(5);

/// The wait after long in vain.
const LONGEST: Duration = Duration::from_millis(500);

/// A wait between two looks: short at first, and twice as long after each that found nothing.
#[derive(Debug)]
pub(super) struct Pace {
    micros: AtomicU64,
}

impl Pace {
    pub(super) fn quick() -> Self {
        let micros = AtomicU64::new(micros(SHORTEST));
        Self { micros }
    }

    pub(super) fn slow() -> Self {
        let micros = AtomicU64::new(micros(LONGEST));
        Self { micros }
    }

    pub(super) fn wait(&self) -> Duration {
        Duration::from_micros(self.micros.load(Ordering::Relaxed))
    }

    pub(super) fn is_slow(&self) -> bool {
        self.wait() >= LONGEST
    }

    pub(super) fn quicken(&self) {
        self.micros.store(micros(SHORTEST), Ordering::Relaxed);
    }

    pub(super) fn slacken(&self) {
        let longer = (self.wait() * 2).min(LONGEST);
        self.micros.store(micros(longer), Ordering::Relaxed);
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_in_vain_grow_seldom_and_a_find_makes_them_quick_again() {
        let pace = Pace::quick();
        let mut waits = Vec::new();
        while !pace.is_slow() {
            waits.push(pace.wait());
            pace.slacken();
        }
        assert_eq!(waits.len(), 7);
        assert!(waits.is_sorted() && waits[0] == SHORTEST);
        assert_eq!(pace.wait(), LONGEST);
        pace.slacken();
        assert_eq!(pace.wait(), LONGEST);
        pace.quicken();
        assert_eq!(pace.wait(), SHORTEST);
        assert!(Pace::slow().is_slow());
    }
}

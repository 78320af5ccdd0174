//! A moment, before which connections were made that are not to be used again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The latest such moment, which pool and client share.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    begin: Instant,
    /// In microseconds since the begin; zero for none.
    at: Arc<AtomicU64>,
}

impl Mark {
    pub(crate) fn new() -> Self {
        Self {
            begin: Instant::now(),
            at: Arc::default(),
        }
    }

    fn now(&self) -> u64 {
        // Half a million years.
        u64::try_from(self.begin.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Sets it to now.
    pub(crate) fn set(&self) {
        self.at.fetch_max(self.now(), Ordering::Relaxed);
    }

    /// Whether a connection of that age was made before it.
    pub(crate) fn is_behind(&self, age: Duration) -> bool {
        let age = u64::try_from(age.as_micros()).unwrap_or(u64::MAX);
        self.now().saturating_sub(age) < self.at.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_made_before_it_is_behind() {
        let mark = Mark::new();
        let shared = mark.clone();
        let old = Instant::now();
        assert!(
            !mark.is_behind(old.elapsed() + Duration::from_secs(9)),
            "none is set"
        );
        std::thread::sleep(Duration::from_millis(2));
        shared.set();
        assert!(mark.is_behind(old.elapsed()));
        std::thread::sleep(Duration::from_millis(2));
        let new = Instant::now();
        assert!(!mark.is_behind(new.elapsed()));
    }
}

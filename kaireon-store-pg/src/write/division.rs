//! How long a batch is divided that meets what others hold.

use std::time::{Duration, Instant};

use kaireon_core::Error;

/// The bound on dividing one batch, counted from the first of its parts that was stopped. Every try waits for a lock
/// or for the server, so a large batch before a locked table would be divided for minutes, with all who wait for the
/// writer behind it.
#[derive(Debug)]
pub(super) struct Division {
    wait: Duration,
    first: Option<Instant>,
    last: Option<Error>,
}

impl Division {
    /// Divides for so long.
    pub(super) const fn new(wait: Duration) -> Self {
        Self {
            wait,
            first: None,
            last: None,
        }
    }

    /// Notes that a part was stopped; returns since when parts are.
    pub(super) fn stopped(&mut self, error: &Error, now: Instant) -> Instant {
        self.last = Some(error.clone());
        *self.first.get_or_insert(now)
    }

    /// Whether a part that was stopped may be divided further.
    pub(super) fn goes_on(&self, now: Instant) -> bool {
        self.first
            .is_none_or(|first| now.duration_since(first) < self.wait)
    }

    /// What the rest is told without another try. What is not divided any more gets one as a whole, because the others'
    /// hold may be on a part that is behind; but a try itself may be long.
    pub(super) fn over(&self, now: Instant) -> Option<Error> {
        let first = self.first?;
        let over = now.duration_since(first) >= self.wait.saturating_mul(2);
        self.last.clone().filter(|_| over)
    }
}

#[cfg(test)]
mod tests {
    use kaireon_core::ErrorKind;

    use super::*;

    #[test]
    fn a_division_ends_when_the_wait_is_over_and_its_rest_is_tried_once_more() {
        let wait = Duration::from_secs(10);
        let began = Instant::now();
        let mut division = Division::new(wait);
        assert!(division.goes_on(began + wait * 100));
        assert!(division.over(began + wait * 100).is_none());
        let error = Error::new(ErrorKind::Timeout, "held");
        assert_eq!(division.stopped(&error, began), began);
        assert_eq!(division.stopped(&error, began + wait / 2), began);
        assert!(division.goes_on(began + wait - Duration::from_millis(1)));
        assert!(!division.goes_on(began + wait));
        assert!(division.over(began + wait).is_none());
        assert_eq!(
            division.over(began + wait * 2).unwrap().kind(),
            ErrorKind::Timeout
        );
    }
}

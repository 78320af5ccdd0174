//! How many records were made in each second.

use std::time::Duration;

use kaireon_core::time::Timestamp;

/// How many records were made in each second of a time.
pub(super) struct Profile {
    /// In seconds since the epoch.
    from: i64,
    counts: Vec<u32>,
}

impl Profile {
    pub(super) fn new(from: Timestamp, until: Timestamp) -> Self {
        let seconds = until.timestamp().saturating_sub(from.timestamp()).max(0) + 1;
        Self {
            from: from.timestamp(),
            counts: vec![0; usize::try_from(seconds).unwrap_or_default()],
        }
    }

    /// Counts a record, of that time.
    pub(super) fn add(&mut self, at: Timestamp) {
        let second = usize::try_from(at.timestamp() - self.from).ok();
        if let Some(count) = second.and_then(|second| self.counts.get_mut(second)) {
            *count = count.saturating_add(1);
        }
    }

    /// The first second in which one was made.
    pub(super) fn first(&self) -> Option<i64> {
        let second = self.counts.iter().position(|count| *count > 0)?;
        Some(self.from + i64::try_from(second).ok()?)
    }

    pub(super) fn total(&self) -> u64 {
        self.counts.iter().map(|count| u64::from(*count)).sum()
    }

    /// When each of them is due, from a second on that is no later than the first, so many times as fast: in order, those of
    /// one second spread over it.
    pub(super) fn dues(self, first: i64, times: f64) -> impl Iterator<Item = Duration> + Send {
        let from = self.from;
        let seconds = self.counts.into_iter().zip(0_i64..);
        let seconds = seconds.filter(|(count, _)| *count > 0);
        seconds.flat_map(move |(count, second)| {
            #[allow(clippy::cast_precision_loss, reason = "seconds since a window's start")]
            let begins = (from + second - first).max(0) as f64;
            (0..count).map(move |number| {
                let at = begins + f64::from(number) / f64::from(count);
                Duration::from_secs_f64(at / times)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use kaireon_core::time;

    use super::*;

    fn at(millis: i64) -> Timestamp {
        time::from_millis(1_740_830_400_000 + millis).unwrap()
    }

    #[test]
    fn records_are_due_in_the_seconds_they_were_made_in_and_spread_over_them() {
        let mut profile = Profile::new(at(0), at(60_000));
        for millis in [10_900, 10_100, 12_000, 9_999, 10_500, 10_000] {
            profile.add(at(millis));
        }
        // Of another time.
        profile.add(at(-1_000));
        profile.add(at(3_600_000));
        assert_eq!(profile.total(), 6);
        let first = profile.first().unwrap();
        assert_eq!(first, at(9_000).timestamp());
        let dues: Vec<u128> = profile.dues(first, 2.0).map(|due| due.as_millis()).collect();
        assert_eq!(dues, [0, 500, 625, 750, 875, 1_500]);
    }

    #[test]
    fn nothing_is_due_of_nothing() {
        let profile = Profile::new(at(0), at(1));
        assert_eq!((profile.first(), profile.total()), (None, 0));
        assert_eq!(profile.dues(0, 1.0).count(), 0);
    }
}

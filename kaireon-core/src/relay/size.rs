//! How many entries are delivered at once.

/// After so many full batches in a row that went through, the next ones are larger.
const GROWS_AFTER: u32 = 16;

/// The size of a batch: halved when all of one ran out of time, because a sink that takes them one by one and is given
/// a time for the whole would never get to the end of the same batch; doubled again, up to what is configured, after
/// a number of full ones went through.
#[derive(Debug)]
pub(super) struct BatchSize {
    limit: u32,
    most: u32,
    in_a_row: u32,
}

impl BatchSize {
    pub(super) fn up_to(most: u32) -> Self {
        let most = most.max(1);
        Self {
            limit: most,
            most,
            in_a_row: 0,
        }
    }

    pub(super) const fn limit(&self) -> u32 {
        self.limit
    }

    /// Nothing of a batch was delivered in the time there was for it.
    pub(super) fn timed_out(&mut self, entries: usize) {
        let entries = u32::try_from(entries).unwrap_or(u32::MAX);
        self.limit = (entries.min(self.limit) / 2).max(1);
        self.in_a_row = 0;
    }

    /// At least some of a batch was delivered.
    pub(super) fn went_through(&mut self, entries: usize) {
        if self.limit == self.most || u32::try_from(entries).is_ok_and(|entries| entries < self.limit) {
            return;
        }
        self.in_a_row += 1;
        if self.in_a_row >= GROWS_AFTER {
            self.limit = self.limit.saturating_mul(2).min(self.most);
            self.in_a_row = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_halved_to_one_and_grows_back_to_what_is_configured() {
        let mut size = BatchSize::up_to(12);
        for expected in [6, 3, 1, 1] {
            size.timed_out(12);
            assert_eq!(size.limit(), expected);
        }
        for expected in [1, 2, 4, 8, 12] {
            assert_eq!(size.limit(), expected);
            // Less than a full one says nothing of a full one.
            size.went_through(0);
            for _ in 0..GROWS_AFTER {
                assert_eq!(size.limit(), expected);
                size.went_through(12);
            }
        }
        assert_eq!(size.limit(), 12);
    }

    #[test]
    fn a_batch_that_was_smaller_than_the_size_is_halved_itself() {
        let mut size = BatchSize::up_to(512);
        size.timed_out(100);
        assert_eq!(size.limit(), 50);
        assert_eq!(BatchSize::up_to(0).limit(), 1);
    }
}

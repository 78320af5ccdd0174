//! How much goes through a switch.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// One in so many reads is timed: the clock is read twice for it.
const TIMED: u64 = 16;

/// What went through a switch since it was made, of all tenants. Two readings tell rates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Activity {
    /// Interactions and decisions that were recorded as new.
    pub writes: u64,
    /// Reads of histories, summaries and decisions that were timed: one in sixteen.
    pub timed_reads: u64,
    /// What those took together.
    pub read_time: Duration,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    writes: AtomicU64,
    reads: AtomicU64,
    timed: AtomicU64,
    nanos: AtomicU64,
}

impl Counters {
    pub(super) fn wrote(&self, records: u64) {
        self.writes.fetch_add(records, Ordering::Relaxed);
    }

    /// Begins a read; when, if it is one that is timed.
    pub(super) fn begin_read(&self) -> Option<Instant> {
        let number = self.reads.fetch_add(1, Ordering::Relaxed);
        number.is_multiple_of(TIMED).then(Instant::now)
    }

    /// Ends it.
    pub(super) fn end_read(&self, begun: Option<Instant>) {
        if let Some(begun) = begun {
            let nanos = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
            self.nanos.fetch_add(nanos, Ordering::Relaxed);
            self.timed.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn read(&self) -> Activity {
        Activity {
            writes: self.writes.load(Ordering::Relaxed),
            timed_reads: self.timed.load(Ordering::Relaxed),
            read_time: Duration::from_nanos(self.nanos.load(Ordering::Relaxed)),
        }
    }
}

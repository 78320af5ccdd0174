//! What a relay tells the recorder. Labels name the lane, and nothing of a customer's; `docs/metrics.md` lists them.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::outbox::{Lane, LaneStatus, OutboxEntry};
use crate::time::{Clock, SystemClock, Timestamp};

/// Counts for the relay's own statistics, and for the recorder.
pub(super) fn add(counter: &AtomicU64, name: &'static str, lane: Lane, count: u64) {
    if count > 0 {
        counter.fetch_add(count, Ordering::Relaxed);
        metrics::counter!(name, "lane" => lane.as_str()).increment(count);
    }
}

/// How the lane stands, for all of its relays, and how much of it this one reads.
#[allow(clippy::cast_precision_loss, reason = "a gauge is a float")]
pub(super) fn standing(lane: Lane, status: &LaneStatus, ranges: usize) {
    let LaneStatus {
        backlog,
        oldest,
        dead_letters,
        relays,
        destination: _,
    } = status;
    let lane = lane.as_str();
    let age = oldest.map_or(0.0, |oldest| seconds_since(oldest, SystemClock.now()));
    metrics::gauge!("kaireon.outbox.backlog", "lane" => lane).set(*backlog as f64);
    metrics::gauge!("kaireon.outbox.oldest_age", "lane" => lane).set(age);
    metrics::gauge!("kaireon.outbox.dead_letters", "lane" => lane).set(*dead_letters as f64);
    metrics::gauge!("kaireon.outbox.relays", "lane" => lane).set(f64::from(*relays));
    metrics::gauge!("kaireon.outbox.ranges", "lane" => lane).set(ranges as f64);
}

/// How long entries took from their record to their delivery.
pub(super) struct Lag {
    histogram: metrics::Histogram,
    now: Timestamp,
}

impl Lag {
    pub(super) fn of(lane: Lane) -> Self {
        Self {
            histogram: metrics::histogram!("kaireon.outbox.lag", "lane" => lane.as_str()),
            now: SystemClock.now(),
        }
    }

    pub(super) fn note(&self, entry: &OutboxEntry) {
        self.histogram.record(seconds_since(entry.enqueued_at, self.now));
    }
}

#[allow(clippy::cast_precision_loss, reason = "a measurement is a float")]
fn seconds_since(then: Timestamp, now: Timestamp) -> f64 {
    (now - then).num_milliseconds().max(0) as f64 / 1_000.0
}

//! What a rehearsal tells of itself.

use std::collections::BTreeMap;
use std::time::Duration;

use kaireon_core::TenantId;
use kaireon_core::time::Timestamp;
use serde::Serialize;

use crate::millis;

/// How far a rehearsal has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RehearsalProgress {
    /// Calls that were begun.
    pub calls: u64,
    /// Records that are to be replayed.
    pub of: u64,
    /// Calls that were begun late.
    pub late: u64,
    /// Calls that failed.
    pub failed: u64,
}

/// What a rehearsal says of a store.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RehearsalReport {
    /// The tenant that was written to.
    pub scratch: TenantId,
    /// When it began.
    pub started_at: Timestamp,
    /// How many times as fast as they were made records were replayed.
    pub times: f64,
    /// Records of that time in the archive, interactions and decisions.
    pub records: u64,
    /// Calls that were begun, each of one record.
    pub calls: u64,
    /// Calls that were answered without an error.
    pub answered: u64,
    /// Calls that were not, by the kind of their error.
    pub errors: BTreeMap<String, u64>,
    /// Lines and objects of the archive that could not be read.
    pub unreadable: u64,
    /// Calls that were begun later than they were due, by more than
    /// [`late_after`](crate::RehearsalConfig::late_after): as many were under way as may be, or the archive was not read in
    /// time.
    pub late: u64,
    /// The latest of them all.
    #[serde(rename = "latest_us", serialize_with = "millis::as_micros")]
    pub latest: Duration,
    /// The rate at which calls were due, over the whole time.
    pub offered_per_second: f64,
    /// The rate at which they were answered without an error, from the beginning to the last answer. Both are over at least
    /// a second.
    pub achieved_per_second: f64,
    /// What half of the calls took at most, from their beginning to their answer or error.
    #[serde(rename = "p50_us", serialize_with = "millis::as_micros")]
    pub p50: Duration,
    /// What 99 of a hundred took at most.
    #[serde(rename = "p99_us", serialize_with = "millis::as_micros")]
    pub p99: Duration,
    /// What the slowest took.
    #[serde(rename = "slowest_us", serialize_with = "millis::as_micros")]
    pub slowest: Duration,
    /// Why the scratch tenant could not be cleaned up; none where it was.
    pub left_behind: Option<String>,
}

impl RehearsalReport {
    /// Whether the store kept up: every record was sent and answered without an error, and at most one in a hundred late.
    #[must_use]
    pub fn kept_up(&self) -> bool {
        self.calls == self.records
            && self.answered == self.calls
            && self.unreadable == 0
            && self.late.saturating_mul(100) <= self.calls
    }
}

//! What was seen of the two stores, and what a gate judges by.

use std::collections::BTreeMap;
use std::time::Duration;

use kaireon_core::InteractionId;
use kaireon_core::store::{Epoch, FenceState};
use kaireon_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Side, millis};

/// Which store it is, and how far it had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreMark {
    /// Drawn when the store was made.
    pub incarnation: u64,
    /// Grows with every commit.
    pub sequence: u64,
}

impl StoreMark {
    /// Whether this may be the store of an earlier mark, later on. Another incarnation is another store under the
    /// same address; a lower sequence is the same store after a backup was restored.
    #[must_use]
    pub const fn follows(self, earlier: Self) -> bool {
        self.incarnation == earlier.incarnation && self.sequence >= earlier.sequence
    }
}

impl From<&FenceState> for StoreMark {
    fn from(fence: &FenceState) -> Self {
        Self {
            incarnation: fence.incarnation,
            sequence: fence.sequence,
        }
    }
}

/// The proof that every write carries a `replicate` entry: the authority's fence was seen at the setting's epoch with
/// that lane in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InForce {
    /// The epoch that was seen.
    pub epoch: Epoch,
    /// When.
    pub at: Timestamp,
    /// How far the source had come: an export of all that lies before or later has what carries no entry.
    pub since: StoreMark,
    /// The store that the tenant is moved from, as it was last seen.
    pub source: StoreMark,
    /// The store that it is moved to, as it was last seen.
    pub target: StoreMark,
}

impl InForce {
    /// Whether a store may be the one that was seen last, later on.
    ///
    /// One that was put back and has been written to since may be as far as it was. The source's fence tells then: it stood
    /// where it was seen with the lanes in force, and a fence never falls.
    pub(crate) fn is_followed(&self, side: Side, mark: StoreMark, epoch: Option<Epoch>) -> bool {
        let (known, has_fence) = match side {
            Side::Source => (self.source, epoch.is_none_or(|epoch| epoch >= self.epoch)),
            Side::Target => (self.target, true),
        };
        has_fence && mark.follows(known)
    }
}

/// A backfill, from its first line to its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backfill {
    /// When it was begun.
    pub started_at: Timestamp,
    /// How far the source had come that the export holds wholly.
    pub export: StoreMark,
    /// When it was done; `None` while it goes on.
    pub completed_at: Option<Timestamp>,
    /// Lines that could not be applied.
    pub bad_lines: u64,
}

/// What a comparison of the two stores said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verification {
    /// When it ended.
    pub at: Timestamp,
    /// Rows, decisions and summaries that are the same.
    pub equal: u64,
    /// Those that the target lacks.
    pub missing: u64,
    /// Those that only the target has.
    pub extra: u64,
    /// Those that are unlike.
    pub different: u64,
    /// Ranges that could not be compared. An error is never a pass.
    pub not_compared: u64,
    /// Rows and decisions that were left out, of both sides, because they are from before a time that whoever asked for the
    /// comparison named ([`VerifyConfig::kept_from`](crate::VerifyConfig)): nothing is known of them.
    #[serde(default)]
    pub left_out: u64,
    /// That time; none where everything was compared.
    #[serde(default)]
    pub kept_from: Option<Timestamp>,
}

impl Verification {
    /// A comparison that found nothing at all, as of a time.
    #[must_use]
    pub const fn at(at: Timestamp) -> Self {
        Self {
            at,
            equal: 0,
            missing: 0,
            extra: 0,
            different: 0,
            not_compared: 0,
            left_out: 0,
            kept_from: None,
        }
    }

    /// How many are not the same.
    #[must_use]
    pub const fn differences(&self) -> u64 {
        self.missing
            .saturating_add(self.extra)
            .saturating_add(self.different)
    }
}

/// How the `replicate` lane of the authority stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replication {
    /// When it was measured.
    pub at: Timestamp,
    /// The age of the tenant's oldest entry that waits; zero where none does.
    #[serde(rename = "lag_ms", with = "millis")]
    pub lag: Duration,
    /// Entries that were moved aside.
    pub dead_letters: u64,
}

/// What sampled live reads of both stores said, beside what the source says when it is asked twice. Each process has a sample
/// of its own; the evidence is their sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadComparison {
    /// When the sample ended.
    pub at: Timestamp,
    /// Reads that were asked of both.
    pub compared: u64,
    /// Those answered unlike.
    pub different: u64,
    /// Reads that were asked of the source twice.
    pub baseline_compared: u64,
    /// Those answered unlike: writes came in between.
    pub baseline_different: u64,
}

impl ReadComparison {
    /// Both samples together, as of the later one.
    #[must_use]
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            at: self.at.max(other.at),
            compared: self.compared.saturating_add(other.compared),
            different: self.different.saturating_add(other.different),
            baseline_compared: self.baseline_compared.saturating_add(other.baseline_compared),
            baseline_different: self.baseline_different.saturating_add(other.baseline_different),
        }
    }

    /// Whether the two stores differ no more often than the source does from itself.
    #[must_use]
    pub fn is_within_noise(&self) -> bool {
        let between = u128::from(self.different) * u128::from(self.baseline_compared);
        let noise = u128::from(self.baseline_different) * u128::from(self.compared);
        self.different == 0 || between <= noise
    }
}

/// All that a gate judges by; each part is `None` until it was measured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// The backfill.
    pub backfill: Option<Backfill>,
    /// The last verification.
    pub verification: Option<Verification>,
    /// The last measure of the `replicate` lane.
    pub replication: Option<Replication>,
    /// The read comparisons of all processes together: of those that were noted within
    /// [`GateBounds::max_age`](crate::GateBounds) of the last one.
    pub reads: Option<ReadComparison>,
    /// What each process has noted last, by a name that it draws when it starts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reads_by: BTreeMap<InteractionId, ReadComparison>,
}

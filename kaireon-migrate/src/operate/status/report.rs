//! What is told of where a tenant stands.

use std::fmt;
use std::time::Duration;

use kaireon_core::TenantId;
use kaireon_core::outbox::Lane;
use kaireon_core::store::Epoch;
use kaireon_core::time::Timestamp;
use serde::Serialize;

use crate::{
    Backend, BackfillProgress, Completeness, DualWrite, Missing, OldRows, Phase, ReadComparison,
    Verification, millis,
};

/// Something that is missing, with its words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Lacking {
    /// What.
    #[serde(flatten)]
    pub missing: Missing,
    /// The same in words.
    pub words: String,
}

impl Lacking {
    /// Each, with its words.
    #[must_use]
    pub fn all(missing: Vec<Missing>) -> Vec<Self> {
        let of = |missing: Missing| Self {
            words: missing.to_string(),
            missing,
        };
        missing.into_iter().map(of).collect()
    }
}

/// What could not be asked, and why: the rest of a status is what it is without it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Away {
    /// What was asked.
    pub what: String,
    /// Why it did not answer.
    pub why: String,
}

/// How a lane stands for a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LaneStatus {
    /// Entries that wait.
    pub waiting: u64,
    /// Entries that were moved aside.
    pub dead_letters: u64,
    /// The age of the oldest that waits; zero where none does.
    #[serde(rename = "lag_ms", serialize_with = "millis::serialize")]
    pub lag: Duration,
}

/// Whether the archive holds what a backfill needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ExportStatus {
    /// What is missing; none where a backfill may begin.
    pub lacks: Option<Lacking>,
}

/// The last comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct VerificationStatus {
    /// What it said.
    #[serde(flatten)]
    pub said: Verification,
    /// How old it is.
    #[serde(rename = "age_ms", serialize_with = "millis::serialize")]
    pub age: Duration,
}

/// The last sample of live reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ReadsStatus {
    /// What it said.
    #[serde(flatten)]
    pub said: ReadComparison,
    /// Whether the two stores differ no more often than the source does from itself.
    pub within_noise: bool,
    /// How old it is.
    #[serde(rename = "age_ms", serialize_with = "millis::serialize")]
    pub age: Duration,
}

/// How a migration stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct MigrationStatus {
    /// The store that the tenant is moved from.
    pub source: Backend,
    /// The store that it is moved to.
    pub target: Backend,
    /// How long writers wait for the other side.
    pub dual_write: DualWrite,
    /// When it began.
    pub started_at: Timestamp,
    /// When the target became the authority.
    pub cut_over_at: Option<Timestamp>,
    /// Whether a way back loses nothing.
    pub way_back: Completeness,
    /// What a cut-over would lack now, by a measure of the lane and a look at both stores; empty after the cut-over.
    pub gate: Vec<Lacking>,
    /// What was missing when the gate was passed, and was overridden by force.
    pub overridden: Vec<Lacking>,
    /// The authority's `replicate` lane, as it is now; none where it could not be asked.
    pub replication: Option<LaneStatus>,
    /// The authority's `publish` lane, which a move of the authority waits for.
    pub publishing: Option<LaneStatus>,
    /// Whether a backfill may begin; none once one has.
    pub export: Option<ExportStatus>,
    /// How far the backfill has come; none where none was run, or there is no archive.
    pub backfill: Option<BackfillProgress>,
    /// The last comparison of the stores.
    pub verification: Option<VerificationStatus>,
    /// The last comparison of live reads.
    pub reads: Option<ReadsStatus>,
    /// What is left of the safety period; none before the cut-over and after the end.
    #[serde(rename = "safety_left_ms", serialize_with = "millis::optional::serialize")]
    pub safety_left: Option<Duration>,
    /// What was decided of the source's rows.
    pub old_rows: Option<OldRows>,
    /// Whether the source still has rows that are to go; none where it was not asked or did not answer.
    pub old_rows_left: Option<bool>,
}

/// The last change of a tenant's setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LastChange {
    /// The step.
    pub step: String,
    /// Who asked.
    pub author: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
    /// Whether it was forced.
    pub forced: bool,
    /// What it overrode.
    pub overridden: Vec<Lacking>,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Next {
    /// Nothing is under way.
    Start,
    /// An export that reaches far enough.
    Export,
    /// The backfill, to be begun or gone on with.
    Backfill,
    /// The backfill that a process is at.
    AwaitBackfill,
    /// The backfill stands still, as it was told to.
    Resume,
    /// A comparison, or what else the gate lacks.
    Verify,
    /// The cut-over.
    CutOver,
    /// The authority moves; who began it may have died: any function that moves it ends that.
    Finish,
    /// The safety period.
    AwaitSafety,
    /// The end of the migration.
    Finalise,
    /// The source's rows are still to go.
    DropOldRows,
}

impl fmt::Display for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "nothing is under way; start moves the tenant",
            Self::Export => "export",
            Self::Backfill => "backfill",
            Self::AwaitBackfill => "wait for the backfill",
            Self::Resume => "resume the backfill",
            Self::Verify => "verify",
            Self::CutOver => "cut-over",
            Self::Finish => "the authority moves; cut-over or roll-back again ends it",
            Self::AwaitSafety => "wait out the safety period, then finalise",
            Self::Finalise => "finalise",
            Self::DropOldRows => "finalise again: old rows are still to go",
        })
    }
}

/// Where a tenant stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct OperatorStatus {
    /// Whose.
    pub tenant: TenantId,
    /// When it was looked at.
    pub at: Timestamp,
    /// The version of the setting; 0 where the tenant was never moved.
    pub version: u64,
    /// The number of who may write where.
    pub epoch: Epoch,
    /// Where the tenant stands.
    pub phase: Phase,
    /// The store whose outcome is the caller's.
    pub authority: Backend,
    /// The store that answers reads.
    pub reads: Backend,
    /// The lanes in force.
    pub lanes: Vec<Lane>,
    /// The migration under way, or the last one once it is finalised.
    pub migration: Option<MigrationStatus>,
    /// Who changed the setting last.
    pub last: Option<LastChange>,
    /// What is to be done next.
    pub next: Next,
    /// What could not be asked.
    pub away: Vec<Away>,
}

//! What a backfill tells of itself.

use std::time::Duration;

use kaireon_archive::{Day, Kind};
use kaireon_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Known, StoreMark, millis};

/// What a backfill is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BackfillState {
    /// A process is at it.
    Running,
    /// A process holds it and stands still, because it was told to.
    Paused,
    /// A process tries what fails for now: the target, the archive or the settings are away.
    Stalled,
    /// No process is at it.
    Idle,
    /// It is complete.
    Complete,
}

/// Something of the archive that could not be applied. Its content is not told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Unapplied {
    /// Of which kind.
    pub kind: Kind,
    /// In whose partition.
    pub day: Day,
    /// The object, by its name in the folder of the day; none where the reason names it, or the whole day is meant.
    pub object: Option<String>,
    /// The line, from 1; none where it is more than one.
    pub line: Option<u64>,
    /// What is wrong with it, or why the target refused it.
    pub reason: String,
}

/// How far a backfill has come. What a run repeats, of a day that it was killed in or that had bad lines, counts once; of an
/// object that an erasure rewrote while it was read, twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BackfillProgress {
    /// What it is at.
    pub state: BackfillState,
    /// When it was begun.
    pub started_at: Timestamp,
    /// How far the source had come that the export holds wholly.
    pub export: StoreMark,
    /// Rows and decisions that are done.
    pub rows_done: u64,
    /// Those of the archive, when this run of it began.
    pub rows_total: u64,
    /// Those that the target did not have.
    pub applied: u64,
    /// Those that the target had: the dual writes had brought them, or an earlier run.
    pub duplicates: u64,
    /// Those of customers who were erased since.
    pub erased: u64,
    /// Stored bytes of the archive that are done: of a day that is under way its part, by its rows.
    pub bytes_done: u64,
    /// Those of the archive, when this run of it began.
    pub bytes_total: u64,
    /// Days of interactions and days of decisions that are done.
    pub days_done: u64,
    /// Those of the archive, when this run of it began.
    pub days_total: u64,
    /// How many lines and objects were not applied. While there are any, it is not complete.
    pub unapplied: u64,
    /// Which: the first hundred of each day.
    pub which: Vec<Unapplied>,
    /// How fast it goes, of late.
    pub rows_per_second: u64,
    /// How long the rest takes at that rate; none where nothing is known of it.
    #[serde(rename = "eta_ms", serialize_with = "millis::optional::serialize")]
    pub eta: Option<Duration>,
    /// Why it stalls.
    pub stalled_by: Option<String>,
}

/// How a run of a backfill ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BackfillReport {
    /// The setting, in verifying, where the backfill is complete; none where something could not be applied, which
    /// [`progress`](Self::progress) names: once that is mended, a further run applies it.
    pub completed: Option<Known>,
    /// What was done.
    pub progress: BackfillProgress,
}

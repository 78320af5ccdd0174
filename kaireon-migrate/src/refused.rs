//! Why a step was not taken.

use std::fmt;
use std::time::Duration;

use kaireon_core::{Error, ErrorKind};
use serde::{Deserialize, Serialize};

use crate::{Phase, Side, millis};

/// Something that a step asks for and that is not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "missing", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Missing {
    /// The tenant is not where the step is taken from.
    Phase {
        /// Where it is taken from.
        from: Vec<Phase>,
    },
    /// The target is the store that the tenant is on.
    OtherTarget,
    /// The rows of the tenant that the target had when the tenant was moved away: they were dropped, and its watermark keeps
    /// them out.
    DroppedRows,
    /// It was not seen yet that every write is replicated.
    LanesInForce,
    /// The `archive` lane, among those of the tenant's setting.
    ArchiveLane,
    /// An export of the source.
    Export,
    /// An export of the source whose first run has ended and which says how far it has come.
    WholeExport,
    /// The export does not reach to where every write was replicated.
    LaterExport,
    /// A backfill that is complete.
    Backfill,
    /// Lines of the backfill were not applied.
    AppliedLines {
        /// How many.
        bad_lines: u64,
    },
    /// A verification.
    Verification,
    /// The stores are not equal.
    Equality {
        /// How many rows, decisions and summaries differ.
        differences: u64,
    },
    /// Ranges were not compared.
    Comparison {
        /// How many.
        not_compared: u64,
    },
    /// A measure of the `replicate` lane.
    Replication,
    /// The `replicate` lane lags.
    SmallerLag {
        /// By so much.
        #[serde(rename = "lag_ms", with = "millis")]
        lag: Duration,
        /// Where so much is allowed.
        #[serde(rename = "bound_ms", with = "millis")]
        bound: Duration,
    },
    /// The `replicate` lane has dead letters.
    NoDeadLetters {
        /// How many.
        dead_letters: u64,
    },
    /// Live reads that were compared.
    ComparedReads {
        /// How many there are.
        compared: u64,
        /// How many are asked for.
        needed: u64,
    },
    /// Live reads differ more often than the source differs from itself.
    AgreeingReads,
    /// A measure is too old.
    FresherEvidence {
        /// Which.
        evidence: Measure,
        /// How old it is.
        #[serde(rename = "age_ms", with = "millis")]
        age: Duration,
        /// How old it may be.
        #[serde(rename = "bound_ms", with = "millis")]
        bound: Duration,
    },
    /// The gate was not passed.
    Gate,
    /// Writers do not wait for the other side, so its readers would miss their own writes.
    StrictDualWrite,
    /// The store that is to be closed could not be asked.
    Fence,
    /// Entries wait in the lanes of the store that is to be closed.
    EmptyLane {
        /// How many wait to be replicated.
        waiting: u64,
        /// How many of the replication were moved aside.
        dead_letters: u64,
        /// How many wait to be published.
        unpublished: u64,
    },
    /// A store is another one than before, or went back in time.
    SameStore {
        /// Which of the two.
        side: Side,
    },
    /// The other side is not complete, so the way to it loses what it lacks.
    CompleteOtherSide,
    /// The safety period is not over.
    SafetyPeriod {
        /// What is left of it.
        #[serde(rename = "remaining_ms", with = "millis")]
        remaining: Duration,
    },
}

/// A part of the evidence that grows old.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// The comparison of the two stores.
    Verification,
    /// The measure of the `replicate` lane.
    Replication,
    /// The comparison of live reads.
    Reads,
}

impl Measure {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Verification => "verification",
            Self::Replication => "measure of the replicate lane",
            Self::Reads => "read comparison",
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Phase { from } => {
                f.write_str("the step is taken from ")?;
                for (place, phase) in from.iter().enumerate() {
                    let separator = if place == 0 { "" } else { ", " };
                    write!(f, "{separator}{phase}")?;
                }
                Ok(())
            }
            Self::OtherTarget => f.write_str("the tenant is on the target already"),
            Self::DroppedRows => f.write_str(
                "the target's rows of this tenant were dropped when it was moved away, and its watermark keeps them out",
            ),
            Self::LanesInForce => f.write_str("it was not confirmed that every write is replicated"),
            Self::ArchiveLane => f.write_str("the archive lane is not among the tenant's lanes"),
            Self::Export => f.write_str("the archive holds no export of the source"),
            Self::WholeExport => {
                f.write_str("the export of the source is not whole: its first run has not ended")
            }
            Self::LaterExport => f.write_str("the export does not reach to where every write was replicated"),
            Self::Backfill => f.write_str("the backfill is not complete"),
            Self::AppliedLines { bad_lines } => {
                write!(f, "{bad_lines} lines of the backfill were not applied")
            }
            Self::Verification => f.write_str("the stores were not compared"),
            Self::Equality { differences } => write!(f, "the stores differ in {differences} places"),
            Self::Comparison { not_compared } => write!(f, "{not_compared} ranges were not compared"),
            Self::Replication => f.write_str("the replicate lane was not measured"),
            Self::SmallerLag { lag, bound } => {
                write!(
                    f,
                    "the replicate lane lags by {} ms, {} ms are allowed",
                    lag.as_millis(),
                    bound.as_millis()
                )
            }
            Self::NoDeadLetters { dead_letters } => {
                write!(f, "the replicate lane has {dead_letters} dead letters")
            }
            Self::ComparedReads { compared, needed } => {
                write!(f, "{compared} live reads were compared, {needed} are needed")
            }
            Self::AgreeingReads => {
                f.write_str("live reads differ more often than the source does from itself")
            }
            Self::FresherEvidence { evidence, age, bound } => {
                let (age, bound) = (age.as_secs(), bound.as_secs());
                write!(
                    f,
                    "the {} is {age} s old, {bound} s are allowed",
                    evidence.as_str()
                )
            }
            Self::Gate => f.write_str("the gate was not passed"),
            Self::StrictDualWrite => f.write_str("writers do not wait for the other side"),
            Self::Fence => f.write_str("the store that is to be closed could not be asked"),
            Self::EmptyLane {
                waiting,
                dead_letters,
                unpublished,
            } => {
                write!(
                    f,
                    "{waiting} entries and {dead_letters} dead letters wait in the replicate lane, {unpublished} \
                     entries in the publish lane"
                )
            }
            Self::SameStore { side: Side::Source } => {
                f.write_str("the source is another store or went back in time")
            }
            Self::SameStore { side: Side::Target } => {
                f.write_str("the target is another store or went back in time")
            }
            Self::CompleteOtherSide => f.write_str("the other side lacks what was acknowledged"),
            Self::SafetyPeriod { remaining } => {
                write!(f, "the safety period lasts another {} s", remaining.as_secs())
            }
        }
    }
}

/// A step that was not taken. The setting is as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refused {
    /// The step.
    pub step: &'static str,
    /// Where the tenant stands.
    pub phase: Phase,
    /// What is missing; at least one.
    pub missing: Vec<Missing>,
    /// Whether force would override all of it.
    pub can_be_forced: bool,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} was refused in {}", self.step, self.phase)?;
        for (place, missing) in self.missing.iter().enumerate() {
            let separator = if place == 0 { ": " } else { "; " };
            write!(f, "{separator}{missing}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Refused {}

impl From<Refused> for Error {
    /// `Conflict`, not applied, with what is missing as its source.
    fn from(refused: Refused) -> Self {
        Error::new(
            ErrorKind::Conflict,
            "the step of the tenant switch is not possible now",
        )
        .with_source(refused)
    }
}

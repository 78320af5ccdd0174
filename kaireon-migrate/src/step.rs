//! What can be asked of a setting, by whom and why.

use kaireon_core::settings::MAX_TEXT_BYTES;
use kaireon_core::store::Epoch;
use kaireon_core::time::Timestamp;
use kaireon_core::{ChangeId, Error, InteractionId, Result};
use serde::{Deserialize, Serialize};

use crate::{
    Backend, DualWrite, Missing, Policy, ReadComparison, Replication, Side, StoreMark, Verification,
};

/// What is left of the lanes of the authority that is to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case", deny_unknown_fields)]
pub enum Drained {
    /// Its fence was raised to the setting's epoch, and this waits in its lanes for the tenant.
    Fenced {
        /// The store, when the lane was looked at after the fence was raised.
        mark: StoreMark,
        /// Entries that wait to be replicated.
        waiting: u64,
        /// Entries of the replication that were moved aside.
        dead_letters: u64,
        /// Entries that wait to be published: what the other side publishes must come behind them.
        unpublished: u64,
    },
    /// It could not be asked: neither is its fence known to be raised nor what waits there.
    Unreachable,
}

/// What becomes of the source's rows when a migration is finalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OldRows {
    /// They stay where they are.
    Keep,
    /// They are exported, found in the archive, then dropped.
    Archive,
    /// They are dropped: what a purge up to the end leaves stays. The store takes no earlier row of the tenant any more.
    Drop,
}

/// A step of a migration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Step {
    /// Begins to replicate every write to a target. From single or finalised, to dual write, under the next epoch.
    Start {
        /// The store to move to.
        target: Backend,
        /// How long writers wait for it.
        dual_write: DualWrite,
        /// What is asked of the migration.
        policy: Policy,
    },
    /// Tells that the authority's fence was seen at the setting's epoch with `replicate` in force, and which stores
    /// the two are. In dual write.
    ConfirmLanes {
        /// The source.
        source: StoreMark,
        /// The target.
        target: StoreMark,
    },
    /// Changes how long writers wait. From dual write to ready, and cut over.
    SetDualWrite {
        /// From now on.
        dual_write: DualWrite,
    },
    /// Begins the backfill, or begins it again. From dual write to ready, to backfilling.
    BeginBackfill {
        /// How far the source had come that the export holds wholly: not before the lanes were confirmed.
        export: StoreMark,
    },
    /// Tells that the backfill is done. From backfilling, to verifying.
    CompleteBackfill {
        /// Lines that could not be applied: the gate asks for none.
        bad_lines: u64,
    },
    /// Tells what a comparison said. In verifying, ready and cut over; a difference takes ready back to verifying.
    Verified {
        /// What it said.
        verification: Verification,
    },
    /// Tells how the authority's `replicate` lane stands. From dual write to ready, and cut over.
    Replicated {
        /// How.
        replication: Replication,
    },
    /// Tells what sampled reads said. In verifying and ready.
    ReadsCompared {
        /// What they said.
        reads: ReadComparison,
        /// Whose sample it is, in place of that process's last one; of nobody in particular, it is all there is.
        #[serde(default)]
        by: Option<InteractionId>,
    },
    /// Tells that a store of the migration was looked at. Where it is another one, or went back in time, the migration
    /// must begin its backfill again; after the cut-over, the way back is no longer without loss. From dual write to
    /// ready, and cut over.
    Observe {
        /// Which of the two.
        side: Side,
        /// What it said.
        mark: StoreMark,
        /// Where its fence stood: a source's that is lower than it was tells as well, however far the store has come since.
        #[serde(default)]
        epoch: Option<Epoch>,
    },
    /// Asks the gate. From verifying, to ready; forced, from dual write on.
    PassGate,
    /// Moves reads alone. In ready, and only while writers wait for the other side (strict), because a reader expects
    /// its own write; back to the authority at any time.
    ReadFrom {
        /// The side that answers reads.
        side: Side,
    },
    /// Begins to move the authority to the target. From ready, and only where the gate would be passed now; forced,
    /// from dual write on. To draining.
    CutOver,
    /// Moves a tenant at once and leaves its history behind. From single or finalised, to draining.
    SwitchDirectly {
        /// The store to move to.
        target: Backend,
    },
    /// Goes back to the source. Before the cut-over it is done at once; after it, to draining; while draining, the old
    /// authority opens again and the migration ends or, after the cut-over, stays where it was.
    RollBack,
    /// Opens the other side: its fence was raised to [`opens`](crate::Draining::opens) with its lanes before this is
    /// asked, so that whoever reads the new setting finds them in force. From draining.
    Open {
        /// What is left on the store that was closed.
        drained: Drained,
        /// The store that opens, after its fence was raised.
        opened: StoreMark,
    },
    /// Opens the authority again, because its lane was not empty in time. From draining, to where it stood.
    Reopen,
    /// Ends the migration: the source is no longer kept up. From cut over, after the safety period.
    Finalise {
        /// What becomes of the source's rows.
        old_rows: OldRows,
    },
}

impl Step {
    /// Its name, as it is written.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Start { .. } => "start",
            Self::ConfirmLanes { .. } => "confirm_lanes",
            Self::SetDualWrite { .. } => "set_dual_write",
            Self::BeginBackfill { .. } => "begin_backfill",
            Self::CompleteBackfill { .. } => "complete_backfill",
            Self::Verified { .. } => "verified",
            Self::Replicated { .. } => "replicated",
            Self::ReadsCompared { .. } => "reads_compared",
            Self::Observe { .. } => "observe",
            Self::PassGate => "pass_gate",
            Self::ReadFrom { .. } => "read_from",
            Self::CutOver => "cut_over",
            Self::SwitchDirectly { .. } => "switch_directly",
            Self::RollBack => "roll_back",
            Self::Open { .. } => "open",
            Self::Reopen => "reopen",
            Self::Finalise { .. } => "finalise",
        }
    }
}

/// Whether what is missing may be overridden. It is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Force {
    /// It may not.
    #[default]
    No,
    /// It may, where it can be at all.
    Yes,
}

/// A step, with who asks for it, when and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Change {
    /// What makes it recognisable when it is asked for again.
    pub id: ChangeId,
    /// The step.
    pub step: Step,
    /// Who asks: an operator, or the part of the library that measured something.
    pub author: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
    /// Whether it is forced.
    pub force: Force,
}

impl Change {
    /// A change under a fresh id that is not forced.
    ///
    /// # Errors
    /// `InvalidInput` naming `author` or `reason` where it is empty, longer than 1,024 bytes, or holds a control
    /// character: both are printed as they are.
    pub fn new(
        step: Step,
        author: impl Into<String>,
        reason: impl Into<String>,
        at: Timestamp,
    ) -> Result<Self> {
        let (author, reason) = (author.into(), reason.into());
        for (field, text) in [("author", &author), ("reason", &reason)] {
            if text.is_empty() || text.len() > MAX_TEXT_BYTES || text.chars().any(char::is_control) {
                return Err(Error::invalid(
                    field,
                    "is not 1 to 1,024 bytes without control characters",
                ));
            }
        }
        Ok(Self {
            id: ChangeId::fresh(),
            step,
            author,
            reason,
            at,
            force: Force::No,
        })
    }

    /// The same, forced.
    #[must_use]
    pub fn forced(mut self) -> Self {
        self.force = Force::Yes;
        self
    }
}

/// A change that was made, with what it overrode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Audit {
    /// The change.
    pub change: Change,
    /// What was missing and was overridden by force; empty where nothing was.
    pub overridden: Vec<Missing>,
}

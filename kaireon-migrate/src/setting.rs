//! The setting of a tenant: which store decides, and how far a move to another has come.

use std::fmt;

use kaireon_core::outbox::{Lane, LaneSet};
use kaireon_core::store::Epoch;
use kaireon_core::time::Timestamp;
use kaireon_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::{Audit, Backend, DualWrite, Evidence, InForce, Missing, OldRows, Policy};

/// The form that settings are written in. One of another form is refused, not guessed at.
const FORMAT: u32 = 1;

/// Where a tenant stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Phase {
    /// On one store, and never moved; or moved back, or moved at once.
    Single,
    /// Every write is replicated to a target, which lacks what was there before.
    DualWrite,
    /// What was there before is being applied to the target.
    Backfilling,
    /// The target should be complete, and is compared.
    Verifying,
    /// The gate was passed.
    Ready,
    /// Nobody may write: the authority moves.
    Draining,
    /// The target is the authority, and the source is kept complete by the replication in reverse.
    CutOver,
    /// The target is alone. The source is no longer kept up.
    Finalised,
}

impl Phase {
    /// Every phase.
    pub const ALL: [Self; 8] = [
        Self::Single,
        Self::DualWrite,
        Self::Backfilling,
        Self::Verifying,
        Self::Ready,
        Self::Draining,
        Self::CutOver,
        Self::Finalised,
    ];

    /// Its name, as it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::DualWrite => "dual_write",
            Self::Backfilling => "backfilling",
            Self::Verifying => "verifying",
            Self::Ready => "ready",
            Self::Draining => "draining",
            Self::CutOver => "cut_over",
            Self::Finalised => "finalised",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One of the two stores of a migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The one that the tenant is moved from.
    Source,
    /// The one that it is moved to.
    Target,
}

impl Side {
    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Source => Self::Target,
            Self::Target => Self::Source,
        }
    }
}

/// Why the authority moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// From the source to the target, which replicates back.
    CutOver,
    /// From the target back to the source.
    RollBack,
    /// From the source to the target without any replication: history stays behind.
    Direct,
}

/// A move of the authority that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draining {
    /// Why.
    pub purpose: Purpose,
    /// Where the tenant stood before, and stands again if the step is not taken.
    pub resumes: Phase,
    /// When it began.
    pub since: Timestamp,
    /// When the authority is to be opened again if its lane is not empty.
    pub until: Timestamp,
    /// The epoch that the other side opens under. The setting's own, one lower, is that of the fence which closed
    /// the authority; the one after this is the authority's if it is opened again.
    pub opens: Epoch,
    /// The lanes that it opens with.
    pub opens_with: LaneSet,
}

/// Whether the store that is not the authority has all that the authority acknowledged, or will have once its
/// `replicate` lane is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Completeness {
    /// As far as is known.
    #[default]
    Kept,
    /// It has not: one of the two went back in time after the cut-over.
    Broken,
}

/// That reads may go to the target, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Passed {
    /// When the gate was passed.
    pub at: Timestamp,
    /// What was missing when it was forced; empty where it was not.
    pub overridden: Vec<Missing>,
}

/// A migration, from its start to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Migration {
    /// The store that the tenant is moved from.
    pub source: Backend,
    /// The store that it is moved to.
    pub target: Backend,
    /// How long writers wait for the other side.
    pub dual_write: DualWrite,
    /// What the operator asked for.
    pub policy: Policy,
    /// When it began.
    pub started_at: Timestamp,
    /// The proof that every write is replicated; `None` until it was seen.
    pub in_force: Option<InForce>,
    /// What was measured.
    pub evidence: Evidence,
    /// That reads may go to the target; `None` until the gate was passed.
    pub passed: Option<Passed>,
    /// When the target became the authority.
    pub cut_over_at: Option<Timestamp>,
    /// Whether a way back loses nothing.
    pub other_side: Completeness,
    /// What becomes of the source's rows; `None` until it is finalised.
    pub old_rows: Option<OldRows>,
}

impl Migration {
    /// The store on a side.
    #[must_use]
    pub const fn store(&self, side: Side) -> &Backend {
        match side {
            Side::Source => &self.source,
            Side::Target => &self.target,
        }
    }
}

/// The setting of a tenant, common to all instances: which store decides, and how far a move to another has come.
///
/// It is made by [`TenantSetting::single`] and changed by [`transition`](crate::transition) alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TenantSetting {
    /// The number of who may write where: grows whenever that changes, and names at most one authority.
    pub epoch: Epoch,
    /// Where the tenant stands.
    pub phase: Phase,
    /// The store whose outcome is the caller's. While draining, the one that was, and whose fence is raised.
    pub authority: Backend,
    /// The store that answers reads.
    pub reads: Backend,
    /// The lanes in force on the authority, `replicate` included while there is another side to keep up.
    pub lanes: LaneSet,
    /// The migration under way, or the last one once it is finalised.
    pub migration: Option<Migration>,
    /// The move of the authority that is under way.
    pub draining: Option<Draining>,
    /// Who changed it last, and why.
    pub last: Option<Audit>,
}

/// A setting as it is written.
#[derive(Serialize)]
struct Written<'a> {
    format: u32,
    #[serde(flatten)]
    setting: &'a TenantSetting,
}

impl TenantSetting {
    /// A tenant on one store, with the lanes that are in force there.
    #[must_use]
    pub fn single(store: Backend, lanes: LaneSet) -> Self {
        Self {
            epoch: Epoch::ZERO,
            phase: Phase::Single,
            reads: store.clone(),
            authority: store,
            lanes: lanes.without(Lane::Replicate),
            migration: None,
            draining: None,
            last: None,
        }
    }

    /// The store that takes live writes, and the epoch they are made under; `None` while the authority moves.
    #[must_use]
    pub fn writer(&self) -> Option<(&Backend, Epoch)> {
        (self.phase != Phase::Draining).then_some((&self.authority, self.epoch))
    }

    /// The side that the authority is on; `None` without a migration under way.
    #[must_use]
    pub fn authority_side(&self) -> Option<Side> {
        let migration = self.under_way()?;
        Some(match migration.source == self.authority {
            true => Side::Source,
            false => Side::Target,
        })
    }

    /// The store that the authority's `replicate` lane is for; `None` where there is none to keep up.
    #[must_use]
    pub fn replica(&self) -> Option<&Backend> {
        let side = self.authority_side()?;
        let direct = self
            .draining
            .is_some_and(|draining| draining.purpose == Purpose::Direct);
        (!direct)
            .then(|| self.under_way())?
            .map(|migration| migration.store(side.other()))
    }

    /// The migration, unless it is finalised.
    #[must_use]
    pub fn under_way(&self) -> Option<&Migration> {
        self.migration.as_ref().filter(|_| self.phase != Phase::Finalised)
    }

    /// Whether what is decided is the same in another setting: who may write where, who answers reads, where a migration leads
    /// and how writers wait. What was measured, and how far a migration has come by itself, may differ.
    #[must_use]
    pub fn stands_as(&self, other: &Self) -> bool {
        let target = |setting: &Self| setting.under_way().map(|migration| migration.target.clone());
        let waits = |setting: &Self| setting.under_way().map(|migration| migration.dual_write);
        self.epoch == other.epoch
            && self.authority == other.authority
            && self.reads == other.reads
            && target(self) == target(other)
            && waits(self) == waits(other)
    }

    /// The setting as a document.
    ///
    /// # Errors
    /// `Internal` cannot happen: every part has a form in JSON.
    pub fn to_json(&self) -> Result<String> {
        let written = Written {
            format: FORMAT,
            setting: self,
        };
        serde_json::to_string(&written).map_err(|error| {
            Error::new(ErrorKind::Internal, "a tenant's setting could not be written").with_source(error)
        })
    }

    /// Reads what [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    /// `Corrupt` where it is no setting, or has a part that this library does not know; `Config` where it was written
    /// in another form, by another version.
    pub fn from_json(document: &str) -> Result<Self> {
        let corrupt =
            |error| Error::new(ErrorKind::Corrupt, "this is no tenant's setting").with_source(error);
        let mut value: serde_json::Value = serde_json::from_str(document).map_err(corrupt)?;
        let format = value.as_object_mut().and_then(|parts| parts.remove("format"));
        if format.as_ref().and_then(serde_json::Value::as_u64) != Some(u64::from(FORMAT)) {
            let context = "the tenant's setting was written in another form, by another version";
            return Err(Error::new(ErrorKind::Config, context));
        }
        let setting: Self = serde_json::from_value(value).map_err(corrupt)?;
        if setting.holds_together() {
            return Ok(setting);
        }
        let context = "the parts of the tenant's setting contradict each other";
        Err(Error::new(ErrorKind::Corrupt, context))
    }

    /// Whether the parts agree with the phase.
    fn holds_together(&self) -> bool {
        let draining = self.phase == Phase::Draining;
        let between = |migration: &Migration| {
            let sides = [&migration.source, &migration.target];
            migration.source != migration.target
                && sides.contains(&&self.authority)
                && sides.contains(&&self.reads)
        };
        draining == self.draining.is_some()
            && match &self.migration {
                None => self.phase == Phase::Single && self.reads == self.authority,
                Some(migration) => self.phase != Phase::Single && between(migration),
            }
    }
}

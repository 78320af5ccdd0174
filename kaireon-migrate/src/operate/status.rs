//! Where a tenant stands, what the gate lacks, and what comes next.

mod report;

use std::time::Duration;

use kaireon_core::outbox::Lane;
use kaireon_core::store::{FenceState, ScanQuery};
use kaireon_core::time::Timestamp;
use kaireon_core::{Error, ErrorKind, InteractionStore, Result, TenantId};
use tokio::time::timeout;

pub use report::{
    Away, ExportStatus, Lacking, LaneStatus, LastChange, MigrationStatus, Next, OperatorStatus, ReadsStatus,
    VerificationStatus,
};

use super::Operator;
use crate::backfill::check;
use crate::gate::{age, gate};
use crate::{
    Backend, BackfillProgress, BackfillState, Force, Migration, Missing, OldRows, Phase, Replication, Side,
    StoreMark, TenantSetting,
};

impl Operator {
    /// Where a tenant stands. Nothing is changed: a store or an archive that does not answer in time is named in
    /// [`away`](OperatorStatus::away), and all else is told.
    ///
    /// # Errors
    /// Those of the settings store.
    ///
    /// # Dropped futures
    /// Nothing is left behind.
    pub async fn status(&self, tenant: &TenantId) -> Result<OperatorStatus> {
        let known = self.migrator.settings().read(tenant).await?;
        let setting = &known.setting;
        let mut away = Vec::new();
        let migration = match &setting.migration {
            Some(migration) => Some(self.look_at(tenant, setting, migration, &mut away).await),
            None => None,
        };
        let last = setting.last.as_ref().map(|last| LastChange {
            step: last.change.step.as_str().to_owned(),
            author: last.change.author.clone(),
            reason: last.change.reason.clone(),
            at: last.change.at,
            forced: last.change.force == Force::Yes,
            overridden: Lacking::all(last.overridden.clone()),
        });
        Ok(OperatorStatus {
            tenant: tenant.clone(),
            at: self.migrator.clock().now(),
            version: known.version.0,
            epoch: setting.epoch,
            phase: setting.phase,
            authority: setting.authority.clone(),
            reads: setting.reads.clone(),
            lanes: setting.lanes.iter().collect(),
            next: next(setting.phase, migration.as_ref()),
            migration,
            last,
            away,
        })
    }

    async fn look_at(
        &self,
        tenant: &TenantId,
        setting: &TenantSetting,
        migration: &Migration,
        away: &mut Vec<Away>,
    ) -> MigrationStatus {
        let now = self.migrator.clock().now();
        let under_way = setting.under_way().is_some();
        let (mut replication, mut publishing) = (None, None);
        if under_way {
            replication = self.lane(tenant, &setting.authority, Lane::Replicate, away).await;
            publishing = self.lane(tenant, &setting.authority, Lane::Publish, away).await;
        }
        let before = under_way && !matches!(setting.phase, Phase::CutOver | Phase::Draining);
        let mut lacks = Vec::new();
        if before {
            lacks = gate(&measured(migration, replication, now), now);
            lacks.extend(self.other_stores(tenant, migration, away).await);
        }
        let passed = migration.passed.as_ref();
        let evidence = &migration.evidence;
        let safety_left = (setting.phase == Phase::CutOver).then(|| {
            let since = migration
                .cut_over_at
                .map_or(Duration::ZERO, |since| age(since, now));
            migration.policy.safety_period.saturating_sub(since)
        });
        MigrationStatus {
            source: migration.source.clone(),
            target: migration.target.clone(),
            dual_write: migration.dual_write,
            started_at: migration.started_at,
            cut_over_at: migration.cut_over_at,
            way_back: migration.other_side,
            gate: Lacking::all(lacks),
            overridden: Lacking::all(passed.map(|passed| passed.overridden.clone()).unwrap_or_default()),
            replication,
            publishing,
            export: self.export_status(tenant, setting, away).await,
            backfill: self.backfill_status(tenant, setting, away).await,
            verification: evidence.verification.map(|said| VerificationStatus {
                said,
                age: age(said.at, now),
            }),
            reads: evidence.reads.map(|said| ReadsStatus {
                said,
                within_noise: said.is_within_noise(),
                age: age(said.at, now),
            }),
            safety_left,
            old_rows: migration.old_rows,
            old_rows_left: self.old_rows_left(tenant, setting, migration, away).await,
        }
    }

    /// The stores of a migration that are others than before, or went back in time: whatever relies on them notes that.
    async fn other_stores(
        &self,
        tenant: &TenantId,
        migration: &Migration,
        away: &mut Vec<Away>,
    ) -> Vec<Missing> {
        let mut others = Vec::new();
        let Some(in_force) = migration.in_force else {
            return others;
        };
        for side in [Side::Source, Side::Target] {
            let name = migration.store(side);
            let asked = async { self.store(name)?.fence(tenant).await };
            let fence = self.heard(format!("the fence of {name}"), asked, away).await;
            let is_followed =
                |fence: FenceState| in_force.is_followed(side, StoreMark::from(&fence), Some(fence.epoch));
            if !fence.is_none_or(is_followed) {
                others.push(Missing::SameStore { side });
            }
        }
        others
    }

    async fn lane(
        &self,
        tenant: &TenantId,
        name: &Backend,
        lane: Lane,
        away: &mut Vec<Away>,
    ) -> Option<LaneStatus> {
        let asked = async {
            let store = self.store(name)?;
            let none = || Error::unsupported(store.capabilities().backend, "outbox");
            store.outbox().ok_or_else(none)?.backlog(lane, tenant).await
        };
        let backlog = self
            .heard(format!("the {lane} lane of {name}"), asked, away)
            .await?;
        let now = self.migrator.clock().now();
        Some(LaneStatus {
            waiting: backlog.waiting,
            dead_letters: backlog.dead_letters,
            lag: backlog.oldest.map_or(Duration::ZERO, |oldest| age(oldest, now)),
        })
    }

    async fn export_status(
        &self,
        tenant: &TenantId,
        setting: &TenantSetting,
        away: &mut Vec<Away>,
    ) -> Option<ExportStatus> {
        let none = |migration: &Migration| migration.evidence.backfill.is_none();
        if setting.phase != Phase::DualWrite || !setting.under_way().is_some_and(none) {
            return None;
        }
        let asked = async { self.archive()?.export_state(tenant).await };
        let states = self.heard("the archive".to_owned(), asked, away).await?;
        let lacks = check::export(setting, &states).err();
        let lacks = lacks.and_then(|refused| Lacking::all(refused.missing).pop());
        Some(ExportStatus { lacks })
    }

    async fn backfill_status(
        &self,
        tenant: &TenantId,
        setting: &TenantSetting,
        away: &mut Vec<Away>,
    ) -> Option<BackfillProgress> {
        // Without an archive there is none to tell of, which is nobody's fault.
        if setting.under_way().is_none() || self.archive.is_none() {
            return None;
        }
        let asked = async { self.backfiller()?.progress(tenant).await };
        self.heard("the archive".to_owned(), asked, away).await?
    }

    async fn old_rows_left(
        &self,
        tenant: &TenantId,
        setting: &TenantSetting,
        migration: &Migration,
        away: &mut Vec<Away>,
    ) -> Option<bool> {
        let goes = matches!(migration.old_rows, Some(OldRows::Archive | OldRows::Drop));
        if setting.phase != Phase::Finalised || !goes {
            return None;
        }
        let source = &migration.source;
        let asked = async { has_rows(self.store(source)?.as_ref(), tenant).await };
        self.heard(format!("the old rows of {source}"), asked, away).await
    }

    /// An answer, where one comes in time.
    async fn heard<T>(
        &self,
        what: String,
        asked: impl Future<Output = Result<T>>,
        away: &mut Vec<Away>,
    ) -> Option<T> {
        let why = match timeout(self.config.patience, asked).await {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} s", self.config.patience.as_secs()),
        };
        away.push(Away { what, why });
        None
    }
}

/// Whether a store has a row or a decision of a tenant.
pub(super) async fn has_rows(store: &dyn InteractionStore, tenant: &TenantId) -> Result<bool> {
    let query = ScanQuery {
        limit: 1,
        ..ScanQuery::new(tenant.clone())
    };
    if !store.scan(query.clone()).await?.items.is_empty() {
        return Ok(true);
    }
    match store.scan_decisions(query).await {
        Ok(page) => Ok(!page.items.is_empty()),
        Err(error) if error.kind() == ErrorKind::Unsupported => Ok(false),
        Err(error) => Err(error),
    }
}

/// The migration with the lane as it is now, which a cut-over measures itself before it asks the gate.
fn measured(migration: &Migration, lane: Option<LaneStatus>, now: Timestamp) -> Migration {
    let mut migration = migration.clone();
    if let Some(lane) = lane {
        migration.evidence.replication = Some(Replication {
            at: now,
            lag: lane.lag,
            dead_letters: lane.dead_letters,
        });
    }
    migration
}

fn next(phase: Phase, migration: Option<&MigrationStatus>) -> Next {
    let Some(migration) = migration else {
        return Next::Start;
    };
    let backfill = migration.backfill.as_ref().map(|backfill| backfill.state);
    match phase {
        Phase::Single => Next::Start,
        Phase::DualWrite => match &migration.export {
            Some(ExportStatus { lacks: None }) => Next::Backfill,
            _ => Next::Export,
        },
        Phase::Backfilling => match backfill {
            Some(BackfillState::Running | BackfillState::Stalled) => Next::AwaitBackfill,
            Some(BackfillState::Paused) => Next::Resume,
            _ => Next::Backfill,
        },
        Phase::Verifying if migration.gate.is_empty() => Next::CutOver,
        Phase::Verifying => Next::Verify,
        Phase::Ready if migration.gate.is_empty() => Next::CutOver,
        Phase::Ready => Next::Verify,
        Phase::Draining => Next::Finish,
        Phase::CutOver => match migration.safety_left {
            Some(left) if !left.is_zero() => Next::AwaitSafety,
            _ => Next::Finalise,
        },
        Phase::Finalised => match migration.old_rows_left {
            Some(true) => Next::DropOldRows,
            _ => Next::Start,
        },
    }
}

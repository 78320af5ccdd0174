//! The end of a migration, and of the rows that are left on the store that the tenant was moved from.

use chrono::{DateTime, Utc};
use kaireon_core::store::{FenceRequest, Purge};
use kaireon_core::{Error, ErrorKind, Result, TenantId};
use serde::Serialize;

use super::status::has_rows;
use super::{Asked, Lacking, Operator, OperatorStatus, Outcome, StoreExport, changed_meanwhile};
use crate::{Backend, Known, OldRows, Phase, Step, TenantSetting};

/// How a migration was ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FinaliseReport {
    /// Whose.
    pub tenant: TenantId,
    /// Who asked.
    pub author: String,
    /// Why.
    pub reason: String,
    /// Whether this call has ended it; an earlier one may have, and have been interrupted.
    pub outcome: Outcome,
    /// What was missing and was overridden by force.
    pub overridden: Vec<Lacking>,
    /// What was to become of the old rows.
    pub old_rows: OldRows,
    /// What did; none where they are kept.
    pub dropped: Option<DroppedRows>,
    /// Where the tenant stands.
    pub status: OperatorStatus,
}

/// What became of the rows on the store that a tenant was moved from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DroppedRows {
    /// The store.
    pub store: Backend,
    /// What was exported before, of both stores; empty where they were dropped without.
    pub exported: Vec<StoreExport>,
    /// Rows and decisions that were found in the archive before.
    pub found_in_archive: u64,
    /// Interactions that were removed by this call.
    pub interactions: u64,
    /// Decisions that were removed by this call.
    pub decisions: u64,
    /// Whether rows are left: they carry a time to come, at most 24 h ahead, and go with a later call.
    pub left: bool,
}

impl Operator {
    /// Ends a migration after its safety period: the source is no longer kept up, and its rows of the tenant become what is
    /// chosen. Forced, what is left of the safety period is overridden and recorded.
    ///
    /// - [`OldRows::Keep`] leaves them.
    /// - [`OldRows::Archive`] exports what is in the `archive` lanes of both stores, then looks for every row of the source in the
    ///   archive, in objects that their manifests name and whose checksums are right, and drops them only where none is missing.
    /// - [`OldRows::Drop`] drops them.
    ///
    /// Dropped are interactions and decisions, by a [purge](kaireon_core::InteractionStore::purge_before) of the source up to now.
    /// What a purge leaves stays: summaries, tombstones, and the watermark, below which the source takes no row of this tenant
    /// any more. So the way back to that store is closed with it: [`start`](Self::start) to it is refused, unless it is forced, and
    /// a verification would tell what is missing. Keep the rows, or empty the store, where the tenant may come back.
    ///
    /// The source's fence is raised first, to the epoch of the end, so that nothing that is late is written to it any more, and the
    /// setting is read again behind that: a store that is the tenant's authority, or the target of another migration of it, is
    /// never touched. A call that was interrupted is made again, with the same choice, and goes on.
    ///
    /// # Errors
    /// `Conflict`, whose source is [`Refused`](crate::Refused), before the safety period is over, in another phase, or where the
    /// migration was ended with another choice; `Conflict` without one where rows are in no verified object of the archive: then
    /// nothing was dropped; `Config` without an archive where there has to be one, and where this process has not the source:
    /// nothing was ended then; those of the settings, the stores and the archive.
    ///
    /// # Dropped futures
    /// The migration is ended or not, rows were dropped or not: a second call goes on.
    pub async fn finalise(
        &self,
        tenant: &TenantId,
        old_rows: OldRows,
        asked: &Asked,
    ) -> Result<FinaliseReport> {
        let before = self.migrator.settings().read(tenant).await?;
        // What could not be carried out is said before anything is set.
        if old_rows != OldRows::Keep
            && let Some(migration) = &before.setting.migration
        {
            self.store(&migration.source)?;
        }
        if old_rows == OldRows::Archive {
            self.archive()?;
        }
        let chosen = before
            .setting
            .migration
            .as_ref()
            .and_then(|migration| migration.old_rows);
        let ended = before.setting.phase == Phase::Finalised && chosen == Some(old_rows);
        let (known, overridden, outcome) = match ended {
            true => (before, Vec::new(), Outcome::AlreadyTaken),
            false => {
                let (known, overridden) = self.taken(tenant, Step::Finalise { old_rows }, asked).await?;
                (known, overridden, Outcome::Taken)
            }
        };
        let dropped = match old_rows {
            OldRows::Keep => None,
            OldRows::Archive | OldRows::Drop => Some(self.drop_old_rows(tenant, &known, old_rows).await?),
        };
        Ok(FinaliseReport {
            tenant: tenant.clone(),
            author: asked.author.clone(),
            reason: asked.reason.clone(),
            outcome,
            overridden,
            old_rows,
            dropped,
            status: self.status(tenant).await?,
        })
    }

    async fn drop_old_rows(
        &self,
        tenant: &TenantId,
        known: &Known,
        old_rows: OldRows,
    ) -> Result<DroppedRows> {
        let source = left_behind(&known.setting).ok_or_else(changed_meanwhile)?;
        let store = self.store(source)?;
        let fence = FenceRequest {
            tenant: tenant.clone(),
            epoch: known.setting.epoch,
            lanes: None,
        };
        store.raise_fence(fence).await?;
        // Behind the fence: whoever was late is refused from here on, and who has moved on since is seen.
        self.still(tenant, known).await?;
        let (mut exported, mut found_in_archive) = (Vec::new(), 0);
        if old_rows == OldRows::Archive {
            // What the target has recorded since the cut-over, and has replicated to the source, is in its lane alone.
            for name in [&known.setting.authority, source] {
                exported.push(self.export_wholly(name, tenant).await?);
            }
            let held = self
                .exporter(source, tenant)?
                .verify(tenant, DateTime::<Utc>::MAX_UTC)
                .await?;
            if held.missing > 0 {
                let context = format!(
                    "{} of {} rows on {source} are in no verified object of the archive: none was dropped",
                    held.missing, held.looked_for
                );
                return Err(Error::new(ErrorKind::Conflict, context).with_operation("finalise"));
            }
            found_in_archive = held.looked_for;
            self.still(tenant, known).await?;
        }
        let purge = Purge {
            tenant: tenant.clone(),
            before: self.migrator.clock().now(),
        };
        let gone = store.purge_before(purge).await?;
        Ok(DroppedRows {
            store: source.clone(),
            exported,
            found_in_archive,
            interactions: gone.interactions,
            decisions: gone.decisions,
            left: has_rows(store.as_ref(), tenant).await?,
        })
    }

    /// # Errors
    /// `Unavailable`, transient and not applied, where the tenant's setting is another one than that.
    async fn still(&self, tenant: &TenantId, known: &Known) -> Result<()> {
        let now = self.migrator.settings().read(tenant).await?;
        match now.version == known.version {
            true => Ok(()),
            false => Err(changed_meanwhile()),
        }
    }
}

/// The store that a finished migration has left behind: never the one that the tenant is on.
fn left_behind(setting: &TenantSetting) -> Option<&Backend> {
    let migration = setting.migration.as_ref()?;
    let apart = migration.source != setting.authority && migration.source != setting.reads;
    (setting.phase == Phase::Finalised && apart).then_some(&migration.source)
}

//! The backfill: what a tenant's archive holds is applied to the target of its migration.

pub(crate) mod check;
mod kept;
mod pace;
mod progress;
mod run;
mod work;

use std::num::NonZeroU32;
use std::time::Duration;

use kaireon_archive::Archive;
use kaireon_core::{Error, ErrorKind, InteractionId, Result, TenantId};

pub use pace::{Drive, Pace};
pub use progress::{BackfillProgress, BackfillReport, BackfillState, Unapplied};

use crate::{Backend, Change, Known, Migrator, Missing, Phase, Refused, Step, TenantSetting};
use kept::{Attempt, Kept};
pub(crate) use work::Row;

/// What a run is told of which another process is ahead.
pub(crate) const ANOTHER_PROCESS: &str = "another process is at this tenant's backfill";

/// How a backfill works.
///
/// **Memory.** `parallel` objects of the archive (16 MiB each, unless it was written with more), as many chunks of
/// records, and 60 bytes for each object of the archive and each tombstone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackfillConfig {
    /// The name of whoever runs it; unique by default. A run of the same name takes over from one that was killed at once,
    /// another one when its lease is over.
    pub owner: String,
    /// How many days are applied at once; 4 by default, 0 counts as 1.
    pub parallel: usize,
    /// How many records are read, and at most written, at once; 1,000 by default, 0 counts as 1.
    pub chunk_records: usize,
    /// How often what was done is kept, and the pace, the setting, the stores and the tombstones are looked at; 1 s by
    /// default, at least 1 ms and at most a third of the lease. A run that is killed repeats as much.
    pub every: Duration,
    /// How long a process that is not heard of keeps the backfill to itself; 30 s by default, at most a day. Clocks that differ
    /// by more make two processes do the same work, which is harmless: one of them is told and stops.
    pub lease: Duration,
}

impl BackfillConfig {
    fn every(&self) -> Duration {
        // Longer, and others would take it from a run that is well.
        self.every.min(self.lease() / 3).max(Duration::from_millis(1))
    }

    fn lease(&self) -> Duration {
        self.lease.min(Duration::from_secs(86_400))
    }
}

impl Default for BackfillConfig {
    fn default() -> Self {
        Self {
            owner: format!("backfill-{}", InteractionId::fresh()),
            parallel: 4,
            chunk_records: 1_000,
            every: Duration::from_secs(1),
            lease: Duration::from_secs(30),
        }
    }
}

/// Applies a tenant's archive to the target of its migration, beside the live dual writes.
///
/// ```no_run
/// # async fn fill(migrator: kaireon_migrate::Migrator, archive: kaireon_archive::Archive) -> kaireon_core::Result<()> {
/// use kaireon_migrate::{BackfillConfig, Backfiller};
///
/// let acme = kaireon_core::TenantId::new("acme")?;
/// let backfiller = Backfiller::new(migrator, archive, BackfillConfig::default());
/// backfiller.begin(&acme, "ops@example.com", "CHG-1207").await?;
/// let report = backfiller.run(&acme).await?; // after a kill, again
/// for line in &report.progress.which {
///     println!("not applied: {line:?}");
/// }
/// # Ok(()) }
/// ```
///
/// - **It reads the archive's files alone.** Of the source it reads no row: it asks for its fence, to notice that it is another
///   store than the one that was exported, and raises it to the setting's epoch. A source that is away holds up no record, but
///   a backfill is neither begun nor completed without it.
/// - **What it may begin from**: an export of the source whose first run has ended, whose end lies behind the proof that every
///   write carries a `replicate` entry and not behind where the source has come itself, with the `archive` lane in force. What
///   the export lacks comes by that lane. Each run holds the archive it is given against that: one which does not hold the
///   export is refused.
/// - **Everything that the archive holds of the tenant is applied**, whichever store wrote it. One that also holds what another
///   store had and the source has not brings that as well, and a verification tells.
/// - **Tombstones first**, and again whenever there are new ones in the archive, and a last time before it is complete. So
///   whoever is erased before, meanwhile or in between is not brought back once the tombstone is in the archive, also where the
///   erasure did not go through the [`SwitchStore`](crate::SwitchStore).
/// - **Records** are written with origin `Backfill`, under the generation and the id that the archive holds and the epoch of
///   the setting: into no lane, so nothing is published or replicated a second time. What the dual writes brought first is a
///   duplicate.
/// - **What retention has purged** from the source is in the archive still. The target's watermark is moved to where the
///   archive's retention has come, first; records before it then count in the summaries and leave no row
///   ([`record_events`](kaireon_core::InteractionStore::record_events)), which is the base below the watermark. The archived
///   summaries themselves are not applied: they are a fold of the same records, which would be counted twice. A purge that
///   did not go by [`Exporter::retain`](kaireon_archive::Exporter::retain) is not known of: what it removed comes back on the
///   target, and a verification tells. What was purged before the first export is in no archive: the target's summaries are too
///   low by it.
/// - **Bad lines, objects that cannot be read, and rows that the target refuses for good** are named, by object and line, and
///   are not done: the backfill is not complete, and each further run tries them, and their day, again.
/// - **It is resumed** by calling [`run`](Self::run) again, after a kill too. How far it has come lies beside the archive, per
///   tenant and target, changed by compare-and-set; what was applied and not yet noted is a duplicate the second time. It does
///   not lie in the settings store, which keeps every version for good as its trail, nor on either of the two stores.
/// - **A store that is another one** than before, or went back in time, ends it: the setting says so, and it is begun anew.
///
/// A second attempt at the same target more than the dedupe horizon (30 days) after the first may count in the summaries
/// again what retention had purged before the first, because the target may have forgotten those keys by then: begin it on
/// an empty store. So may a run that repeats a day of which a line was not applied, where the watermark has moved since, here
/// or by a purge of the target's own; where it has not, no run makes the target forget.
#[derive(Clone, Debug)]
pub struct Backfiller {
    migrator: Migrator,
    archive: Archive,
    config: BackfillConfig,
}

impl Backfiller {
    /// A backfiller; nothing is read or written yet.
    #[must_use]
    pub const fn new(migrator: Migrator, archive: Archive, config: BackfillConfig) -> Self {
        Self {
            migrator,
            archive,
            config,
        }
    }

    /// Begins a tenant's backfill, or begins it again: it looks at both stores and at the export, and takes the tenant to
    /// backfilling. Nothing is applied yet; [`run`](Self::run) does that.
    ///
    /// # Errors
    /// `Conflict`, whose source is [`Refused`], where the tenant is in no phase for it, it was not confirmed that every write
    /// is replicated, the `archive` lane is not in force, there is no export of this source, its first run has not ended, it
    /// does not reach far enough, or it reaches further than the source does: which of these, it says. `InvalidInput` naming
    /// `author` or `reason`; those of the stores, the settings and the archive.
    ///
    /// # Dropped futures
    /// It was begun or not.
    pub async fn begin(&self, tenant: &TenantId, author: &str, reason: &str) -> Result<Known> {
        let states = self.archive.export_state(tenant).await?;
        // What is missing in any case is said before anything is noted.
        check::export(&self.settings().read(tenant).await?.setting, &states)?;
        let seen = self.migrator.observe(tenant).await?;
        let export = check::export(&seen.setting, &states)?;
        check::source_follows(&seen.setting, export)?;
        let step = Step::BeginBackfill { export };
        let change = Change::new(step, author, reason, self.migrator.clock().now())?;
        self.migrator.change(tenant, &change).await
    }

    /// How far a tenant's backfill has come, whichever process runs it: one read of the archive. As of the last second or
    /// so. `None` where none was run to the tenant's present target.
    ///
    /// # Errors
    /// Those of the settings and of the archive; `Conflict`, whose source is [`Refused`], without a migration under way.
    ///
    /// # Dropped futures
    /// Nothing is left behind.
    pub async fn progress(&self, tenant: &TenantId) -> Result<Option<BackfillProgress>> {
        let setting = self.settings().read(tenant).await?.setting;
        let migration = migration_of(&setting)?;
        let name = Kept::name(&migration.target);
        let kept: Option<Kept> = self.archive.checkpoint(tenant, &name).await?;
        let evidence = migration.evidence.backfill;
        Ok(kept.map(|mut kept| {
            // The setting decides: a run may have been killed between its last step and its last note.
            kept.complete = evidence.is_some_and(|evidence| {
                evidence.completed_at.is_some()
                    && evidence.started_at == kept.attempt.started_at
                    && evidence.export == kept.attempt.export
            });
            kept.progress(self.migrator.clock().now())
        }))
    }

    /// The pace that is set for a tenant's backfill.
    ///
    /// # Errors
    /// As for [`progress`](Self::progress).
    ///
    /// # Dropped futures
    /// Nothing is left behind.
    pub async fn pace(&self, tenant: &TenantId) -> Result<Pace> {
        let setting = self.settings().read(tenant).await?.setting;
        self.pace_to(tenant, &migration_of(&setting)?.target).await
    }

    async fn pace_to(&self, tenant: &TenantId, target: &Backend) -> Result<Pace> {
        let name = Kept::pace_name(target);
        Ok(self.archive.checkpoint(tenant, &name).await?.unwrap_or_default())
    }

    /// Sets the pace of a tenant's backfill. Whoever runs it, in whichever process, goes by it within
    /// [`every`](field@BackfillConfig::every), and whoever runs it later from the start.
    ///
    /// # Errors
    /// As for [`progress`](Self::progress).
    ///
    /// # Dropped futures
    /// It was set or not.
    pub async fn set_pace(&self, tenant: &TenantId, pace: Pace) -> Result<()> {
        self.change_pace(tenant, |_| pace).await
    }

    /// Lets a tenant's backfill stand still.
    ///
    /// # Errors
    /// As for [`set_pace`](Self::set_pace).
    ///
    /// # Dropped futures
    /// As for [`set_pace`](Self::set_pace).
    pub async fn pause(&self, tenant: &TenantId) -> Result<()> {
        let drive = Drive::Paused;
        self.change_pace(tenant, |pace| Pace { drive, ..pace }).await
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// As for [`set_pace`](Self::set_pace).
    ///
    /// # Dropped futures
    /// As for [`set_pace`](Self::set_pace).
    pub async fn resume(&self, tenant: &TenantId) -> Result<()> {
        let drive = Drive::Running;
        self.change_pace(tenant, |pace| Pace { drive, ..pace }).await
    }

    /// Bounds how many rows a second it writes; `None` takes the bound away.
    ///
    /// # Errors
    /// As for [`set_pace`](Self::set_pace).
    ///
    /// # Dropped futures
    /// As for [`set_pace`](Self::set_pace).
    pub async fn throttle(&self, tenant: &TenantId, max_rows_per_second: Option<NonZeroU32>) -> Result<()> {
        self.change_pace(tenant, |pace| Pace {
            max_rows_per_second,
            ..pace
        })
        .await
    }

    pub(crate) async fn change_pace(
        &self,
        tenant: &TenantId,
        change: impl Fn(Pace) -> Pace + Send + Sync,
    ) -> Result<()> {
        let setting = self.settings().read(tenant).await?.setting;
        let name = Kept::pace_name(&migration_of(&setting)?.target);
        self.archive
            .change_checkpoint(tenant, &name, |found: Option<Pace>| {
                Ok(Some(change(found.unwrap_or_default())))
            })
            .await
    }

    fn every(&self) -> Duration {
        self.config.every()
    }

    fn lease(&self) -> Duration {
        self.config.lease()
    }

    fn settings(&self) -> &crate::Settings {
        self.migrator.switch().settings()
    }
}

fn migration_of(setting: &TenantSetting) -> Result<&crate::Migration> {
    let from = vec![
        Phase::DualWrite,
        Phase::Backfilling,
        Phase::Verifying,
        Phase::Ready,
    ];
    setting
        .under_way()
        .ok_or_else(|| Error::from(refused(setting, Missing::Phase { from })))
}

/// The backfill that a setting is in.
fn attempt_of(setting: &TenantSetting) -> Option<Attempt> {
    let migration = setting.under_way()?;
    let begun = migration.evidence.backfill?;
    (setting.phase == Phase::Backfilling).then(|| Attempt {
        target: migration.target.clone(),
        started_at: begun.started_at,
        export: begun.export,
    })
}

/// Whether something fails for now only. The kind says so too: a wrapper that has used up its retries hands an error on as not
/// transient, but there is no bound to how often a backfill tries.
fn is_for_now(error: &Error) -> bool {
    let kinds = [
        ErrorKind::Unavailable,
        ErrorKind::Timeout,
        ErrorKind::RateLimited,
        ErrorKind::Fenced,
    ];
    error.is_transient() || kinds.contains(&error.kind())
}

fn refused(setting: &TenantSetting, missing: Missing) -> Refused {
    Refused {
        step: "backfill",
        phase: setting.phase,
        missing: vec![missing],
        can_be_forced: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_heard_of_more_often_than_its_lease_ends() {
        let of = |every, lease| BackfillConfig {
            every: Duration::from_secs(every),
            lease: Duration::from_secs(lease),
            ..BackfillConfig::default()
        };
        assert_eq!(of(1, 30).every(), Duration::from_secs(1));
        assert_eq!(of(60, 30).every(), Duration::from_secs(10));
        assert_eq!(of(0, 0).every(), Duration::from_millis(1));
        assert_eq!(of(1, 200_000).lease(), Duration::from_secs(86_400));
    }
}

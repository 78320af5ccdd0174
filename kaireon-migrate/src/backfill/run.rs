//! One run of a backfill: who is at it, what it looks at while it goes on, and how it ends.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use kaireon_archive::Kind;
use kaireon_core::digest::Digest;
use kaireon_core::store::{Generation, Purge, Tombstone};
use kaireon_core::time::Timestamp;
use kaireon_core::{Error, ErrorKind, InteractionId, Result, TenantId};
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use super::kept::{Attempt, Holder, Kept};
use super::pace::{self, Pace, Throttle};
use super::progress::BackfillReport;
use super::work::Job;
use super::{ANOTHER_PROCESS, Backfiller, attempt_of, check, is_for_now, refused};
use crate::migrator::{AUTHOR, only_of};
use crate::{Change, Known, Missing, Phase, Side, Step, StoreMark, TenantSetting};

/// How many tombstones are installed in one call.
const TOMBSTONES_AT_ONCE: usize = 1_000;

/// One run, beside what its tasks share.
struct Run<'a> {
    by: &'a Backfiller,
    attempt: Attempt,
    id: InteractionId,
    /// Until when others leave it alone, as it was kept last.
    held_until: Timestamp,
    pace: watch::Sender<Pace>,
    job: Arc<Job>,
    tombstones: HashMap<Digest, Generation>,
    /// Source and target as they were last seen.
    seen: [Option<StoreMark>; 2],
    /// Rows that were done at the last look, and when that was.
    rate: (u64, Instant),
    rows_per_second: u64,
}

impl Backfiller {
    /// Runs a tenant's backfill to its end, from where an earlier run was, and takes the tenant to verifying.
    ///
    /// Once it has taken the backfill, what fails for now (`Unavailable`, `Timeout`, `RateLimited`, `Fenced`, and what is
    /// marked as transient) is tried again: of the target, the settings and the source without end, of the archive until the lease is
    /// over, because others may take the backfill then. [`progress`](Self::progress) tells that it stalls and why.
    ///
    /// # Errors
    /// `Conflict`: the tenant is not in backfilling, or the archive does not hold the export that it was begun from
    /// ([`Refused`](crate::Refused)); another process is at it, or has taken it over; it was ended or begun again; a store went
    /// back in time, which the setting says then. `Unsupported` where the archive holds decisions, or a purged past, and the
    /// target has none. Those of the archive that last longer than the lease; those of the target, the archive and the settings
    /// that no repetition cures. What was applied stays noted, and a further run goes on behind it.
    ///
    /// # Dropped futures
    /// It ends where it is. What was done is noted but for the last second, and others may go on when the lease is over.
    pub async fn run(&self, tenant: &TenantId) -> Result<BackfillReport> {
        let setting = self.settings().read(tenant).await?.setting;
        let attempt = attempt_of(&setting).ok_or_else(|| {
            let from = vec![Phase::Backfilling];
            Error::from(refused(&setting, Missing::Phase { from }))
        })?;
        let target = Arc::clone(self.migrator.switch().stores().get(&attempt.target)?);
        let (set, pace) = watch::channel(self.pace_to(tenant, &attempt.target).await?);
        let id = InteractionId::fresh();
        let (kept, held_until) = self.take(tenant, &attempt, &id).await?;
        let job = Job {
            tenant: tenant.clone(),
            archive: self.archive.clone(),
            target,
            kept: Mutex::new(kept),
            throttle: Throttle::new(pace),
            epoch: RwLock::new(setting.epoch),
            chunk_records: self.config.chunk_records.max(1),
            days: Mutex::default(),
        };
        let mut run = Run {
            by: self,
            attempt,
            id,
            held_until,
            pace: set,
            job: Arc::new(job),
            tombstones: HashMap::new(),
            seen: [None; 2],
            rate: (0, Instant::now()),
            rows_per_second: 0,
        };
        let ended = run.go().await;
        // Whoever comes next need not wait. Where it is another's already nothing is changed, and a lease that cannot be given
        // back ends by itself.
        let _ = run.keep(Duration::ZERO).await;
        run.job.kept.lock().holder = None;
        let known = ended?;
        let progress = run.job.kept.lock().progress(self.migrator.clock().now());
        Ok(BackfillReport {
            completed: known,
            progress,
        })
    }

    /// Takes the backfill, unless another process is at it.
    async fn take(
        &self,
        tenant: &TenantId,
        attempt: &Attempt,
        id: &InteractionId,
    ) -> Result<(Kept, Timestamp)> {
        let now = self.migrator.clock().now();
        let until = now + self.lease();
        let mut taken = None;
        self.archive
            .change_checkpoint(tenant, &Kept::name(&attempt.target), |found: Option<Kept>| {
                let found = found.filter(|found| found.attempt == *attempt);
                let mut kept = found.unwrap_or_else(|| Kept::new(attempt.clone()));
                let other = |holder: &Holder| holder.owner != self.config.owner && holder.until > now;
                if kept.holder.as_ref().is_some_and(other) {
                    return Err(Error::conflict(ANOTHER_PROCESS));
                }
                kept.begin_run(Holder {
                    owner: self.config.owner.clone(),
                    run: id.clone(),
                    until,
                });
                taken = Some(kept.clone());
                Ok(Some(kept))
            })
            .await?;
        let kept = taken.ok_or_else(|| {
            Error::new(
                ErrorKind::Internal,
                "a backfill was taken without being looked at",
            )
        })?;
        Ok((kept, until))
    }
}

impl Run<'_> {
    fn tenant(&self) -> &TenantId {
        &self.job.tenant
    }

    fn now(&self) -> Timestamp {
        self.by.migrator.clock().now()
    }

    /// Applies what is there; the setting in verifying, where nothing is left.
    async fn go(&mut self) -> Result<Option<Known>> {
        while let Err(error) = self.prepare().await {
            self.wait_out(error).await?;
        }
        self.rate = (self.job.kept.lock().rows_done(), Instant::now());
        let mut tasks = JoinSet::new();
        for _ in 0..self.by.config.parallel.max(1) {
            tasks.spawn(Arc::clone(&self.job).work());
        }
        let mut ticks = interval(self.by.every());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                ended = tasks.join_next() => match ended {
                    None => break,
                    Some(Ok(ended)) => ended?,
                    Some(Err(error)) => {
                        let context = "a task of the backfill ended by a panic";
                        return Err(Error::new(ErrorKind::Internal, context).with_source(error));
                    }
                },
                _ = ticks.tick() => self.look().await?,
            }
        }
        let whole = self.job.kept.lock().is_whole();
        if !whole {
            return Ok(None);
        }
        self.complete().await.map(Some)
    }

    /// What comes before the first record.
    async fn prepare(&mut self) -> Result<()> {
        self.look_at_stores().await?;
        self.look_at_archive().await?;
        self.install_tombstones().await?;
        self.move_watermark().await?;
        self.job.days.lock().clear();
        for kind in [Kind::Interactions, Kind::Decisions] {
            // Each of these may take its time.
            self.keep_on().await?;
            self.plan(kind).await?;
        }
        Ok(())
    }

    /// Waits before something is tried again that failed for now, and keeps the backfill meanwhile.
    async fn wait_out(&mut self, error: Error) -> Result<()> {
        if !is_for_now(&error) {
            return Err(error);
        }
        self.job.kept.lock().stalls(Some(error.to_string()));
        self.keep_on().await?;
        sleep(self.by.every()).await;
        Ok(())
    }

    /// Keeps what was done, unless that fails for now and others leave the backfill alone for longer.
    async fn keep_on(&mut self) -> Result<()> {
        match self.keep(self.by.lease()).await {
            Err(error) if is_for_now(&error) && self.now() < self.held_until => Ok(()),
            kept => kept,
        }
    }

    /// Notes which days of a kind there are to do.
    async fn plan(&self, kind: Kind) -> Result<()> {
        let found = self.by.archive.days(self.tenant(), kind).await?;
        let can = self.job.target.capabilities();
        if kind == Kind::Decisions && !found.is_empty() && !can.decisions {
            return Err(Error::unsupported(can.backend, "record_decisions"));
        }
        self.job.kept.lock().expect(kind, &found);
        let days = found.into_iter().map(|day| (kind, day.day));
        self.job.days.lock().extend(days);
        Ok(())
    }

    /// What was purged from the source leaves no row on the target either. Once for each watermark: a purge is also when a
    /// store forgets the keys of rows that it has purged long ago, and a day that is read again would count again.
    async fn move_watermark(&self) -> Result<()> {
        let Some(before) = self.by.archive.purged_before(self.tenant()).await? else {
            return Ok(());
        };
        if self.job.kept.lock().purged_before >= Some(before) {
            return Ok(());
        }
        let tenant = self.tenant().clone();
        let purge = Purge { tenant, before };
        self.job.target.purge_before(purge).await?;
        self.job.kept.lock().purged_before = Some(before);
        Ok(())
    }

    /// Brings tombstones to the target that came into the archive since the last look.
    async fn install_tombstones(&mut self) -> Result<()> {
        let found = self.by.archive.tombstones(self.tenant()).await?;
        let new = |tombstone: &Tombstone| {
            let known = self.tombstones.get(&tombstone.customer);
            known.is_none_or(|known| *known < tombstone.generation)
        };
        let new: Vec<Tombstone> = found.into_iter().filter(new).collect();
        if new.is_empty() {
            return Ok(());
        }
        for some in new.chunks(TOMBSTONES_AT_ONCE) {
            let target = &self.job.target;
            target.install_tombstones(self.tenant(), some.to_vec()).await?;
            let installed = some.iter().map(|raised| (raised.customer, raised.generation));
            self.tombstones.extend(installed);
        }
        Ok(())
    }

    /// What is looked at and kept every second. What fails for now is looked at again.
    async fn look(&mut self) -> Result<()> {
        let looked = async {
            // First, and whatever does not answer behind it: an operator's word holds within seconds.
            let pace = in_time(self.by.pace_to(self.tenant(), &self.attempt.target)).await?;
            pace::tell(&self.pace, pace);
            in_time(self.look_at_setting()).await?;
            in_time(self.look_at_stores()).await?;
            in_time(self.install_tombstones()).await
        };
        let looked = looked.await;
        match looked {
            Err(error) if is_for_now(&error) => self.job.kept.lock().stalls(Some(error.to_string())),
            looked => looked?,
        }
        self.measure();
        self.keep_on().await
    }

    async fn look_at_setting(&self) -> Result<()> {
        let setting = self.by.settings().read(self.tenant()).await?.setting;
        if !self.is_of(&setting) {
            return Err(over());
        }
        *self.job.epoch.write() = setting.epoch;
        Ok(())
    }

    fn is_of(&self, setting: &TenantSetting) -> bool {
        attempt_of(setting).as_ref() == Some(&self.attempt)
    }

    /// Looks whether the archive is the one that the backfill was begun from, and still holds that export.
    async fn look_at_archive(&self) -> Result<()> {
        let states = self.by.archive.export_state(self.tenant()).await?;
        check::still_holds(&states, self.attempt.export).map_err(Error::from)
    }

    /// Looks at the fences of both stores. The setting is changed only where one of them is not the store that it was, as
    /// the setting knows it or as it was seen since: one that was put back to a moment of this run has lost what the run
    /// wrote behind that.
    async fn look_at_stores(&mut self) -> Result<()> {
        let setting = self.by.settings().read(self.tenant()).await?.setting;
        let Some((migration, in_force)) =
            (setting.under_way()).and_then(|migration| Some((migration, migration.in_force?)))
        else {
            return Err(over());
        };
        for (at, (side, known)) in [(Side::Source, in_force.source), (Side::Target, in_force.target)]
            .into_iter()
            .enumerate()
        {
            let migrator = &self.by.migrator;
            let store = migrator.switch().stores().get(migration.store(side))?;
            let fence = match store.fence(self.tenant()).await {
                // Nothing of the source is needed but that it is not another one, which its next answer tells.
                Err(error) if side == Side::Source && is_for_now(&error) => continue,
                fence => fence?,
            };
            let mark = StoreMark::from(&fence);
            let seen = self.seen[at].or(self.job.kept.lock().seen(side));
            let is_same = in_force.is_followed(side, mark, Some(fence.epoch));
            if seen.is_none_or(|seen| mark.follows(seen)) && is_same {
                self.seen[at] = Some(mark);
                self.job.kept.lock().see(side, mark);
                continue;
            }
            // The setting learns how far the store had come, so that what it finds now does not follow that.
            if let Some(seen) = seen.filter(|seen| seen.follows(known)) {
                let epoch = None;
                let step = Step::Observe {
                    side,
                    mark: seen,
                    epoch,
                };
                let is_of_this = |now: &TenantSetting| attempt_of(now).as_ref() == Some(&self.attempt);
                let is_of_this = only_of(is_of_this, OVER);
                let noted = migrator.note_where(self.tenant(), step, "how far a store had come", is_of_this);
                noted.await?;
            }
            migrator.observe(self.tenant()).await?;
            return Err(Error::conflict(
                "a store of the migration is another one or went back in time",
            ));
        }
        Ok(())
    }

    fn measure(&mut self) {
        let (before, since) = self.rate;
        let rows = self.job.kept.lock().rows_done();
        let millis = since.elapsed().as_millis().max(1);
        let now = u128::from(rows.saturating_sub(before)) * 1_000 / millis;
        let now = u64::try_from(now).unwrap_or(u64::MAX);
        // Of late: each look counts for a quarter.
        self.rows_per_second = match self.rows_per_second {
            0 => now,
            known => (known * 3).saturating_add(now) / 4,
        };
        self.rate = (rows, Instant::now());
        let drive = self.pace.borrow().drive;
        let mut kept = self.job.kept.lock();
        kept.drives(drive, self.rows_per_second);
        let progress = kept.progress(self.now());
        let left = progress.rows_total.saturating_sub(progress.rows_done);
        metrics::gauge!("kaireon.backfill.left", "tenant" => self.tenant().to_string()).set(as_gauge(left));
    }

    /// Keeps what was done, and the backfill for so long.
    async fn keep(&mut self, lease: Duration) -> Result<()> {
        let until = self.now() + lease;
        let mut kept = self.job.kept.lock().clone();
        if let Some(holder) = &mut kept.holder {
            holder.until = until;
        }
        let name = Kept::name(&self.attempt.target);
        let (id, attempt) = (&self.id, &self.attempt);
        let ours = |found: &Kept| {
            found.attempt == *attempt && found.holder.as_ref().is_some_and(|holder| holder.run == *id)
        };
        let archive = &self.by.archive;
        archive
            .change_checkpoint(self.tenant(), &name, |found: Option<Kept>| {
                if !found.as_ref().is_some_and(ours) {
                    let context = "another process has taken this tenant's backfill over";
                    return Err(Error::conflict(context));
                }
                Ok(Some(kept.clone()))
            })
            .await?;
        self.held_until = until;
        Ok(())
    }

    /// Looks a last time, and says that it is complete: of this attempt, whatever others do to the setting meanwhile.
    async fn complete(&mut self) -> Result<Known> {
        while let Err(error) = self.look_a_last_time().await {
            self.wait_out(error).await?;
        }
        let step = Step::CompleteBackfill { bad_lines: 0 };
        let change = Change::new(step, AUTHOR, "the archive was applied to its end", self.now())?;
        loop {
            let settings = self.by.settings();
            let attempt = &self.attempt;
            let of_this = |setting: &TenantSetting| match attempt_of(setting).as_ref() == Some(attempt) {
                true => Ok(()),
                false => Err(over()),
            };
            match settings.change_where(&self.job.tenant, &change, of_this).await {
                Ok(known) => {
                    let mut kept = self.job.kept.lock();
                    kept.stalls(None);
                    kept.complete = true;
                    return Ok(known);
                }
                Err(error) => self.wait_out(error).await?,
            }
        }
    }

    async fn look_a_last_time(&mut self) -> Result<()> {
        self.look_at_setting().await?;
        self.look_at_archive().await?;
        self.install_tombstones().await?;
        let seen = self.by.migrator.observe(&self.job.tenant).await?;
        if !self.is_of(&seen.setting) {
            return Err(over());
        }
        Ok(())
    }
}

/// Why a run ends that is of no attempt any more.
const OVER: &str = "the backfill was ended or begun again";

fn over() -> Error {
    Error::conflict(OVER)
}

/// What a look waits for one answer at most.
const PATIENCE: Duration = Duration::from_secs(2);

async fn in_time<T>(look: impl Future<Output = Result<T>>) -> Result<T> {
    timeout(PATIENCE, look).await.unwrap_or_else(|_| {
        let context = "a store, the archive or the settings did not answer a look of the backfill";
        Err(Error::new(ErrorKind::Timeout, context).with_transient(true))
    })
}

#[allow(clippy::cast_precision_loss, reason = "a gauge is a float")]
fn as_gauge(count: u64) -> f64 {
    count as f64
}

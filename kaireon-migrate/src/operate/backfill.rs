//! Filling the target from the archive.

use std::time::Duration;

use kaireon_core::{ErrorKind, Result, TenantId};
use serde::Serialize;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::{Advance, Asked, Operator, OperatorStatus};
use crate::backfill::ANOTHER_PROCESS;
use crate::{BackfillProgress, BackfillReport, Backfiller, Phase};

/// How often progress is told, and a backfill that another process holds is asked for.
const EVERY: Duration = Duration::from_secs(1);

/// How a call of [`Operator::backfill`] ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct BackfillRun {
    /// Whose.
    pub tenant: TenantId,
    /// Whether this call has begun it; otherwise it went on with one, or found it complete.
    pub begun: bool,
    /// Whether everything that the archive holds was applied.
    pub complete: bool,
    /// What was done, and what could not be applied; none where it was complete before.
    pub progress: Option<BackfillProgress>,
    /// Where the tenant stands.
    pub status: OperatorStatus,
}

impl Operator {
    /// Applies what the archive holds to the target, from where an earlier run was, and takes the tenant to verifying. One that is
    /// complete is told as such; [`begin_backfill_again`](Self::begin_backfill_again) does it anew.
    ///
    /// A run that was killed is followed by the next one within its lease.
    ///
    /// # Errors
    /// `Config` without an archive; `Conflict`, whose source is [`Refused`](crate::Refused), where the tenant is in no phase for it or
    /// the export does not reach far enough, and without a source where another process is at it; those of
    /// [`Backfiller::begin`] and [`Backfiller::run`].
    ///
    /// # Dropped futures
    /// What was applied stays applied; the next call goes on.
    pub async fn backfill(&self, tenant: &TenantId, asked: &Asked) -> Result<BackfillRun> {
        let known = self.confirm(tenant).await?;
        let evidence = known
            .setting
            .under_way()
            .and_then(|migration| migration.evidence.backfill);
        let complete = evidence.is_some_and(|backfill| backfill.completed_at.is_some());
        let begins = known.setting.phase != Phase::Backfilling && !complete;
        if begins {
            self.begin_backfill_again(tenant, asked).await?;
        }
        let run = match complete {
            true => None,
            false => Some(self.run(tenant).await?),
        };
        Ok(BackfillRun {
            tenant: tenant.clone(),
            begun: begins,
            complete: run.as_ref().is_none_or(|run| run.completed.is_some()),
            progress: run.map(|run| run.progress),
            status: self.status(tenant).await?,
        })
    }

    /// Begins a tenant's backfill, whatever was done before; [`backfill`](Self::backfill) runs it then.
    ///
    /// # Errors
    /// As for [`Backfiller::begin`]; `Config` without an archive.
    ///
    /// # Dropped futures
    /// It was begun or not.
    pub async fn begin_backfill_again(&self, tenant: &TenantId, asked: &Asked) -> Result<()> {
        let Asked { author, reason, .. } = asked;
        self.confirm(tenant).await?;
        self.backfiller()?.begin(tenant, author, reason).await.map(drop)
    }

    async fn run(&self, tenant: &TenantId) -> Result<BackfillReport> {
        let backfiller = self.backfiller()?;
        let patience = self.config.backfill.lease + EVERY;
        let begun = Instant::now();
        loop {
            match self.run_and_tell(&backfiller, tenant).await {
                // Of a process that was killed the lease ends; one that is at work renews it.
                Err(error)
                    if error.kind() == ErrorKind::Conflict
                        && error.context() == ANOTHER_PROCESS
                        && begun.elapsed() < patience =>
                {
                    sleep(EVERY).await;
                }
                ended => return ended,
            }
        }
    }

    async fn run_and_tell(&self, backfiller: &Backfiller, tenant: &TenantId) -> Result<BackfillReport> {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut run = std::pin::pin!(backfiller.run(tenant));
        loop {
            tokio::select! {
                biased;
                ended = &mut run => {
                    if let Ok(report) = &ended {
                        self.tell(|| Advance::Backfilled(Box::new(report.progress.clone())));
                    }
                    return ended;
                }
                _ = ticks.tick(), if self.told.is_some() => {
                    // What is not to be had now is told at the next look.
                    if let Ok(Some(progress)) = backfiller.progress(tenant).await {
                        self.tell(|| Advance::Backfilled(Box::new(progress)));
                    }
                }
            }
        }
    }
}

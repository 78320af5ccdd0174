//! Steps that an operator asks for: start, cut-over, roll-back.

use std::time::Duration;

use kaireon_core::time::Timestamp;
use kaireon_core::{Effect, Result, TenantId};
use serde::Serialize;
use tokio::time::Instant;

use super::{Asked, Lacking, Operator, OperatorStatus};
use crate::{Backend, Draining, DualWrite, Force, Known, Phase, Policy, Purpose, Step, millis};

/// What a migration is begun with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// The store to move to.
    pub target: Backend,
    /// How long writers wait for it.
    pub dual_write: DualWrite,
    /// What is asked of the migration.
    pub policy: Policy,
}

impl Start {
    /// To this store, with callers who do not wait for it and the bounds that [`Policy`] has by default.
    #[must_use]
    pub fn to(target: Backend) -> Self {
        Self {
            target,
            dual_write: DualWrite::Async,
            policy: Policy::default(),
        }
    }
}

/// What became of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was taken.
    Taken,
    /// It had been taken before.
    AlreadyTaken,
    /// It was not: the lanes of the store that was to close were not empty within the bound, or the other store could not be
    /// opened, and the authority is open again.
    NotTaken,
}

/// A step that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StepReport {
    /// Whose.
    pub tenant: TenantId,
    /// The step, by its name in the settings.
    pub step: String,
    /// Who asked.
    pub author: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
    /// How long it took.
    #[serde(rename = "took_ms", serialize_with = "millis::serialize")]
    pub took: Duration,
    /// What became of it.
    pub outcome: Outcome,
    /// Where the tenant stood.
    pub from: Phase,
    /// What was missing and was overridden by force.
    pub overridden: Vec<Lacking>,
    /// Where the tenant stands.
    pub status: OperatorStatus,
}

impl Operator {
    /// Begins to move a tenant: from now on every write is replicated to the target, which was seen when this returns.
    ///
    /// # Errors
    /// `Conflict`, whose source is [`Refused`](crate::Refused), where a migration is under way to another store or the tenant is
    /// on the target; `InvalidInput` naming `author` or `reason`; those of the settings and of both stores. A target that does
    /// not answer is found before the step is taken; where one of the two is away behind that, call it again.
    ///
    /// # Dropped futures
    /// It was begun or not; a second call goes on.
    pub async fn start(&self, tenant: &TenantId, start: Start, asked: &Asked) -> Result<StepReport> {
        let (begun, before) = (Instant::now(), self.migrator.settings().read(tenant).await?);
        let Start {
            target,
            dual_write,
            policy,
        } = start;
        let store = self.store(&target)?;
        let same = (before.setting.under_way())
            .is_some_and(|migration| migration.target == target && before.setting.phase == Phase::DualWrite);
        let step = Step::Start {
            target,
            dual_write,
            policy,
        };
        let name = step.as_str();
        if !same {
            // A target that does not answer is said before anything is set, and is not written for in vain.
            store
                .fence(tenant)
                .await
                .map_err(|error| error.with_effect(Effect::NotApplied))?;
            let change = self.change(step, asked)?;
            self.set(tenant, &change).await?;
            self.migrator.finish(tenant).await?;
        }
        self.confirm(tenant).await?;
        let outcome = match same {
            true => Outcome::AlreadyTaken,
            false => Outcome::Taken,
        };
        self.report(tenant, name, asked, (begun, &before), outcome).await
    }

    /// Moves the authority to the target: measures the lane, asks the gate, and waits while the source's lanes are emptied.
    /// Forced, what the gate lacks is overridden and recorded; then what waits in the source's lanes may be left behind.
    ///
    /// A move that a process which died had begun is ended first.
    ///
    /// # Errors
    /// `Conflict`, whose source is [`Refused`](crate::Refused), where the gate lacks something; those of the settings and of the
    /// stores: the change may have been made, so ask again.
    ///
    /// # Dropped futures
    /// The authority may be moving: a second call, [`roll_back`](Self::roll_back) or
    /// [`Migrator::finish`](crate::Migrator::finish) ends that.
    pub async fn cut_over(&self, tenant: &TenantId, asked: &Asked) -> Result<StepReport> {
        let (begun, before) = (Instant::now(), self.migrator.settings().read(tenant).await?);
        let name = Step::CutOver.as_str();
        let mut known = self.finished(tenant, &before, Purpose::CutOver).await?;
        if known.setting.phase == Phase::CutOver {
            let outcome = match before.setting.phase {
                Phase::CutOver => Outcome::AlreadyTaken,
                _ => Outcome::Taken,
            };
            return self.report(tenant, name, asked, (begun, &before), outcome).await;
        }
        let under_way = known.setting.under_way().is_some();
        match self.migrator.measure(tenant).await {
            Ok(measured) => known = measured,
            // The gate says that it was not measured, which force may override; without a migration, the step itself refuses.
            Err(_) if asked.force == Force::Yes || !under_way => {}
            Err(error) => return Err(error),
        }
        if asked.force == Force::No && known.setting.phase != Phase::Ready && under_way {
            let change = self.change(Step::PassGate, asked)?;
            self.set(tenant, &change).await?;
            self.migrator.finish(tenant).await?;
        }
        let (known, overridden) = self.taken(tenant, Step::CutOver, asked).await?;
        let outcome = match known.setting.phase {
            Phase::CutOver => Outcome::Taken,
            _ => Outcome::NotTaken,
        };
        let report = self
            .report(tenant, name, asked, (begun, &before), outcome)
            .await?;
        Ok(StepReport { overridden, ..report })
    }

    /// Goes back to the source, from every phase before finalised. Before the cut-over nothing moves and it is done at once; after
    /// it, the target's lanes are emptied first, so that nothing is lost while the target can be read. Where it cannot, or a store
    /// went back in time, only force leads back; what it overrode is in the report and in the setting.
    ///
    /// # Errors
    /// As for [`cut_over`](Self::cut_over).
    ///
    /// # Dropped futures
    /// As for [`cut_over`](Self::cut_over).
    pub async fn roll_back(&self, tenant: &TenantId, asked: &Asked) -> Result<StepReport> {
        let (begun, before) = (Instant::now(), self.migrator.settings().read(tenant).await?);
        let name = Step::RollBack.as_str();
        // One that is under way is ended; a cut-over that is under way is given up by the step itself.
        let known = self.finished(tenant, &before, Purpose::RollBack).await?;
        let back = known.setting.phase == Phase::Single;
        if back && before.setting.phase == Phase::Draining {
            return self
                .report(tenant, name, asked, (begun, &before), Outcome::Taken)
                .await;
        }
        let (known, overridden) = self.taken(tenant, Step::RollBack, asked).await?;
        let outcome = match known.setting.phase {
            Phase::Single => Outcome::Taken,
            _ => Outcome::NotTaken,
        };
        let report = self
            .report(tenant, name, asked, (begun, &before), outcome)
            .await?;
        Ok(StepReport { overridden, ..report })
    }

    /// Takes a step and acts on it to its end; returns what it overrode, and what was left behind by a move that it began.
    pub(super) async fn taken(
        &self,
        tenant: &TenantId,
        step: Step,
        asked: &Asked,
    ) -> Result<(Known, Vec<Lacking>)> {
        let change = self.change(step, asked)?;
        let set = self.set(tenant, &change).await?;
        let known = self.migrator.finish(tenant).await?;
        let mut overridden = Vec::new();
        for last in [&set, &known]
            .into_iter()
            .filter_map(|known| known.setting.last.as_ref())
        {
            for missing in &last.overridden {
                if !overridden.contains(missing) {
                    overridden.push(missing.clone());
                }
            }
        }
        Ok((known, Lacking::all(overridden)))
    }

    /// The setting, once a move of that purpose which another process had begun is ended.
    async fn finished(&self, tenant: &TenantId, before: &Known, purpose: Purpose) -> Result<Known> {
        let of = |draining: Draining| draining.purpose == purpose;
        match before.setting.draining.is_some_and(of) {
            true => self.migrator.finish(tenant).await,
            false => Ok(before.clone()),
        }
    }

    async fn report(
        &self,
        tenant: &TenantId,
        step: &str,
        asked: &Asked,
        (begun, before): (Instant, &Known),
        outcome: Outcome,
    ) -> Result<StepReport> {
        Ok(StepReport {
            tenant: tenant.clone(),
            step: step.to_owned(),
            author: asked.author.clone(),
            reason: asked.reason.clone(),
            at: self.migrator.clock().now(),
            took: begun.elapsed(),
            outcome,
            from: before.setting.phase,
            overridden: Vec::new(),
            status: self.status(tenant).await?,
        })
    }
}

//! Looking at the stores of a migration: where one is another one, or went back in time, what was relied on is over.

use kaireon_core::{ErrorKind, Result, TenantId};

use crate::migrator::{TRIES, moved_on, only_of};
use crate::{InForce, Known, Migrator, Phase, Side, Step, StoreMark, TenantSetting};

impl Migrator {
    /// Looks at both stores of a migration: one that is another one or went back in time is noticed, and noted, whatever
    /// becomes of the rest. Nothing is relied on before the lanes were confirmed, so nothing is looked at.
    ///
    /// # Errors
    /// As for [`change`](Self::change); where one of the two cannot be asked, the other one was looked at all the same.
    pub async fn observe(&self, tenant: &TenantId) -> Result<Known> {
        let known = self.settings().read(tenant).await?;
        let source = self.observe_one(tenant, Side::Source, known.clone()).await;
        let known = source.as_ref().unwrap_or(&known).clone();
        let target = self.observe_one(tenant, Side::Target, known).await;
        let enforced = self.enforce(tenant).await;
        source.and(target).and(enforced)
    }

    /// Looks at one of them. A mark is older than one that another noted since, and would look as if the store had gone
    /// back: then it is read again.
    pub(crate) async fn observe_one(&self, tenant: &TenantId, side: Side, mut known: Known) -> Result<Known> {
        for _ in 0..TRIES {
            let Some((migration, in_force)) = relied_on(&known.setting) else {
                return Ok(known);
            };
            let store = self.stores().get(migration.store(side))?;
            let fence = store.fence(tenant).await?;
            let (mark, epoch) = (StoreMark::from(&fence), Some(fence.epoch));
            let last = Some(in_force);
            let is_last =
                |now: &TenantSetting| now.under_way().map(|migration| migration.in_force) == Some(last);
            let is_last = only_of(is_last, "another has looked at the store meanwhile");
            let why = match in_force.is_followed(side, mark, epoch) {
                true => "a look at the store",
                false => "the store is another one or went back in time",
            };
            let step = Step::Observe { side, mark, epoch };
            match self.note_where(tenant, step, why, is_last).await {
                Err(error) if error.kind() == ErrorKind::Unavailable => {
                    let now = self.settings().read(tenant).await?;
                    if now.version == known.version {
                        return Err(error);
                    }
                    known = now;
                }
                noted => return noted,
            }
        }
        Err(moved_on("others look at the store all the time"))
    }

    /// The setting as it is, once a source that was put back to before its fence was raised is noted as such: raising it
    /// again hides that what was written meanwhile is not replicated.
    pub(crate) async fn heed(&self, tenant: &TenantId) -> Result<Known> {
        let known = self.settings().read(tenant).await?;
        let Some((migration, in_force)) = relied_on(&known.setting) else {
            return Ok(known);
        };
        if migration.source != known.setting.authority {
            return Ok(known);
        }
        let store = self.stores().get(&migration.source)?;
        match store.fence(tenant).await?.epoch < in_force.epoch {
            true => self.observe_one(tenant, Side::Source, known).await,
            false => Ok(known),
        }
    }
}

/// What a migration relies on of its stores, where it can still be noted that one of them is no longer what it was.
fn relied_on(setting: &TenantSetting) -> Option<(&crate::Migration, InForce)> {
    let migration = setting.under_way()?;
    let in_force = migration.in_force?;
    (setting.phase != Phase::Draining).then_some((migration, in_force))
}

//! A comparison as evidence of a migration.

use std::sync::Arc;

use kaireon_core::store::TombstoneQuery;
use kaireon_core::{Error, ErrorKind, InteractionStore, Result, TenantId};

use super::{Kind, KindReport, Verifier, VerifyConfig, VerifyReport};
use crate::migrator::{AUTHOR, only_of};
use crate::{Change, Known, Migrator, Side, Step, TenantSetting, Verification, transition};

impl Migrator {
    /// The comparison of the two stores of a tenant's migration, as its setting is now.
    ///
    /// # Errors
    /// `Conflict`, whose source is [`Refused`](crate::Refused), where the tenant is in no phase in which a comparison says
    /// anything (verifying, ready, cut over); `Config` where this process was not given both stores; the settings store's.
    pub async fn verifier(&self, tenant: &TenantId, config: VerifyConfig) -> Result<Verifier> {
        let known = self.settings().read(tenant).await?;
        self.verifier_of(tenant, &known.setting, config)
    }

    /// Compares the two stores of a tenant's migration, and sets what that said as evidence for the gate. The report is
    /// the answer's, whatever it says.
    ///
    /// Both stores are [observed](Self::observe) before and behind it, so that one which went back in time meanwhile is
    /// noticed.
    ///
    /// Tombstones come by no lane. Where those of the two sides differ, each side's are brought to the other behind the
    /// comparison, so that an erasure whose caller died in its midst is a difference once, and not for ever. The
    /// authority's side lacks one where it was not the authority yet. What was begun so is done, as a second call would
    /// have done it: what the customer recorded up to then is erased as well.
    ///
    /// # Errors
    /// As for [`verifier`](Self::verifier) and [`change`](Self::change); `Unavailable`, transient and not applied, where
    /// the authority moved, or the backfill began again, while the stores were compared: what was read is no evidence of how
    /// they are now.
    ///
    /// # Dropped futures
    /// Nothing was set, or all of it.
    pub async fn verify(&self, tenant: &TenantId, config: VerifyConfig) -> Result<(VerifyReport, Known)> {
        let verifier = self.verifier(tenant, config).await?;
        self.verify_with(tenant, verifier).await
    }

    /// [`verify`](Self::verify) by a comparison that the caller has given more to, such as whom to tell of its progress. What
    /// is compared is what the tenant's setting names now, whatever it was made of.
    ///
    /// # Errors
    /// As for [`verify`](Self::verify).
    ///
    /// # Dropped futures
    /// As for [`verify`](Self::verify).
    pub async fn verify_with(&self, tenant: &TenantId, verifier: Verifier) -> Result<(VerifyReport, Known)> {
        let before = self.observed(tenant).await?;
        // Of the setting as it is now, whatever the caller's was made of: the tenant, the stores, the authority.
        let Verifier {
            config,
            progress,
            archive,
            ..
        } = verifier;
        let verifier = Verifier {
            progress,
            archive,
            ..self.verifier_of(tenant, &before.setting, config)?
        };
        let [source, target] = &verifier.stores;
        let (authority, other) = match verifier.authority {
            Side::Source => (source, target),
            Side::Target => (target, source),
        };
        let report = verifier.run().await?;
        let is_of_this = |now: &TenantSetting| is_same_attempt(&before.setting, now);
        let of_this = only_of(
            is_of_this,
            "the migration has moved on while its stores were compared",
        );
        of_this(&self.observed(tenant).await?.setting)?;
        let verification = report.evidence();
        let step = Step::Verified { verification };
        let known = self
            .note_where(tenant, step, "a comparison of the stores", of_this)
            .await?;
        if report.of(Kind::Tombstones).is_some_and(differs) {
            let brought = async {
                bring_tombstones(tenant, authority.as_ref(), other.as_ref()).await?;
                bring_tombstones(tenant, other.as_ref(), authority.as_ref()).await
            };
            let brought = brought.await;
            // The evidence says already that they differ, and the next comparison tries again.
            let outcome = if brought.is_ok() { "done" } else { "failed" };
            metrics::counter!(
                "kaireon.switch.tombstones_brought",
                "tenant" => tenant.to_string(),
                "outcome" => outcome
            )
            .increment(1);
        }
        Ok((report, known))
    }

    fn verifier_of(
        &self,
        tenant: &TenantId,
        setting: &TenantSetting,
        config: VerifyConfig,
    ) -> Result<Verifier> {
        let verification = Verification::at(self.clock().now());
        // Refused now rather than when everything was read.
        transition(
            setting,
            &Change::new(
                Step::Verified { verification },
                AUTHOR,
                "a comparison that is to begin",
                self.clock().now(),
            )?,
        )?;
        let none = || Error::new(ErrorKind::Internal, "a setting of this phase has no migration");
        let migration = setting.under_way().ok_or_else(none)?;
        let store = |side| -> Result<Arc<dyn InteractionStore>> {
            Ok(Arc::clone(self.stores().get(migration.store(side))?))
        };
        let authority = setting.authority_side().ok_or_else(none)?;
        let verifier = Verifier::new(
            tenant.clone(),
            store(Side::Source)?,
            store(Side::Target)?,
            authority,
        );
        Ok(verifier.with_config(config).with_clock(Arc::clone(self.clock())))
    }

    /// A setting, once both stores were looked at where there is something to compare them with.
    async fn observed(&self, tenant: &TenantId) -> Result<Known> {
        let known = self.settings().read(tenant).await?;
        let has_marks = known
            .setting
            .under_way()
            .is_some_and(|migration| migration.in_force.is_some());
        match has_marks {
            true => self.observe(tenant).await,
            false => Ok(known),
        }
    }
}

fn differs(tombstones: &KindReport) -> bool {
    tombstones.missing + tombstones.extra + tombstones.different > 0
}

/// Installs the tombstones of one store on another: those that are there already change nothing.
async fn bring_tombstones(
    tenant: &TenantId,
    from: &dyn InteractionStore,
    to: &dyn InteractionStore,
) -> Result<()> {
    let mut query = TombstoneQuery::new(tenant.clone());
    loop {
        let page = from.tombstones(query.clone()).await?;
        if !page.items.is_empty() {
            to.install_tombstones(tenant, page.items).await?;
        }
        match page.next {
            Some(next) => query.cursor = Some(next),
            None => return Ok(()),
        }
    }
}

/// Whether what was read under the one setting says anything under the other.
fn is_same_attempt(before: &TenantSetting, behind: &TenantSetting) -> bool {
    let of = |setting: &TenantSetting| {
        let migration = setting.under_way()?;
        Some((migration.started_at, migration.evidence.backfill))
    };
    before.epoch == behind.epoch && of(before) == of(behind)
}

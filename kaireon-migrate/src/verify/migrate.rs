//! A comparison as evidence of a migration.

use std::sync::Arc;

use kaireon_core::{Error, ErrorKind, InteractionStore, Result, TenantId};

use super::{Verifier, VerifyConfig, VerifyReport};
use crate::migrator::{AUTHOR, moved_on};
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
        let Verifier { config, progress, .. } = verifier;
        let verifier = Verifier {
            progress,
            ..self.verifier_of(tenant, &before.setting, config)?
        };
        let report = verifier.run().await?;
        let of_this = |now: &TenantSetting| match is_same_attempt(&before.setting, now) {
            true => Ok(()),
            false => Err(moved_on(
                "the migration has moved on while its stores were compared",
            )),
        };
        of_this(&self.observed(tenant).await?.setting)?;
        let verification = report.evidence();
        let step = Step::Verified { verification };
        let known = self
            .note_where(tenant, step, "a comparison of the stores", of_this)
            .await?;
        Ok((report, known))
    }

    fn verifier_of(
        &self,
        tenant: &TenantId,
        setting: &TenantSetting,
        config: VerifyConfig,
    ) -> Result<Verifier> {
        let verification = Verification {
            at: self.clock().now(),
            equal: 0,
            missing: 0,
            extra: 0,
            different: 0,
            not_compared: 0,
        };
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

/// Whether what was read under the one setting says anything under the other.
fn is_same_attempt(before: &TenantSetting, behind: &TenantSetting) -> bool {
    let of = |setting: &TenantSetting| {
        let migration = setting.under_way()?;
        Some((migration.started_at, migration.evidence.backfill))
    };
    before.epoch == behind.epoch && of(before) == of(behind)
}

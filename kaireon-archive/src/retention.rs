//! Retention: a tenant's store is purged of what the archive is shown to hold.

mod fold;
mod verify;

use std::time::Duration;

pub use verify::Verified;

use kaireon_core::store::{Purge, PurgeReceipt};
use kaireon_core::time::Timestamp;
use kaireon_core::{ErrorKind, Result, TenantId};
use serde::{Deserialize, Serialize};

use crate::archive::Archive;
use crate::error::named;
use crate::export::Exporter;
use crate::layout::TenantPaths;
use crate::manifest::{change_json, read_json};
use crate::{Day, Kind};

const DAY: Duration = Duration::from_secs(86_400);

/// How long what is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetentionPolicy {
    /// How long a store keeps interactions and decisions, by their timestamps; 730 days by default. The archive keeps
    /// them on.
    pub history: Duration,
    /// How long the archive keeps the summaries of purged days; 2,555 days by default. A store's own summaries are not
    /// purged.
    pub summaries: Duration,
}

impl Default for RetentionPolicy {
    fn default() -> Self {
        Self {
            history: 730 * DAY,
            summaries: 2_555 * DAY,
        }
    }
}

/// What a run of retention did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetentionReport {
    /// Whole days before this were to go.
    pub before: Timestamp,
    /// Rows that were to go and were looked for in the archive.
    pub looked_for: u64,
    /// Rows among them that no verified object holds. When there are any, nothing is purged.
    pub missing: u64,
    /// What the store removed; none where something was missing.
    pub purged: Option<PurgeReceipt>,
    /// Days whose summaries were archived by this run.
    pub summarised_days: u64,
    /// Days of archived summaries that were removed, because they were too old.
    pub summaries_removed: u64,
}

/// How far a tenant's purged days are summarised.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RetentionState {
    /// Rows before this were purged; their summaries are archived or still to be.
    pub(crate) purged_before: Option<Timestamp>,
    /// The last day whose summaries are all there.
    pub(crate) summarised: Option<Day>,
    /// Into how many slices of its customers the day after it is divided.
    pub(crate) slices: Option<u32>,
    /// Slices of the day after it that are there.
    pub(crate) slices_done: u32,
}

impl Exporter {
    /// Purges a tenant's store of the whole days that are older than the policy allows, after it has exported the lane
    /// and has found every row that is to go in the archive, in an object whose checksum is right. The summaries of
    /// what went are archived as well, day by day. Safe to interrupt: the next run goes on.
    ///
    /// **Cost.** The tenant's store is scanned once, and the archived days that go are read; 32 bytes of memory a row
    /// for at most 250,000 rows at a time.
    ///
    /// # Errors
    /// `Config` when the tenant's first run has not ended, or the archive lane is not in force; `Unavailable` when the
    /// lane could not be emptied; `Corrupt` when an object of those days is not what was written; those of the store
    /// and of the object store. Nothing was purged then.
    pub async fn retain(&self, tenant: &TenantId, policy: &RetentionPolicy) -> Result<RetentionReport> {
        let now = self.archive().clock().now();
        let before = Day::containing(now - policy.history).start();
        self.check_exported(tenant).await?;
        let verified = self.verify(tenant, before).await?;
        let mut report = RetentionReport {
            before,
            looked_for: verified.looked_for,
            missing: verified.missing,
            purged: None,
            summarised_days: 0,
            summaries_removed: 0,
        };
        metrics::gauge!("kaireon.archive.missing").set(as_gauge(verified.missing));
        if verified.missing == 0 {
            let path = TenantPaths::new(tenant).retention();
            // Noted first: what is purged and not yet summarised is found by the next run.
            change_json(self.archive().place(), &path, |state: Option<RetentionState>| {
                let mut state = state.unwrap_or_default();
                state.purged_before = state.purged_before.max(Some(before));
                Ok(Some(state))
            })
            .await?;
            let purge = Purge {
                tenant: tenant.clone(),
                before,
            };
            report.purged = Some(self.store().purge_before(purge).await?);
            // What came between the look and the purge is in the lane; nothing comes any more.
            self.check_exported(tenant).await?;
        }
        report.summarised_days = self.summarise(tenant).await?;
        let oldest = Day::containing(now - policy.summaries);
        report.summaries_removed = self.archive().remove_summaries(tenant, oldest).await?;
        Ok(report)
    }

    async fn check_exported(&self, tenant: &TenantId) -> Result<()> {
        let fault = |kind, context| named(kaireon_core::Error::new(kind, context), "retain");
        if !self.lane_in_force(tenant).await? {
            return Err(fault(ErrorKind::Config, "the archive lane is not in force"));
        }
        if self
            .state(tenant)
            .await?
            .scan
            .is_none_or(|scan| scan.ended.is_none())
        {
            return Err(fault(
                ErrorKind::Config,
                "the tenant's first export has not ended",
            ));
        }
        let exported = self.export_once().await?;
        if let Some(error) = exported.failed.get(tenant) {
            return Err(error.clone());
        }
        if !exported.complete || exported.waiting.contains(tenant) {
            return Err(fault(
                ErrorKind::Unavailable,
                "the archive lane could not be emptied",
            ));
        }
        Ok(())
    }
}

impl Archive {
    /// Up to where [`Exporter::retain`] has purged the tenant's store, or is about to; `None` where it never has. What lies
    /// before it is in the archive still, and in the store's summaries.
    ///
    /// # Errors
    /// As every operation of the object store; `Corrupt` when what is kept of it is not what was written.
    ///
    /// # Dropped futures
    /// Nothing is left behind.
    pub async fn purged_before(&self, tenant: &TenantId) -> Result<Option<Timestamp>> {
        Ok(self.retention_state(tenant).await?.purged_before)
    }

    pub(crate) async fn retention_state(&self, tenant: &TenantId) -> Result<RetentionState> {
        let found = read_json(self.place(), &TenantPaths::new(tenant).retention()).await?;
        Ok(found.map(|(state, _)| state).unwrap_or_default())
    }

    /// Removes archived summaries of days before one: the objects first, so that what is interrupted is found again.
    async fn remove_summaries(&self, tenant: &TenantId, before: Day) -> Result<u64> {
        let mut removed = 0;
        let paths = TenantPaths::new(tenant);
        for day in self.partitions(tenant, Kind::Summaries).await? {
            if day >= before {
                continue;
            }
            for entry in self.objects(tenant, Kind::Summaries, day).await? {
                self.place()
                    .delete(&paths.object(Kind::Summaries, day, &entry.name))
                    .await?;
                self.place()
                    .delete(&paths.filter(Kind::Summaries, day, &entry.name))
                    .await?;
            }
            self.place().delete(&paths.manifest(Kind::Summaries, day)).await?;
            removed += 1;
        }
        Ok(removed)
    }
}

#[allow(clippy::cast_precision_loss, reason = "a gauge is a float")]
fn as_gauge(count: u64) -> f64 {
    count as f64
}

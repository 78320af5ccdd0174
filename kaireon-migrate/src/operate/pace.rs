//! Pausing, resuming and throttling a backfill.

use std::num::NonZeroU32;
use std::time::Duration;

use kaireon_core::{Result, TenantId};
use serde::Serialize;

use super::Operator;
use crate::{BackfillProgress, Drive, Pace};

/// What becomes of a bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Set<T> {
    /// It stays as it is.
    #[default]
    Leave,
    /// It is taken away.
    Off,
    /// It is set.
    To(T),
}

impl<T> Set<T> {
    fn over(self, present: Option<T>) -> Option<T> {
        match self {
            Self::Leave => present,
            Self::Off => None,
            Self::To(bound) => Some(bound),
        }
    }
}

/// Bounds of a backfill; those that are left out stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Throttling {
    /// How many rows a second are written.
    pub max_rows_per_second: Set<NonZeroU32>,
    /// How long a write to the target may take before the backfill makes room.
    pub target_latency: Set<Duration>,
}

/// How fast a backfill may go from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PaceReport {
    /// Whose.
    pub tenant: TenantId,
    /// The pace that is set. Whoever runs the backfill goes by it within a second or so, and whoever runs it later.
    pub pace: Pace,
    /// How far it has come; none where none was run.
    pub progress: Option<BackfillProgress>,
}

impl Operator {
    /// Lets a tenant's backfill stand still, whichever process runs it, and whichever runs it later.
    ///
    /// # Errors
    /// `Config` without an archive; those of [`Backfiller::pause`](crate::Backfiller::pause).
    ///
    /// # Dropped futures
    /// It was set or not.
    pub async fn pause(&self, tenant: &TenantId) -> Result<PaceReport> {
        self.pace(tenant, |pace| pace.drive = Drive::Paused).await
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// As for [`pause`](Self::pause).
    ///
    /// # Dropped futures
    /// As for [`pause`](Self::pause).
    pub async fn resume(&self, tenant: &TenantId) -> Result<PaceReport> {
        self.pace(tenant, |pace| pace.drive = Drive::Running).await
    }

    /// Bounds it, or takes its bounds away.
    ///
    /// # Errors
    /// As for [`pause`](Self::pause).
    ///
    /// # Dropped futures
    /// As for [`pause`](Self::pause).
    pub async fn throttle(&self, tenant: &TenantId, throttling: Throttling) -> Result<PaceReport> {
        let Throttling {
            max_rows_per_second,
            target_latency,
        } = throttling;
        self.pace(tenant, |pace| {
            pace.max_rows_per_second = max_rows_per_second.over(pace.max_rows_per_second);
            pace.target_latency = target_latency.over(pace.target_latency);
        })
        .await
    }

    async fn pace(&self, tenant: &TenantId, edit: impl Fn(&mut Pace) + Send + Sync) -> Result<PaceReport> {
        let backfiller = self.backfiller()?;
        backfiller
            .change_pace(tenant, |mut pace| {
                edit(&mut pace);
                pace
            })
            .await?;
        Ok(PaceReport {
            tenant: tenant.clone(),
            pace: backfiller.pace(tenant).await?,
            progress: backfiller.progress(tenant).await?,
        })
    }
}

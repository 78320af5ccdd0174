//! Tenants' settings in a settings store: read, and changed by whoever comes first.

use std::sync::Arc;

use kaireon_core::settings::{SettingVersion, SettingWrite, Swapped, TrailQuery};
use kaireon_core::{Effect, Error, ErrorKind, Result, SettingsStore, TenantId};

use crate::{Change, TenantSetting, transition};

/// Among how many of a tenant's last changes one that is asked for again is looked for.
const RECOGNISED: u32 = 100;

/// How often a change is made anew over what others set meanwhile.
const TRIES: u32 = 64;

/// A setting, and the version it was read or set under; version 0 where the tenant has none of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Known {
    /// Its version.
    pub version: SettingVersion,
    /// What it says.
    pub setting: TenantSetting,
}

/// Tenants' settings in a settings store.
///
/// ```
/// use std::sync::Arc;
/// use kaireon_core::TenantId;
/// use kaireon_core::memory::MemorySettings;
/// use kaireon_core::outbox::LaneSet;
/// use kaireon_core::time::{Clock, SystemClock};
/// use kaireon_migrate::{Backend, Change, DualWrite, Phase, Policy, Settings, Step, TenantSetting};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> kaireon_core::Result<()> {
/// let first = TenantSetting::single(Backend::new("embedded")?, LaneSet::NONE);
/// let settings = Settings::new(Arc::new(MemorySettings::new()), first);
/// let tenant = TenantId::new("acme")?;
/// let target = Backend::new("postgresql")?;
/// let start = Step::Start { target, dual_write: DualWrite::Async, policy: Policy::default() };
/// let change = Change::new(start, "ops@example.com", "CHG-1207", SystemClock.now())?;
/// let changed = settings.change(&tenant, &change).await?;
/// assert_eq!(changed.setting.phase, Phase::DualWrite);
/// // The same change again is the same change.
/// assert_eq!(settings.change(&tenant, &change).await?, changed);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Settings {
    store: Arc<dyn SettingsStore>,
    first: TenantSetting,
}

impl Settings {
    /// Settings in this store; a tenant without one has `first`.
    #[must_use]
    pub fn new(store: Arc<dyn SettingsStore>, first: TenantSetting) -> Self {
        Self { store, first }
    }

    /// A tenant's setting as it is.
    ///
    /// # Errors
    /// Those of the store; `Corrupt` or `Config` where what it holds is no setting of this version.
    ///
    /// # Dropped futures
    /// Nothing is left behind.
    pub async fn read(&self, tenant: &TenantId) -> Result<Known> {
        let Some(found) = self.store.setting(tenant).await? else {
            return Ok(Known {
                version: SettingVersion::NONE,
                setting: self.first.clone(),
            });
        };
        Ok(Known {
            version: found.version,
            setting: TenantSetting::from_json(&found.document)?,
        })
    }

    /// How many changes were ever made, of all tenants: one cheap read that tells whether anything changed.
    ///
    /// # Errors
    /// Those of the store.
    ///
    /// # Dropped futures
    /// Nothing is left behind.
    pub async fn changes(&self) -> Result<u64> {
        self.store.changes().await
    }

    /// Makes a change, over whatever others set meanwhile; returns the setting as it is then.
    ///
    /// A change that was made is not made again ([`Change::id`]), so one whose answer was lost is asked for again as it
    /// is; it is recognised among the tenant's last 100.
    ///
    /// # Errors
    /// `Conflict`, whose source is [`Refused`](crate::Refused), where something is missing; `Unavailable`, transient and
    /// not applied, where others changed the setting all the time; those of the store. Where the effect is unknown, ask
    /// again.
    ///
    /// # Dropped futures
    /// It was made wholly or not at all.
    pub async fn change(&self, tenant: &TenantId, change: &Change) -> Result<Known> {
        self.change_where(tenant, change, |_| Ok(())).await
    }

    /// The same, where the tenant still [stands as](TenantSetting::stands_as) it was seen: of several who decide by what they
    /// saw, one is first, and the others decide anew.
    ///
    /// # Errors
    /// As for [`change`](Self::change); `Conflict` without a source, not applied, where it does not.
    ///
    /// # Dropped futures
    /// As for [`change`](Self::change).
    pub async fn change_while(
        &self,
        tenant: &TenantId,
        change: &Change,
        seen: &TenantSetting,
    ) -> Result<Known> {
        let holds = |now: &TenantSetting| match now.stands_as(seen) {
            true => Ok(()),
            false => {
                let context = "the tenant's setting was changed by another meanwhile";
                Err(Error::new(ErrorKind::Conflict, context).with_effect(Effect::NotApplied))
            }
        };
        self.change_where(tenant, change, holds).await
    }

    /// The same, of a setting of which something holds.
    pub(crate) async fn change_where(
        &self,
        tenant: &TenantId,
        change: &Change,
        holds: impl Fn(&TenantSetting) -> Result<()> + Send,
    ) -> Result<Known> {
        for _ in 0..TRIES {
            let known = self.read(tenant).await?;
            if self.was_made(tenant, change, &known).await? {
                return Ok(known);
            }
            holds(&known.setting)?;
            let next = transition(&known.setting, change)?;
            let write = SettingWrite {
                id: change.id.clone(),
                ..SettingWrite::new(
                    tenant.clone(),
                    known.version,
                    next.to_json()?,
                    change.author.clone(),
                    change.reason.clone(),
                    change.at,
                )
            };
            if let Swapped::Done(version) = self.store.swap(write).await? {
                return Ok(Known {
                    version,
                    setting: next,
                });
            }
        }
        let context = "others changed the tenant's setting all the time";
        Err(Error::new(ErrorKind::Unavailable, context).with_effect(Effect::NotApplied))
    }

    async fn was_made(&self, tenant: &TenantId, change: &Change, known: &Known) -> Result<bool> {
        let last = known.setting.last.as_ref();
        if last.is_some_and(|last| last.change.id == change.id) {
            return Ok(true);
        }
        if known.version <= SettingVersion(1) {
            return Ok(false);
        }
        let query = TrailQuery {
            limit: RECOGNISED,
            ..TrailQuery::new(tenant.clone())
        };
        let trail = self.store.trail(query).await?;
        Ok(trail.items.iter().any(|entry| entry.id == change.id))
    }
}

//! The tenant switch: each tenant on one of several stores, and moved between them while it is used.
//!
//! `KAIREON_SWITCH_STORES` names the stores. [`Infra::store`] is then a
//! [`SwitchStore`] over them, behind the usual wrappers, and
//! [`Infra::tenant_switch`] gives what moves tenants. A host runs, for each store, a relay of
//! the `publish` lane and one of the `replicate` lane. A process that only moves tenants [opens](open) the switch alone.
//!
//! ```
//! use kaireon::Config;
//! use kaireon::core::{Interaction, TenantId};
//! use kaireon::migrate::{Asked, Backend, Start};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> kaireon::core::Result<()> {
//! let infra = Config::default()
//!     .with_interaction_store("memory")
//!     .with_variable("KAIREON_SWITCH_STORES", "memory, shop")
//!     .with_variable("KAIREON_SETTINGS_STORE", "memory")
//!     .with_variable("KAIREON_MASTER_KEY", "07".repeat(32)); // the same on every store
//! # use kaireon::core::memory::{MemoryOptions, MemoryPlace};
//! # let key = kaireon::core::digest::MasterKey::new([7; 32]);
//! let infra = kaireon::Infra::builder()
//!     .config(infra)
//!     .register_store("shop", move |_| {
//!         let options = MemoryOptions::default().with_master_key(key.clone());
//!         async { Ok(MemoryPlace::new(options).open()) }
//!     })
//!     .build()
//!     .await?;
//! let shown = Interaction::builder("acme", "c7").offer("shoes").creative("banner").channel("web").build()?;
//! infra.store().record_event(shown).await?;
//!
//! let operator = infra.tenant_switch().expect("a switch is configured").operator();
//! let asked = Asked::by("ops@example.com", "CHG-1207");
//! let acme = TenantId::new("acme")?;
//! operator.start(&acme, Start::to(Backend::new("shop")?), &asked).await?;
//! println!("next: {}", operator.status(&acme).await?.next);
//! # Ok(()) }
//! ```
//!
//! # Settings
//!
//! Which store decides for a tenant, and how far a move has come, is a document that all processes share. It is neither
//! side's: a store that is away, is restored or is given up must not take with it the word on who may write. Where it is
//! away itself, processes go on by what they know until a store's fence refuses them; a tenant that a process has not met
//! yet, and every move, wait for it. `postgresql` settings lie in a schema of their own (`{KAIREON_PG_SCHEMA}_settings`), on
//! the database of `KAIREON_SETTINGS_URL`; without that on `DATABASE_URL`, where they are away together with that store,
//! which is good enough as long as nothing can be done without that store anyway. `embedded` settings are files in the data
//! directory, of one process.
//!
//! # Lanes and events
//!
//! A tenant that was never moved follows its store's lanes, so that its events are written while somebody subscribes. From
//! the start of its first move the lanes are its own, for good: `publish`, unless the stream is disabled, `archive` where there
//! is an archive (so export it from time to time: [`Operator::export`]), and `replicate`
//! while there is another side. A subscriber is told of every tenant, on whichever store it is, and of a tenant that moves
//! in its order. While nobody subscribes to an in-process stream, what such tenants record expires at once, so that
//! the move of a tenant, which waits until its old store has told everything, does not wait for a subscriber. On a store that
//! other processes share, it does so once nobody was seen to read it for [`Config::leftovers_wait`]. Hosts do that while
//! they run: what the last one left waits for the next, and until then a move is not taken.

mod absent;
mod archive;
mod assemble;

use std::fmt;
use std::sync::Arc;

use kaireon_archive::Archive;
use kaireon_core::{Result, SettingsStore};
use kaireon_migrate::{Backend, Migrator, Operator, Settings, Stores, SwitchStore};

pub(crate) use self::archive::ArchivePlace;
pub(crate) use self::assemble::{assemble, open_alone};
use crate::{Config, Infra};

/// What moves tenants between stores. A clone is the same switch.
#[derive(Clone)]
pub struct TenantSwitch(Arc<Inner>);

struct Inner {
    switch: SwitchStore,
    settings: Arc<dyn SettingsStore>,
    archive: Option<Archive>,
    default: Backend,
}

impl fmt::Debug for TenantSwitch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantSwitch")
            .field("switch", &self.0.switch)
            .field("archive", &self.0.archive)
            .field("default", &self.0.default)
            .finish_non_exhaustive()
    }
}

/// Opens the switch that a configuration names, alone: for an operator's process beside the hosts. It runs no relay, takes
/// no lane, and needs neither event stream nor search index nor cache.
///
/// A store that cannot be opened now does not keep the rest from being done: because its server is away, or because it is of
/// one process and another has it. Each call of that store then answers why (`Unavailable`, transient, not applied), and
/// what does not need it goes on: a status, or the pace of a backfill that another process runs. Open it again to
/// have the store.
///
/// With backends of the host's own: [`InfraBuilder::open_switch`](crate::InfraBuilder::open_switch).
///
/// # Errors
/// `Config` with everything that is wrong at once, a switch that is not configured among it (`KAIREON_SWITCH_STORES`), where
/// tables are missing, and where another process has settings in the data directory open; otherwise what a store that is
/// there, the settings or the archive answer.
///
/// # Dropped futures
/// What was opened is let go.
pub async fn open(config: &Config) -> Result<TenantSwitch> {
    Infra::builder().config(config.clone()).open_switch().await
}

impl TenantSwitch {
    /// The stores that tenants may be on.
    #[must_use]
    pub fn stores(&self) -> &Stores {
        self.0.switch.stores()
    }

    /// The tenants' settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        self.0.switch.settings()
    }

    /// Where the settings are kept: with everything that they ever were, of every tenant.
    #[must_use]
    pub fn settings_store(&self) -> &Arc<dyn SettingsStore> {
        &self.0.settings
    }

    /// The store over the stores, without the wrappers that [`Infra::store`] has. Events of the host's own go through its
    /// [`append`](SwitchStore::append), because it has no outbox of its own.
    #[must_use]
    pub fn switch_store(&self) -> &SwitchStore {
        &self.0.switch
    }

    /// The archive, where `KAIREON_ARCHIVE_URL` names one.
    #[must_use]
    pub fn archive(&self) -> Option<&Archive> {
        self.0.archive.as_ref()
    }

    /// The functions of whoever moves a tenant. They work beside hosts, in any number of processes.
    #[must_use]
    pub fn operator(&self) -> Operator {
        Operator::new(self.0.switch.clone(), self.0.archive.clone())
    }

    /// What carries single steps out.
    #[must_use]
    pub fn migrator(&self) -> Migrator {
        Migrator::new(self.0.switch.clone())
    }

    /// The names of the stores that a tenant may be moved to, by name.
    pub fn allowed(&self) -> impl Iterator<Item = &Backend> {
        self.stores().iter().map(|(name, _)| name)
    }

    /// The store of a tenant that has no setting.
    #[must_use]
    pub fn default_backend(&self) -> &Backend {
        &self.0.default
    }

    /// Lets go of the stores and of the settings. For a switch that was [opened](open) alone: that of an [`Infra`] ends with it.
    ///
    /// # Errors
    /// The first of what a store or the settings answer; the others are let go of all the same.
    ///
    /// # Dropped futures
    /// A second call goes on.
    pub async fn disconnect(&self) -> Result<()> {
        use kaireon_core::InteractionStore;

        let stores = self.0.switch.disconnect().await;
        stores.and(self.0.settings.disconnect().await)
    }
}

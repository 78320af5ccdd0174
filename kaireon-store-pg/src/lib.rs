//! The PostgreSQL interaction store of kaireon, for PostgreSQL 15 and newer, direct or behind a pooler.
//!
//! It has every operation of the contract, outbox included, in a schema of its own, so that it can live in the
//! platform's database.
//!
//! ```no_run
//! use kaireon_core::{Interaction, InteractionStore};
//! use kaireon_store_pg::{PgStore, PgStoreConfig};
//!
//! # async fn example() -> kaireon_core::Result<()> {
//! let config = PgStoreConfig::from_env()?;
//! PgStore::migrate(&config).await?;
//! let store = PgStore::connect(config).await?;
//! let shown = Interaction::builder("acme", "customer-7")
//!     .offer("winter-shoes")
//!     .creative("banner-2")
//!     .channel("web")
//!     .build()?;
//! assert!(store.record_event(shown.clone()).await?.is_new());
//! assert!(!store.record_event(shown).await?.is_new());
//! store.disconnect().await?;
//! # Ok(()) }
//! ```
//!
//! # What it promises
//! - **Durable on `Ok`**: `synchronous_commit` is raised to `on` for the store's transactions where it is off; a server
//!   without `fsync` or `full_page_writes` is declared volatile, with the reason.
//! - **Concurrent calls share commits**: a batch is one transaction of five round trips, whatever its size. It waits for
//!   no customer whom another transaction holds: their records wait aside, everybody else's go on.
//! - **Errors**: a connection that breaks at the commit is `Unavailable` with effect unknown, and the retry under the
//!   same key gives the exact answer; whatever fails before is not applied. A call that had committed a part of what it
//!   does (an erasure, a purge) is unknown too, and goes on when it is called again. A used-up pool is `RateLimited`.
//!   Units that the server gives up for a serialization failure or a deadlock are run again inside; a host's own
//!   transaction is the host's to run again.
//! - **Every wait has an end**: a server that answers no more, a lock that is held, a pool that is used up are told to the
//!   caller in the time that `statement_timeout`, `acquire_timeout` and `write_wait` say, and the store goes on.
//! - **Tenants never meet**, also in a process that knows their numbers from a database that was since restored or failed
//!   over: numbers are compared with names where they are used.
//! - **Dropped futures**: a write that is still queued is withdrawn, one in a commit is committed.
//! - **Hosts** may record in transactions of their own, [`PgStore::record_in`], and wake the relays after their commit,
//!   [`PgStore::wake`].
//! - **Relays** of any number of processes share a lane of the outbox, in order per customer, if they deliver to one
//!   destination; decisions 0006 and 0008 say how.
//!
//! [`PgSettings`] keeps the settings of a tenant switch, in a schema of its own, for any number of processes.
//!
//! Readable rows for people who use SQL are in `history_…` (a partition per month), `customers` and `decisions`;
//! `history.customer` is `customers.id`. How it is laid out, and what was measured:
//! `docs/decisions/0005-postgresql-store.md`.

mod again;
mod client;
mod config;
mod erase;
mod error;
mod fence;
mod handle;
mod measure;
mod migrations;
mod open;
mod options;
mod outbox;
mod partitions;
mod payload;
mod purge;
mod read;
mod settings;
mod shared;
mod signals;
mod sql;
mod store;
mod sweeper;
mod write;

pub use config::PgStoreConfig;
// `kaireon-connect` promises no stability; what of it is a part of this crate's API is named, and kept, here.
pub use kaireon_connect::postgres::{
    MigrationReport, PgConnectConfig, PlannedMigration, PoolerMode, TlsMode,
};
pub use options::PgStoreOptions;
pub use settings::{PgSettings, PgSettingsConfig};
pub use store::PgStore;

/// The backend's name, as its configuration value.
pub(crate) const BACKEND: &str = "postgresql";

//! The embedded interaction store of kaireon: a directory, on the LSM engine [fjall](https://docs.rs/fjall).
//!
//! It needs no server and has every operation of the contract, outbox included. One process opens a directory at a
//! time. What is acknowledged is on disk: concurrent writes share one flush.
//!
//! ```
//! use kaireon_core::{Interaction, InteractionStore};
//! use kaireon_store_embedded::{EmbeddedConfig, EmbeddedStore};
//!
//! # let dir = tempfile::tempdir().unwrap();
//! # let directory = dir.path().join("data");
//! # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
//! # runtime.block_on(async {
//! let store = EmbeddedStore::open(EmbeddedConfig::at(directory)).await?;
//! let shown = Interaction::builder("acme", "customer-7")
//!     .offer("winter-shoes")
//!     .creative("banner-2")
//!     .channel("web")
//!     .build()?;
//! assert!(store.record_event(shown.clone()).await?.is_new());
//! assert!(!store.record_event(shown).await?.is_new());
//! store.disconnect().await?;
//! # Ok::<(), kaireon_core::Error>(())
//! # }).unwrap();
//! ```
//!
//! # What it promises
//! - **Durable on `Ok`**: the commit was flushed with `fdatasync`. A commit that a crash tore is cut off at the next
//!   opening, and reported ([`EmbeddedStore::recovery`]); damage before other commits is an error. In a directory on a
//!   file system in memory (tmpfs, ramfs; looked up on Linux) nothing outlives the machine: the capabilities say
//!   `Volatile` there, and everything else holds.
//! - **A full disk** is `StorageFull` to those who write; reads go on, and when space returns the store opens its
//!   files anew and works with all that it acknowledged.
//! - **Dropped futures**: a write that is still queued is withdrawn, one in a commit is committed; its retry under the
//!   same key gives the exact answer.
//! - **Blocking work** runs on the runtime's blocking pool and on one thread of the store's own.
//!
//! [`FileSettings`] keeps the settings of a tenant switch, in a directory of its own, for one process.
//!
//! How it is laid out on disk: `docs/decisions/0003-embedded-store-layout.md`.

mod client;
mod codec;
mod config;
mod error;
mod folds;
mod hot;
mod journal;
mod keys;
mod leases;
mod maintain;
mod medium;
mod open;
mod outbox;
mod place;
mod read;
mod seen;
mod settings;
mod shared;
mod signals;
mod store;
mod writer;

pub use config::EmbeddedConfig;
pub use settings::FileSettings;
pub use store::{EmbeddedStore, Recovery};

/// The backend's name, as its configuration value.
pub(crate) const BACKEND: &str = "embedded";

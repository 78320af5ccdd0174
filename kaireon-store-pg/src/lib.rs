//! The PostgreSQL interaction store of kaireon, for PostgreSQL 15 and newer.

mod client;
mod config;
mod erase;
mod error;
mod fence;
mod migrations;
mod open;
mod options;
mod outbox;
mod partitions;
mod payload;
mod purge;
mod read;
mod shared;
mod sql;
mod store;
mod write;

pub use config::PgStoreConfig;
pub use options::PgStoreOptions;
pub use store::PgStore;

/// The backend's name, as its configuration value.
pub(crate) const BACKEND: &str = "postgresql";

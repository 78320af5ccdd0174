//! PostgreSQL 15 and newer, by [sqlx](https://docs.rs/sqlx).
//!
//! ```no_run
//! use kaireon_connect::postgres::{PgClient, PgConnectConfig, Phase};
//!
//! # async fn example() -> kaireon_core::Result<()> {
//! let client = PgClient::connect(PgConnectConfig::from_env()?).await?;
//! let mut unit = client.begin().await?;
//! let one = unit
//!     .fetch_one(client.query("SELECT 1"))
//!     .await
//!     .map_err(client.fault(Phase::InTransaction))?;
//! client.commit(unit).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What lies between
//! A pooler in transaction mode gives each transaction whichever server connection is free. Whatever is left on a
//! connection (settings, prepared statements, listeners, session locks) is then met by somebody else, and a driver
//! that expects its own reads **wrong values without an error**. [`PgClient::connect`] therefore finds out what lies
//! between, and [`PgClient::session`] says what follows from it:
//!
//! | [`PgSession`] | found by | statements | settings |
//! |---|---|---|---|
//! | `Own` | a setting of the start-up packet arrived in the session | prepared and kept, anywhere | of the session |
//! | `Shared`, statements kept | the pooler gave our prepared statement a name of its own (PgBouncer ≥ 1.21 with `max_prepared_statements`) | prepared and kept, anywhere | `SET LOCAL` |
//! | `Shared`, statements not kept | neither | **only inside a transaction**, and not kept | `SET LOCAL` |
//!
//! [`PgClient::begin`] opens a transaction with the settings in force in one round trip, whatever lies between, and
//! [`PgClient::reader`] gives what reads may run on. Nothing here takes a session lock or relies on `search_path`.
//!
//! # What answers no more
//! No answer is waited for without end: a [`PgUnit`] bounds each statement's, its beginning and its commit,
//! [`PgClient::answered`] whatever else, a [`PgEar`] asks for a sign of life. A connection that was silent for too long
//! is closed; who gives one back does not wait for it, and the pool not for ever. Only without a `statement_timeout`
//! is there no bound, because then the server has none either.

mod answer;
mod client;
mod config;
mod ear;
mod fault;
mod mark;
mod migrate;
mod probe;
mod reader;
mod schema;
mod server;
mod session;
mod shelf;
mod sqlstate;
mod unit;
mod url;

pub use client::PgClient;
pub use config::{PgConnectConfig, PoolerMode, TlsMode};
pub use ear::PgEar;
pub use fault::{PgFault, Phase};
pub use migrate::{Migration, MigrationReport, MigrationStatus, Migrations, PlannedMigration};
pub use reader::PgReader;
pub use schema::Schema;
pub use server::ServerInfo;
pub use session::{PgSession, StatementMode};
pub use unit::PgUnit;

/// The backend's name, as its configuration value.
pub(crate) const BACKEND: &str = "postgresql";

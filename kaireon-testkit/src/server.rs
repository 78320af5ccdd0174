//! Servers of a test's own: to be killed, started again, filled up and thrown away.
//!
//! Suites share a server, in schemas of their own. What does something to the server itself needs one that nobody
//! else uses: it is made in a new folder, listens on a port of its own and is gone when it is dropped.
//!
//! ```no_run
//! use kaireon_testkit::server::{PostgresServer, Shutdown};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! // The folder of `initdb` and `postgres`, as `cargo xtask services up postgres` tells it.
//! let programs = std::env::var("KAIREON_TEST_PG_BINDIR").expect("set KAIREON_TEST_PG_BINDIR");
//! let mut server = PostgresServer::start(programs, &[("max_connections", "20")]).await?;
//! // … connect to server.url(), write …
//! server.stop(Shutdown::Kill).await?;
//! server.restart().await?;
//! // … what was acknowledged is there.
//! # Ok(())
//! # }
//! ```

mod disk;
mod owner;
mod postgres;
mod standby;

pub use disk::{Ballast, Disk, OnDisk};
pub use postgres::{PostgresServer, Shutdown};

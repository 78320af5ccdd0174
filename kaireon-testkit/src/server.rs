//! Servers of a test's own: to be killed, started again, filled up and thrown away.
//!
//! Suites share a server, in schemas of their own. What does something to the server itself needs one that nobody
//! else uses: it is made in a new folder, listens on a port of its own and is gone when it is dropped.
//!
//! ```no_run
//! # #[cfg(feature = "postgres-server")]
//! # mod example {
//! use kaireon_testkit::server::{PostgresServer, Shutdown};
//!
//! # async fn example() -> std::io::Result<()> {
//! // The folder of `initdb` and `postgres`, as `cargo xtask services up postgres` tells it.
//! let programs = std::env::var("KAIREON_TEST_PG_BINDIR").expect("set KAIREON_TEST_PG_BINDIR");
//! let mut server = PostgresServer::start(programs, &[("max_connections", "20")]).await?;
//! // … connect to server.url(), write …
//! server.stop(Shutdown::Kill).await?;
//! server.restart().await?;
//! // … what was acknowledged is there.
//! # Ok(())
//! # }
//! # }
//! ```

#[cfg(feature = "postgres-server")]
mod disk;
#[cfg(feature = "postgres-server")]
mod owner;
#[cfg(any(feature = "postgres-server", feature = "redis-server"))]
mod place;
#[cfg(feature = "postgres-server")]
mod postgres;
#[cfg(feature = "redis-server")]
mod redis;
#[cfg(feature = "redis-server")]
mod redis_group;
#[cfg(feature = "postgres-server")]
mod standby;

#[cfg(feature = "postgres-server")]
pub use disk::{Ballast, Disk, OnDisk};
#[cfg(feature = "postgres-server")]
pub use postgres::{PostgresServer, Shutdown};
#[cfg(feature = "redis-server")]
pub use redis::RedisServer;
#[cfg(feature = "redis-server")]
pub use redis_group::{RedisCluster, RedisSentinel};

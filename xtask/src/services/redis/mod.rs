//! Redis 7: one server with TLS and two kinds of user, a cluster, and a primary under Sentinel.
//!
//! | service | what | variables |
//! |---|---|---|
//! | `redis-bin` | programs for servers of a test's own | `KAIREON_TEST_REDIS_BINDIR` |
//! | `redis` | one server, with TLS | `KAIREON_TEST_REDIS_URL`, `…_RESTRICTED_URL`, `…_ADMIN_URL`, `…_TLS_URL`, `…_CA` |
//! | `redis-cluster` | three primaries with a replica each | `KAIREON_TEST_REDIS_CLUSTER_URL`, `…_ADMIN_URL` |
//! | `redis-sentinel` | a primary, a replica, three sentinels | `KAIREON_TEST_REDIS_SENTINEL_URL`, `…_ADMIN_URL` |

mod cluster;
mod node;
mod programs;
mod residue;
mod sentinel;
mod server;
mod url;
mod wire;

pub(super) use cluster::Cluster;
pub(super) use programs::PROGRAMS;
pub(super) use sentinel::Sentinel;
pub(super) use server::Server;

/// Where suites find the first server.
const URL: &str = "KAIREON_TEST_REDIS_URL";
/// Where a test finds `redis-server` for a server of its own.
const BINDIR: &str = "KAIREON_TEST_REDIS_BINDIR";

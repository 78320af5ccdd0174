//! PostgreSQL in two versions, and PgBouncer in two, before the first of them.
//!
//! | service | what | variables |
//! |---|---|---|
//! | `postgres-bin` | programs for servers of a test's own | `KAIREON_TEST_PG_BINDIR` |
//! | `postgres` | the distribution's, with TLS | `KAIREON_TEST_PG_URL`, `…_TLS_URL`, `…_CA`, `…_ADMIN_URL`, `…_BINDIR` |
//! | `postgres-18` | a later version, with pgvector | `KAIREON_TEST_PG18_URL`, `…_ADMIN_URL`, `…_BINDIR` |
//! | `pgbouncer` | the distribution's, in transaction mode | `KAIREON_TEST_PGBOUNCER_URL`, `…_ADMIN_URL` |
//! | `pgbouncer-new` | 1.21 or newer, tracking prepared statements | `KAIREON_TEST_PGBOUNCER_NEW_URL`, `…_ADMIN_URL` |

mod answer;
mod bouncer;
mod bouncer_new;
mod cluster;
mod programs;
mod psql;
mod schema;
mod second;
mod server;
mod url;

pub(super) use bouncer::Bouncer;
pub(super) use bouncer_new::NewBouncer;
pub(super) use programs::PROGRAMS;
pub(crate) use schema::PostgresSchema;
pub(super) use second::SecondServer;
pub(super) use server::Server;

/// Where suites find the first server.
const URL: &str = "KAIREON_TEST_PG_URL";
/// Where a test finds `initdb` and `postgres` for a server of its own.
const BINDIR: &str = "KAIREON_TEST_PG_BINDIR";

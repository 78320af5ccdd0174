//! How the backends of kaireon reach their vendors, once for all crates of the family that need it.
//!
//! **No stability is promised**: this crate is published because its users are, and changes with them. What hosts need
//! of it, for the settings of a connection and for migrations, the crates that use it export under their own names.
//!
//! | feature | what it brings |
//! |---|---|
//! | `postgres` | pool, what lies between, TLS, migrations, the table of SQLSTATEs |
//! | `redis` | topologies, TLS, reconnecting, the table of Redis's error codes |

#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod text;

//! How the backends of kaireon reach their vendors, once for all crates of the family that need it.
//!
//! **No stability is promised**: this crate is published because its users are, and changes with them. Hosts meet it
//! only where a store's documentation sends them here, for the settings of a connection.
//!
//! | feature | what it brings |
//! |---|---|
//! | `postgres` | pool, what lies between, TLS, migrations, the table of SQLSTATEs |

#[cfg(feature = "postgres")]
pub mod postgres;

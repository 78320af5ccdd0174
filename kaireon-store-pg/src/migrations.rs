//! The versions of the tables.

use kaireon_connect::postgres::{Migration, Migrations};

/// Every version, oldest first. A version that was released is never edited.
pub(crate) const MIGRATIONS: Migrations = Migrations {
    table: "store_versions",
    list: &[Migration {
        version: 1,
        name: "the store and its outbox",
        statements: &[
            include_str!("../migrations/0001_store.sql"),
            include_str!("outbox/schema.sql"),
            include_str!("outbox/destinations.sql"),
            include_str!("outbox/recalls.sql"),
        ],
        oldest_library: 1,
    }],
    oldest_database: 1,
};

const _: () = assert!(MIGRATIONS.spares_neighbours());

//! The versions of the tables.

use kaireon_connect::postgres::{Migration, Migrations};

/// Every version, oldest first. A version that was released is never edited.
pub(crate) const MIGRATIONS: Migrations = Migrations {
    table: "store_versions",
    list: &[
        Migration {
            version: 1,
            name: "the store and its outbox",
            statements: &[
                include_str!("../migrations/0001_store.sql"),
                include_str!("outbox/schema.sql"),
            ],
            oldest_library: 1,
        },
        Migration {
            version: 2,
            name: "where each lane of the outbox leads",
            statements: &[include_str!("outbox/destinations.sql")],
            oldest_library: 1,
        },
        Migration {
            version: 3,
            name: "ranges that relays are to give back",
            statements: &[include_str!("outbox/recalls.sql")],
            oldest_library: 1,
        },
    ],
    oldest_database: 3,
};

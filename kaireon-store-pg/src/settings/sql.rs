//! The statements, with the schema's name in them.

use std::sync::Arc;

use kaireon_connect::postgres::Schema;

/// The first of a swap: it holds the one row until the end, so that swaps follow one another.
const COUNT: &str = "UPDATE {s}.changes SET done = done + 1 RETURNING done";

const CHANGES: &str = "SELECT done FROM {s}.changes";

/// A tenant that has no setting yet is entered with its first one.
const ENTER: &str = "WITH entered AS ( \
    INSERT INTO {s}.settings (tenant, version) VALUES ($1, $2) \
    ON CONFLICT (tenant) DO UPDATE SET version = EXCLUDED.version) \
    INSERT INTO {s}.trail (tenant, version, id, author, reason, at, document) \
    VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING version";

const PRESENT: &str = "SELECT version, document FROM {s}.settings JOIN {s}.trail USING (tenant, version) \
    WHERE tenant = $1";

const ENTRY: &str = "SELECT version, document, id, author, reason, at FROM {s}.trail \
    WHERE tenant = $1 AND version = $2";

const LIST: &str = "SELECT version, document, tenant FROM {s}.settings JOIN {s}.trail USING (tenant, version) \
    WHERE $1::text IS NULL OR tenant > $1 ORDER BY tenant LIMIT $2";

const TRAIL: &str = "SELECT version, document, id, author, reason, at FROM {s}.trail \
    WHERE tenant = $1 AND ($2::bigint IS NULL OR version < $2) ORDER BY version DESC LIMIT $3";

#[derive(Debug)]
pub(super) struct Statements {
    pub(super) count: Arc<str>,
    pub(super) changes: Arc<str>,
    pub(super) enter: Arc<str>,
    pub(super) present: Arc<str>,
    pub(super) entry: Arc<str>,
    pub(super) list: Arc<str>,
    pub(super) trail: Arc<str>,
}

impl Statements {
    pub(super) fn new(schema: &Schema) -> Self {
        let of = |text: &str| Arc::from(schema.fill(text));
        Self {
            count: of(COUNT),
            changes: of(CHANGES),
            enter: of(ENTER),
            present: of(PRESENT),
            entry: of(ENTRY),
            list: of(LIST),
            trail: of(TRAIL),
        }
    }
}

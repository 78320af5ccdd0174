//! PostgreSQL, as a target and as a source.

use std::sync::Arc;

use kaireon_connect::postgres::PgConnectConfig;
use kaireon_core::{InteractionId, InteractionStore};
use kaireon_store_pg::{PgStore, PgStoreConfig, PgStoreOptions};
use sqlx::{AssertSqlSafe, Connection, Executor};

use crate::switch::KEY;

/// A schema of its own on the server.
pub(crate) struct Server {
    url: String,
    schema: String,
}

impl Server {
    pub(crate) fn new() -> Self {
        let id = InteractionId::fresh().to_string().replace('-', "");
        Self::of(format!("kaireon_backfill_{}", &id[12..]))
    }

    pub(crate) fn of(schema: String) -> Self {
        let url = std::env::var("KAIREON_TEST_PG_URL");
        Self {
            url: url.unwrap_or_else(|_| panic!("KAIREON_TEST_PG_URL is set in service mode")),
            schema,
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn schema(&self) -> &str {
        &self.schema
    }

    pub(crate) async fn store(&self) -> Arc<dyn InteractionStore> {
        let connect = PgConnectConfig {
            url: self.url.clone(),
            ..PgConnectConfig::default()
        };
        let options = PgStoreOptions::default()
            .with_schema(&self.schema)
            .with_master_key(KEY);
        let config = PgStoreConfig { connect, options };
        PgStore::migrate(&config).await.unwrap();
        Arc::new(PgStore::connect(config).await.unwrap())
    }

    pub(crate) async fn drop_schema(self) {
        let mut connection = sqlx::PgConnection::connect(&self.url).await.unwrap();
        let drop = format!("DROP SCHEMA {} CASCADE", self.schema);
        connection.execute(AssertSqlSafe(drop)).await.unwrap();
    }
}

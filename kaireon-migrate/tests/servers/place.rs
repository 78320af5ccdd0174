//! Where the stores and the settings of a test lie.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kaireon_core::time::Clock;
use kaireon_core::{InteractionId, InteractionStore, SettingsStore};
use kaireon_store_embedded::{EmbeddedConfig, EmbeddedStore};
use kaireon_store_pg::{
    PgConnectConfig, PgSettings, PgSettingsConfig, PgStore, PgStoreConfig, PgStoreOptions,
};
use kaireon_testkit::server::PostgresServer;
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::switch::KEY;

/// PostgreSQL 15, or whichever the run has as its oldest.
pub(crate) const FIRST: &str = "KAIREON_TEST_PG_URL";

/// PostgreSQL 18.
pub(crate) const SECOND: &str = "KAIREON_TEST_PG18_URL";

/// The programs of a PostgreSQL server, for servers of a test's own.
pub(crate) const PROGRAMS: &str = "KAIREON_TEST_PG_BINDIR";

/// A server that may be killed.
pub(crate) async fn server() -> PostgresServer {
    PostgresServer::start(variable(PROGRAMS), &[]).await.unwrap()
}

/// What a service's variable says; where it is not set these tests are ignored.
pub(crate) fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is set in service mode"))
}

/// Where a store lies. As text it is handed to another process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Place {
    /// An embedded store in a folder.
    Folder(PathBuf),
    /// A schema of a PostgreSQL database.
    Schema { url: String, schema: String },
}

impl Place {
    /// A schema that nobody else uses, on the server of a variable.
    pub(crate) fn on(variable_of: &str) -> Self {
        Self::at(variable(variable_of))
    }

    /// A schema that nobody else uses, in the database at this address.
    pub(crate) fn at(url: String) -> Self {
        let id = InteractionId::fresh().to_string().replace('-', "");
        let schema = format!("kaireon_servers_{}", &id[12..]);
        Self::Schema { url, schema }
    }

    /// A handle of its own on the store, whose tables are made if they are not there.
    pub(crate) async fn open(&self, clock: Arc<dyn Clock>) -> Arc<dyn InteractionStore> {
        match self {
            Self::Folder(folder) => Arc::new(embedded(folder, clock).await),
            Self::Schema { url, schema } => Arc::new(postgres(url, schema, clock).await),
        }
    }

    /// Settings in the schema.
    pub(crate) async fn settings(&self) -> Arc<dyn SettingsStore> {
        let Self::Schema { url, schema } = self else {
            panic!("settings of several processes lie in a database");
        };
        let config = PgSettingsConfig::at(url).with_schema(schema);
        PgSettings::migrate(&config).await.unwrap();
        Arc::new(PgSettings::connect(config).await.unwrap())
    }

    /// Takes a schema away. A folder goes with its test's.
    pub(crate) async fn remove(&self) {
        let Self::Schema { url, schema } = self else {
            return;
        };
        let mut connection = PgConnection::connect(url).await.unwrap();
        let drop = format!("DROP SCHEMA IF EXISTS {schema} CASCADE");
        connection.execute(AssertSqlSafe(drop)).await.unwrap();
        connection.close().await.unwrap();
    }
}

/// An embedded store under the key of the tests.
pub(crate) async fn embedded(folder: &std::path::Path, clock: Arc<dyn Clock>) -> EmbeddedStore {
    let config = EmbeddedConfig {
        clock,
        ..EmbeddedConfig::at(folder).with_master_key(KEY)
    };
    EmbeddedStore::open(config).await.unwrap()
}

/// A store in a schema under the key of the tests.
pub(crate) async fn postgres(url: &str, schema: &str, clock: Arc<dyn Clock>) -> PgStore {
    let connect = PgConnectConfig {
        url: url.to_owned(),
        // What a process that is frozen holds is soon let go.
        idle_in_transaction_timeout: Some(Duration::from_secs(3)),
        ..PgConnectConfig::default()
    };
    let options = PgStoreOptions::default()
        .with_schema(schema)
        .with_clock(clock)
        .with_master_key(KEY);
    let config = PgStoreConfig { connect, options };
    PgStore::migrate(&config).await.unwrap();
    PgStore::connect(config).await.unwrap()
}

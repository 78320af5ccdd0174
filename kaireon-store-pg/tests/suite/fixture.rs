//! A schema of its own per case, on the server that the case is asked of.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use kaireon_connect::postgres::PgConnectConfig;
use kaireon_core::digest::MasterKey;
use kaireon_core::time::{Clock, ManualClock, SystemClock};
use kaireon_core::{InteractionId, InteractionStore};
use kaireon_store_pg::{PgStore, PgStoreConfig, PgStoreOptions};
use kaireon_testkit::StoreFixture;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio::sync::Mutex;

pub(crate) struct Fixture {
    server: Server,
    schema: String,
    clock: ManualClock,
    places: AtomicU32,
    handles: Mutex<Vec<PgStore>>,
}

const KEY: [u8; 32] = [42; 32];

/// A server of the run, or a pooler before one, by the variable that says where it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Server {
    variable: &'static str,
    /// The same server without the pooler: what a test looks at and drops is no business of a pooler's.
    direct: &'static str,
}

impl Server {
    const fn direct(variable: &'static str) -> Self {
        Self {
            variable,
            direct: variable,
        }
    }

    const fn behind(pooler: &'static str) -> Self {
        Self {
            variable: pooler,
            direct: POSTGRES.variable,
        }
    }

    pub(crate) fn url(self) -> String {
        read(self.variable)
    }

    /// Past the pooler.
    pub(crate) fn direct_url(self) -> String {
        read(self.direct)
    }
}

/// The oldest that is supported, or newer.
pub(crate) const POSTGRES: Server = Server::direct("KAIREON_TEST_PG_URL");
/// The latest.
pub(crate) const POSTGRES_18: Server = Server::direct("KAIREON_TEST_PG18_URL");
/// In transaction mode, and older than 1.21: it does not know prepared statements.
pub(crate) const PGBOUNCER: Server = Server::behind("KAIREON_TEST_PGBOUNCER_URL");
/// In transaction mode; it keeps prepared statements.
pub(crate) const PGBOUNCER_NEW: Server = Server::behind("KAIREON_TEST_PGBOUNCER_NEW_URL");

fn read(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is set in service mode"))
}

/// The server of most tests.
pub(crate) fn url() -> String {
    POSTGRES.url()
}

/// A connection beside the store's.
pub(crate) async fn connection() -> PgConnection {
    PgConnection::connect(&url()).await.unwrap()
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::on(POSTGRES)
    }

    pub(crate) fn on(server: Server) -> Self {
        // Random, so that runs beside each other have places of their own.
        let id = InteractionId::fresh().to_string().replace('-', "");
        Self {
            server,
            schema: format!("kaireon_test_{}", &id[12..]),
            clock: ManualClock::at(SystemClock.now()),
            places: AtomicU32::new(0),
            handles: Mutex::default(),
        }
    }

    /// The schema.
    pub(crate) fn schema(&self) -> &str {
        &self.schema
    }

    /// How the store in a schema is reached.
    pub(crate) fn config(&self, schema: &str) -> PgStoreConfig {
        let connect = PgConnectConfig {
            url: self.server.url(),
            ..PgConnectConfig::default()
        };
        let options = PgStoreOptions::default()
            .with_schema(schema)
            // What one writer cannot get wrong, two may.
            .with_writers(2)
            .with_clock(Arc::new(self.clock.clone()))
            .with_master_key(MasterKey::new(KEY));
        PgStoreConfig { connect, options }
    }

    /// A handle on a store whose tables are made if they are not there.
    pub(crate) async fn connect(&self, config: PgStoreConfig) -> PgStore {
        PgStore::migrate(&config).await.unwrap();
        let store = PgStore::connect(config).await.unwrap();
        self.handles.lock().await.push(store.clone());
        store
    }

    /// A handle with a pool of its own.
    pub(crate) async fn store(&self) -> PgStore {
        self.connect(self.config(&self.schema)).await
    }
}

#[async_trait]
impl StoreFixture for Fixture {
    async fn open(&self) -> Arc<dyn InteractionStore> {
        Arc::new(self.store().await)
    }

    async fn close(&self) {
        for handle in &*self.handles.lock().await {
            handle.disconnect().await.unwrap();
        }
        let mut connection = PgConnection::connect(&read(self.server.direct)).await.unwrap();
        let schemas =
            (1..=self.places.load(Ordering::Relaxed)).map(|place| format!("{}_{place}", self.schema));
        for schema in schemas.chain([self.schema.clone()]) {
            let drop = format!("DROP SCHEMA IF EXISTS {schema} CASCADE");
            connection.execute(AssertSqlSafe(drop)).await.unwrap();
        }
    }

    fn clock(&self) -> Option<ManualClock> {
        Some(self.clock.clone())
    }

    fn master_key(&self) -> Option<MasterKey> {
        Some(MasterKey::new(KEY))
    }

    async fn elsewhere(&self) -> Option<Arc<dyn InteractionStore>> {
        let place = self.places.fetch_add(1, Ordering::Relaxed) + 1;
        let config = self.config(&format!("{}_{place}", self.schema));
        Some(Arc::new(self.connect(config).await))
    }
}

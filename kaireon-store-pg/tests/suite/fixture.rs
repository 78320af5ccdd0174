//! A schema of its own per case.

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
    schema: String,
    clock: ManualClock,
    places: AtomicU32,
    handles: Mutex<Vec<PgStore>>,
}

const KEY: [u8; 32] = [42; 32];

/// The server of the run.
pub(crate) fn url() -> String {
    std::env::var("KAIREON_TEST_PG_URL").expect("KAIREON_TEST_PG_URL is set in service mode")
}

/// A connection beside the store's.
pub(crate) async fn connection() -> PgConnection {
    PgConnection::connect(&url()).await.unwrap()
}

impl Fixture {
    pub(crate) fn new() -> Self {
        // Random, so that runs beside each other have places of their own.
        let id = InteractionId::fresh().to_string().replace('-', "");
        Self {
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
            url: url(),
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
        let mut connection = connection().await;
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

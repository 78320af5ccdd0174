//! The stores that a bench is over, and the switch between them.

use std::sync::Arc;
use std::time::Duration;

use kaireon_core::digest::MasterKey;
use kaireon_core::outbox::{Lane, LaneSet};
use kaireon_core::relay::{Relay, RelayConfig};
use kaireon_core::time::{Clock, SystemClock};
use kaireon_core::{InteractionId, InteractionStore, Outbox, SettingsStore, TenantId};
use kaireon_migrate::{
    Backend, Change, DualWrite, Migrator, Policy, ReplicateSink, Settings, Step, Stores, SwitchConfig,
    SwitchStore, TenantSetting,
};
use kaireon_store_embedded::{EmbeddedConfig, EmbeddedStore, FileSettings};
use kaireon_store_pg::{PgSettings, PgSettingsConfig, PgStore, PgStoreConfig, PgStoreOptions};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tempfile::TempDir;

/// The key of every store here.
pub(crate) const KEY: MasterKey = MasterKey::new([7; 32]);

/// A kind of store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Embedded,
    Postgres,
}

impl Engine {
    pub(crate) const BOTH: [Self; 2] = [Self::Embedded, Self::Postgres];

    /// As what moves to it is called in ids of figures, from an embedded store.
    pub(crate) const fn pair(self) -> &'static str {
        match self {
            Self::Embedded => "embedded_embedded",
            Self::Postgres => "embedded_pg",
        }
    }

    /// Its name in ids of figures.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Postgres => "pg",
        }
    }
}

/// Makes stores, and removes them again.
pub(crate) struct Places {
    folder: TempDir,
    url: String,
    made: usize,
    schemas: Vec<String>,
}

impl Places {
    pub(crate) fn new(url: &str) -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary directory"),
            url: url.to_owned(),
            made: 0,
            schemas: Vec::new(),
        }
    }

    pub(crate) fn folder(&mut self) -> std::path::PathBuf {
        self.made += 1;
        self.folder.path().join(self.made.to_string())
    }

    fn schema(&mut self) -> String {
        let id = InteractionId::fresh().to_string().replace('-', "");
        let schema = format!("kaireon_bench_{}", &id[12..]);
        self.schemas.push(schema.clone());
        schema
    }

    /// A store with these lanes, with nothing in it.
    pub(crate) async fn open(&mut self, engine: Engine, lanes: LaneSet) -> Arc<dyn InteractionStore> {
        match engine {
            Engine::Embedded => {
                let config = EmbeddedConfig::at(self.folder())
                    .with_lanes(lanes)
                    .with_master_key(KEY);
                let store = EmbeddedStore::open(config).await;
                Arc::new(store.expect("the directory can be opened"))
            }
            Engine::Postgres => {
                let options = PgStoreOptions::default()
                    .with_schema(self.schema())
                    .with_lanes(lanes)
                    .with_master_key(KEY);
                let config = PgStoreConfig::at(&self.url).with_options(options);
                PgStore::migrate(&config).await.expect("the role may create");
                Arc::new(PgStore::connect(config).await.expect("the server answers"))
            }
        }
    }

    /// A settings store of that kind.
    pub(crate) async fn settings(&mut self, engine: Engine) -> Arc<dyn SettingsStore> {
        match engine {
            Engine::Embedded => {
                let folder = self.folder();
                std::fs::create_dir_all(&folder).expect("the directory can be made");
                let settings = FileSettings::open(folder).await;
                Arc::new(settings.expect("the directory can be opened"))
            }
            Engine::Postgres => {
                let config = PgSettingsConfig::at(&self.url).with_schema(self.schema());
                PgSettings::migrate(&config).await.expect("the role may create");
                Arc::new(PgSettings::connect(config).await.expect("the server answers"))
            }
        }
    }

    /// Removes everything; whoever has a store has disconnected it.
    pub(crate) async fn close(self) {
        if self.schemas.is_empty() {
            return;
        }
        let mut connection = PgConnection::connect(&self.url)
            .await
            .expect("the server answers");
        for schema in self.schemas {
            let drop = format!("DROP SCHEMA {schema} CASCADE");
            let dropped = connection.execute(AssertSqlSafe(drop)).await;
            dropped.expect("the role owns it");
        }
    }
}

/// The name of a store in a switch.
pub(crate) fn name(name: &str) -> Backend {
    Backend::new(name).expect("a valid name")
}

/// A tenant.
pub(crate) fn tenant(name: &str) -> TenantId {
    TenantId::new(name).expect("a valid tenant")
}

/// A switch between stores, whose tenants are on the first of them with these lanes.
pub(crate) struct Switched {
    pub(crate) switch: SwitchStore,
    pub(crate) migrator: Migrator,
    relays: Vec<Relay>,
}

impl Switched {
    pub(crate) fn over(
        stores: &[(Backend, Arc<dyn InteractionStore>)],
        settings: Arc<dyn SettingsStore>,
        lanes: LaneSet,
    ) -> Self {
        let first = TenantSetting::single(stores[0].0.clone(), lanes);
        let stores = Stores::new(stores.iter().cloned()).expect("their names differ");
        let config = SwitchConfig::new(KEY);
        let switch = SwitchStore::new(stores, Settings::new(settings, first), config);
        let switch = switch.expect("the stores can be of a switch");
        Self {
            migrator: Migrator::new(switch.clone()),
            switch,
            relays: Vec::new(),
        }
    }

    /// The switch as any other store.
    pub(crate) fn store(&self) -> Arc<dyn InteractionStore> {
        Arc::new(self.switch.clone())
    }

    /// Makes a change.
    pub(crate) async fn change(&self, tenant: &TenantId, step: Step) {
        let change = Change::new(step, "bench", "a figure", SystemClock.now()).expect("within the bounds");
        let changed = self.migrator.change(tenant, &change).await;
        changed.expect("nothing is missing");
    }

    /// Begins to replicate a tenant.
    pub(crate) async fn start(&self, tenant: &TenantId, target: &Backend) {
        let target = target.clone();
        let dual_write = DualWrite::Async;
        let policy = Policy::default();
        let start = Step::Start {
            target,
            dual_write,
            policy,
        };
        self.change(tenant, start).await;
        let confirmed = self.migrator.confirm_lanes(tenant).await;
        confirmed.expect("the stores answer");
    }

    /// Runs a relay of the `replicate` lane of one of the stores.
    pub(crate) fn replicate(&mut self, from: &Backend, outbox: Arc<dyn Outbox>) {
        let sink = ReplicateSink::new(&self.switch, from.clone());
        self.relays
            .push(Relay::spawn(outbox, sink, RelayConfig::new(Lane::Replicate)));
    }

    /// Ends the relays.
    pub(crate) async fn stop(&self) {
        for relay in &self.relays {
            let stopped = relay.stop(Duration::from_secs(30)).await;
            stopped.expect("a relay ends");
        }
    }
}

/// Waits until a lane of a store has nothing of a tenant's.
pub(crate) async fn emptied(store: &dyn InteractionStore, lane: Lane, tenant: &TenantId) {
    let outbox = store.outbox().expect("it has an outbox");
    loop {
        let backlog = outbox.backlog(lane, tenant).await.expect("the store answers");
        assert_eq!(backlog.dead_letters, 0, "nothing is refused");
        if backlog.is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

//! The store that is many, over in-memory stores.

#![allow(clippy::unwrap_used, reason = "a panic in a test is the report")]

mod erasures;
mod late;
mod moves;
pub(crate) mod one;
mod reads;
mod samples;
pub(crate) mod suite;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kaireon_core::digest::MasterKey;
use kaireon_core::memory::{MemoryOptions, MemoryPlace, MemorySettings, MemoryStore};
use kaireon_core::outbox::{Lane, LaneSet};
use kaireon_core::relay::{Relay, RelayConfig};
use kaireon_core::store::{Accepted, Origin, RecordBatch, ScanQuery, SummaryQuery};
use kaireon_core::time::{Clock, ManualClock, SystemClock};
use kaireon_core::{Interaction, InteractionStore, SettingsStore, Summary, TenantId};
use kaireon_migrate::{
    Backend, Change, DualWrite, GateBounds, Known, Migrator, Policy, ReplicateSink, Settings, Step, Stores,
    SwitchConfig, SwitchStore, TenantSetting, Verification,
};

pub(crate) const KEY: MasterKey = MasterKey::new([7; 32]);

pub(crate) fn name(name: &str) -> Backend {
    Backend::new(name).unwrap()
}

pub(crate) fn tenant() -> TenantId {
    TenantId::new("acme").unwrap()
}

pub(crate) fn event(customer: &str, number: u64) -> Interaction {
    Interaction::builder("acme", customer)
        .idempotency_key(format!("{customer}-{number}"))
        .offer(format!("offer-{}", number % 5))
        .creative("banner")
        .channel("web")
        .build()
        .unwrap()
}

/// Two stores and the settings between them.
pub(crate) struct World {
    pub(crate) places: [MemoryPlace; 2],
    pub(crate) settings: Arc<dyn SettingsStore>,
    pub(crate) clock: ManualClock,
}

/// One process: handles of its own on the stores, and what it knows of the settings.
pub(crate) struct Process {
    pub(crate) stores: [Arc<MemoryStore>; 2],
    pub(crate) switch: SwitchStore,
    pub(crate) migrator: Migrator,
}

pub(crate) const NAMES: [&str; 2] = ["old", "new"];

impl World {
    pub(crate) fn new() -> Self {
        let clock = ManualClock::at(SystemClock.now());
        let options = MemoryOptions::default()
            .with_clock(clock.clone())
            .with_master_key(KEY);
        Self {
            places: [(); 2].map(|()| MemoryPlace::new(options.clone())),
            settings: Arc::new(MemorySettings::new()),
            clock,
        }
    }

    pub(crate) fn process(&self) -> Process {
        self.process_with(SwitchConfig::new(KEY))
    }

    pub(crate) fn process_with(&self, config: SwitchConfig) -> Process {
        self.process_on(TenantSetting::single(name("old"), LaneSet::NONE), config)
    }

    pub(crate) fn process_on(&self, first: TenantSetting, config: SwitchConfig) -> Process {
        let stores = [0, 1].map(|at| Arc::new(self.places[at].open()));
        let settings = Settings::new(Arc::clone(&self.settings), first);
        let named = [0, 1].map(|at| {
            let store: Arc<dyn InteractionStore> = Arc::<MemoryStore>::clone(&stores[at]);
            (name(NAMES[at]), store)
        });
        let switch = SwitchStore::new(Stores::new(named).unwrap(), settings, config).unwrap();
        let migrator = Migrator::new(switch.clone()).with_clock(self.clock.clone());
        Process {
            stores,
            switch,
            migrator,
        }
    }
}

impl Process {
    /// Brings a tenant to verifying, with what was there before on the target as well.
    pub(crate) async fn to_verifying(&self, world: &World) {
        self.start(world, DualWrite::Async).await;
        let known = self.migrator.observe(&tenant()).await.unwrap();
        let export = known.setting.under_way().unwrap().in_force.unwrap().source;
        let begin = self.ask(Step::BeginBackfill { export }, world);
        self.migrator.change(&tenant(), &begin).await.unwrap();
        let before = rows(self.stores[0].as_ref()).await;
        let batch = RecordBatch::accepted(Origin::Backfill, before.into_values());
        let brought = self.stores[1].record_events(batch).await.unwrap();
        assert!(brought.is_complete());
        let complete = self.ask(Step::CompleteBackfill { bad_lines: 0 }, world);
        self.migrator.change(&tenant(), &complete).await.unwrap();
    }

    pub(crate) fn ask(&self, step: Step, world: &World) -> Change {
        Change::new(step, "test", "CHG-1", world.clock.now()).unwrap()
    }

    pub(crate) async fn start(&self, world: &World, dual_write: DualWrite) -> Known {
        let policy = Policy {
            gate: GateBounds {
                min_reads: 0,
                ..GateBounds::default()
            },
            ..Policy::default()
        };
        let start = Step::Start {
            target: name("new"),
            dual_write,
            policy,
        };
        self.migrator
            .change(&tenant(), &self.ask(start, world))
            .await
            .unwrap();
        self.migrator.confirm_lanes(&tenant()).await.unwrap()
    }

    /// Brings over what was there before, as a backfill does, and passes the gate.
    pub(crate) async fn make_ready(&self, world: &World) -> Known {
        use kaireon_core::store::{Origin, RecordBatch};
        let known = self.migrator.observe(&tenant()).await.unwrap();
        let export = known.setting.under_way().unwrap().in_force.unwrap().source;
        let step = |step| self.ask(step, world);
        let change = |change| async move { self.migrator.change(&tenant(), &change).await.unwrap() };
        change(step(Step::BeginBackfill { export })).await;
        let before = rows(self.stores[0].as_ref()).await;
        let batch = RecordBatch::accepted(Origin::Backfill, before.into_values());
        let applied = self.stores[1].record_events(batch).await.unwrap();
        assert!(applied.is_complete());
        change(step(Step::CompleteBackfill { bad_lines: 0 })).await;
        let verification = Verification {
            at: world.clock.now(),
            equal: 1,
            missing: 0,
            extra: 0,
            different: 0,
            not_compared: 0,
            left_out: 0,
            kept_from: None,
        };
        change(step(Step::Verified { verification })).await;
        self.migrator.measure(&tenant()).await.unwrap();
        change(step(Step::PassGate)).await
    }

    /// A relay for the `replicate` lane of each store.
    pub(crate) fn replicate(&self) -> Vec<Relay> {
        let relay = |at: usize| {
            let sink = ReplicateSink::new(&self.switch, name(NAMES[at]));
            let config = RelayConfig {
                max_idle: Duration::from_millis(20),
                ..RelayConfig::new(Lane::Replicate)
            };
            Relay::spawn(self.stores[at].outbox().unwrap(), sink, config)
        };
        (0..2).map(relay).collect()
    }
}

/// Everything that a store holds of the tenant, by idempotency key.
pub(crate) async fn rows(store: &dyn InteractionStore) -> BTreeMap<String, Accepted<Interaction>> {
    rows_of(store, &tenant()).await
}

/// Everything that a store holds of a tenant, by idempotency key.
pub(crate) async fn rows_of(
    store: &dyn InteractionStore,
    tenant: &TenantId,
) -> BTreeMap<String, Accepted<Interaction>> {
    let mut query = ScanQuery::new(tenant.clone());
    let mut found = BTreeMap::new();
    loop {
        let page = store.scan(query.clone()).await.unwrap();
        for row in page.items {
            let key = row.value.idempotency_key.as_str().to_owned();
            assert!(found.insert(key, row).is_none(), "no row is there twice");
        }
        match page.next {
            Some(next) => query.cursor = Some(next),
            None => return found,
        }
    }
}

pub(crate) async fn summaries(store: &dyn InteractionStore, customer: &str) -> Vec<Summary> {
    let query = SummaryQuery::new(tenant(), kaireon_core::CustomerId::new(customer).unwrap());
    store.get_summaries(query).await.unwrap()
}

/// Waits until the lane of a store has nothing of the tenant.
pub(crate) async fn emptied(store: &MemoryStore, lane: Lane) {
    let outbox = store.outbox().unwrap();
    for _ in 0..2_000 {
        if outbox.backlog(lane, &tenant()).await.unwrap().is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the {lane} lane is not emptied");
}

//! One simulated process: writers, a reader, relays and an operator, until it is killed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kaireon_core::outbox::Lane;
use kaireon_core::relay::{Relay, RelayConfig};
use kaireon_core::store::{Erasure, ErasureId, HistoryQuery, Origin, RecordBatch, ScanQuery, TombstoneQuery};
use kaireon_core::time::Clock;
use kaireon_core::{CustomerId, Interaction, InteractionStore, Result};
use kaireon_migrate::{
    Change, DualWrite, GateBounds, Known, Migrator, OldRows, Phase, Policy, ReplicateSink, Settings, Step,
    StoreMark, Stores, SwitchConfig, SwitchStore, TenantSetting, Verification,
};
use kaireon_testkit::fault::Faulty;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use super::faults::FarSettings;
use super::{KEY, NAMES, Virtual, World, name, tenant};

pub(crate) struct Process {
    /// Handles without faults, to judge by.
    pub(crate) bare: [Arc<dyn InteractionStore>; 2],
    tasks: JoinSet<()>,
    operator: AbortHandle,
    writing: watch::Sender<bool>,
    migrator: Migrator,
    _relays: Vec<Relay>,
}

/// What a task of a process works with.
#[derive(Clone)]
struct Hands {
    world: Arc<World>,
    switch: SwitchStore,
    migrator: Migrator,
    stores: [Arc<dyn InteractionStore>; 2],
    clock: Virtual,
    /// Its number.
    at: usize,
    writing: watch::Receiver<bool>,
}

impl Process {
    pub(crate) fn begin(world: &Arc<World>, at: usize, mut dice: fastrand::Rng) -> Self {
        let bare = [0, 1].map(|store| -> Arc<dyn InteractionStore> { Arc::new(world.places[store].open()) });
        let stores = [0, 1].map(|store| -> Arc<dyn InteractionStore> {
            Arc::new(Faulty::new(
                Arc::clone(&bare[store]),
                world.weather.plan(at, store),
            ))
        });
        let named = [0, 1].map(|store| (name(store), Arc::clone(&stores[store])));
        let far = FarSettings {
            inner: world.settings.open_again(),
            weather: Arc::clone(&world.weather),
            process: at,
        };
        let settings = Settings::new(Arc::new(far), World::first());
        let switch = SwitchStore::new(Stores::new(named).unwrap(), settings, SwitchConfig::new(KEY)).unwrap();
        let clock = world.skewed(chrono::TimeDelta::milliseconds(dice.i64(-5_000..5_000)));
        let migrator = Migrator::new(switch.clone()).with_clock(clock.clone());
        let (writing, is_writing) = watch::channel(true);
        let hands = Hands {
            world: Arc::clone(world),
            switch: switch.clone(),
            migrator: migrator.clone(),
            stores: stores.clone(),
            clock,
            at,
            writing: is_writing,
        };
        let relays = (0..2).map(|store| {
            let config = RelayConfig {
                max_idle: Duration::from_millis(100),
                lease_ttl: Duration::from_secs(2),
                max_pause: Duration::from_millis(500),
                ..RelayConfig::new(Lane::Replicate)
            };
            let sink = ReplicateSink::new(&switch, name(store));
            Relay::spawn(stores[store].outbox().unwrap(), sink, config)
        });
        let relays = relays.collect();
        let mut tasks = JoinSet::new();
        for writer in 0..2 {
            tasks.spawn(write(
                hands.clone(),
                format!("c{}", (at + writer) % 3),
                dice.fork(),
            ));
        }
        tasks.spawn(read(hands.clone(), dice.fork()));
        tasks.spawn(erase(hands.clone(), dice.fork()));
        let operator = tasks.spawn(operate(hands, dice.fork()));
        Self {
            bare,
            tasks,
            operator,
            writing,
            migrator,
            _relays: relays,
        }
    }

    /// Ends everything where it stands.
    pub(crate) fn kill(&mut self) {
        self.tasks.abort_all();
        self._relays.clear();
    }

    pub(crate) fn stop_operating(&mut self) {
        self.operator.abort();
    }

    /// Ends what was begun.
    pub(crate) async fn settle(&self) -> TenantSetting {
        self.migrator.finish(&tenant()).await.unwrap().setting
    }

    pub(crate) async fn stop_writing(&mut self) {
        self.writing.send_replace(false);
        while let Some(ended) = self.tasks.join_next().await {
            match ended {
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                _ => {}
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn rest(dice: &mut fastrand::Rng, most: u64) {
    tokio::time::sleep(Duration::from_millis(dice.u64(1..most))).await;
}

fn event(customer: &str) -> Interaction {
    Interaction::builder("acme", customer)
        .offer("shoes")
        .creative("banner")
        .channel("web")
        .build()
        .unwrap()
}

/// Records, and sends again what was not answered, as a caller does.
async fn write(hands: Hands, customer: String, mut dice: fastrand::Rng) {
    while *hands.writing.borrow() {
        record(&hands, &event(&customer), &mut dice).await;
        rest(&mut dice, 500).await;
    }
}

async fn record(hands: &Hands, event: &Interaction, dice: &mut fastrand::Rng) {
    loop {
        match hands.switch.record_event(event.clone()).await {
            Ok(recorded) => {
                assert_eq!(recorded.id(), &event.id);
                let key = event.idempotency_key.as_str().to_owned();
                let customer = event.customer.as_str().to_owned();
                let mut told = hands.world.told.lock().unwrap();
                told.acknowledged.entry(customer).or_default().insert(key);
                return;
            }
            Err(error) => {
                assert!(error.is_transient(), "a write is refused for good: {error}");
                rest(dice, 100).await;
            }
        }
    }
}

/// Reads a customer, who never sees less than was acknowledged before.
async fn read(hands: Hands, mut dice: fastrand::Rng) {
    while *hands.writing.borrow() {
        let customer = format!("c{}", dice.u8(..3));
        let before: BTreeSet<String> = {
            let told = hands.world.told.lock().unwrap();
            told.acknowledged.get(&customer).cloned().unwrap_or_default()
        };
        let failures = hands.world.weather.failures(hands.at);
        let mut query = HistoryQuery::new(tenant(), CustomerId::new(&customer).unwrap());
        query.limit = 1_000;
        if let Ok(page) = hands.switch.history(query).await
            && page.next.is_none()
        {
            let found: BTreeSet<_> = page
                .items
                .iter()
                .map(|row| row.idempotency_key.as_str().to_owned())
                .collect();
            let missing = before.difference(&found).count();
            // Where no fresh setting could be had, the answer stands and is counted.
            let counted = hands.world.weather.failures(hands.at) > failures;
            assert!(
                missing == 0 || counted,
                "{missing} of {} are not read",
                before.len()
            );
        }
        rest(&mut dice, 300).await;
    }
}

/// Records for a customer of its own and erases them.
async fn erase(hands: Hands, mut dice: fastrand::Rng) {
    while *hands.writing.borrow() {
        let customer = format!("e{}", dice.u64(..));
        for _ in 0..dice.u8(1..4) {
            record(&hands, &event(&customer), &mut dice).await;
        }
        let request = Erasure {
            tenant: tenant(),
            customer: CustomerId::new(&customer).unwrap(),
            id: ErasureId::new("ticket").unwrap(),
        };
        rest(&mut dice, 500).await;
        // A process may be killed after the erasure and before it is told of it.
        hands.world.told.lock().unwrap().erasing.insert(customer.clone());
        loop {
            match hands.switch.erase_customer(request.clone()).await {
                Ok(_) => break,
                Err(_) => rest(&mut dice, 200).await,
            }
        }
        hands.world.told.lock().unwrap().erased.insert(customer);
        rest(&mut dice, 2_000).await;
    }
}

/// Takes whatever step comes next, and begins again where that fails.
async fn operate(hands: Hands, mut dice: fastrand::Rng) {
    loop {
        rest(&mut dice, 500).await;
        let Ok(known) = hands.switch.settings().read(&tenant()).await else {
            continue;
        };
        let phase = known.setting.phase;
        hands
            .world
            .told
            .lock()
            .unwrap()
            .phases
            .entry(phase)
            .or_default()
            .0 += 1;
        // What fails is tried again by whoever comes next.
        let _ = step(&hands, &known, &mut dice).await;
    }
}

async fn step(hands: &Hands, known: &Known, dice: &mut fastrand::Rng) -> Result<()> {
    let setting = &known.setting;
    let ask = |step| Change::new(step, "operator", "a simulation", hands.clock.now()).unwrap();
    let change = async |change: Change| hands.migrator.change(&tenant(), &change).await.map(drop);
    match setting.phase {
        Phase::Single | Phase::Finalised => {
            let target = name(usize::from(setting.authority == name(0)));
            let dual_write = match dice.u8(..3) {
                0 => DualWrite::Async,
                1 => DualWrite::BestEffort,
                _ => DualWrite::Strict {
                    budget: Duration::from_millis(300),
                },
            };
            let policy = Policy {
                gate: GateBounds {
                    min_reads: 0,
                    max_lag: Duration::from_secs(60),
                    ..GateBounds::default()
                },
                ..Policy::default()
            };
            change(ask(Step::Start {
                target,
                dual_write,
                policy,
            }))
            .await
        }
        Phase::DualWrite => {
            let known = hands.migrator.confirm_lanes(&tenant()).await?;
            let Some(in_force) = known.setting.under_way().and_then(|migration| migration.in_force) else {
                return Ok(());
            };
            // The export: everything that the source has by now.
            let source = hands.store(&known.setting.under_way().unwrap().source);
            let export = StoreMark::from(&source.fence(&tenant()).await?);
            assert!(export.follows(in_force.since));
            change(ask(Step::BeginBackfill { export })).await
        }
        Phase::Backfilling => {
            let migration = setting.under_way().unwrap();
            let (source, target) = (hands.store(&migration.source), hands.store(&migration.target));
            backfill(source, target, dice).await?;
            change(ask(Step::CompleteBackfill { bad_lines: 0 })).await
        }
        Phase::Verifying => {
            let verification = Verification {
                at: hands.clock.now(),
                equal: 1,
                missing: 0,
                extra: 0,
                different: 0,
                not_compared: 0,
                left_out: 0,
                kept_from: None,
            };
            change(ask(Step::Verified { verification })).await?;
            hands.migrator.measure(&tenant()).await?;
            hands.migrator.observe(&tenant()).await?;
            change(ask(Step::PassGate)).await
        }
        Phase::Ready if dice.u8(..8) == 0 => change(ask(Step::RollBack)).await,
        Phase::Ready => change(ask(Step::CutOver)).await,
        Phase::Draining => hands.migrator.finish(&tenant()).await.map(drop),
        Phase::CutOver if dice.bool() => change(ask(Step::RollBack)).await,
        Phase::CutOver => {
            let old_rows = OldRows::Keep;
            change(ask(Step::Finalise { old_rows }).forced()).await
        }
        other => panic!("an operator does not know {other}"),
    }
}

impl Hands {
    fn store(&self, of: &kaireon_migrate::Backend) -> &dyn InteractionStore {
        let at = NAMES.iter().position(|name| *name == of.as_str()).unwrap();
        self.stores[at].as_ref()
    }
}

/// Tombstones first, then every row, as often as it is begun.
async fn backfill(
    source: &dyn InteractionStore,
    target: &dyn InteractionStore,
    dice: &mut fastrand::Rng,
) -> Result<()> {
    let stones = source.tombstones(TombstoneQuery::new(tenant())).await?;
    assert!(stones.next.is_none());
    target.install_tombstones(&tenant(), stones.items).await?;
    let mut query = ScanQuery {
        limit: 200,
        ..ScanQuery::new(tenant())
    };
    loop {
        let Ok(page) = source.scan(query.clone()).await else {
            rest(dice, 50).await;
            continue;
        };
        let mut rows = page.items;
        while !rows.is_empty() {
            let batch = RecordBatch::accepted(Origin::Backfill, rows.iter().cloned());
            let Ok(outcome) = target.record_events(batch).await else {
                rest(dice, 50).await;
                continue;
            };
            let results = outcome.into_results();
            let mut results = results.into_iter();
            rows.retain(|_| match results.next() {
                Some(Ok(_)) => false,
                Some(Err(error)) => error.kind() != kaireon_core::ErrorKind::Erased,
                None => true,
            });
            rest(dice, 20).await;
        }
        match page.next {
            Some(next) => query.cursor = Some(next),
            None => return Ok(()),
        }
    }
}

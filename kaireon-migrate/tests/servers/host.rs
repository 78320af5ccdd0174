//! A process that serves a tenant and moves it, as a test or a child of one holds it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use kaireon_archive::{Archive, ArchiveConfig, ExportConfig, Exporter, Place as Folder};
use kaireon_core::outbox::{Lane, LaneSet};
use kaireon_core::relay::{LaneSink, Relay, RelayConfig};
use kaireon_core::time::{Clock, SystemClock, TimeSource, Timestamp};
use kaireon_core::{Error, ErrorKind, InteractionStore, Result, SettingsStore, TenantId};
use kaireon_migrate::{
    BackfillConfig, Backfiller, Change, DualWrite, GateBounds, Known, Migrator, OldRows, Operator,
    OperatorConfig, Phase, Policy, ReadSampling, ReplicateSink, Settings, Step, Stores, SwitchConfig,
    SwitchStore, TenantSetting, VerifyConfig, VerifyReport,
};
use kaireon_store_embedded::FileSettings;
use serde::{Deserialize, Serialize};

use super::ledger::Stream;
use super::place::Place;
use crate::switch::{KEY, NAMES, name};

/// Longer than anything here takes on a machine however slow: whoever waits so long waits for ever.
pub(crate) const LONG: Duration = Duration::from_secs(120);

/// The machine's clock, wrong by so much.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Skewed(pub(crate) i64);

impl Clock for Skewed {
    fn now(&self) -> Timestamp {
        SystemClock.now() + TimeDelta::milliseconds(self.0)
    }

    /// It takes itself for right, as a wrong clock does.
    fn source(&self) -> TimeSource {
        TimeSource::Real
    }
}

/// What a host is given; as text, also another process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// The stores: `old` and `new`.
    pub(crate) places: [Place; 2],
    pub(crate) settings: Place,
    /// The archive, the ledger and the stream.
    pub(crate) folder: PathBuf,
    pub(crate) tenant: TenantId,
    /// Which store tenants are on that were never moved.
    pub(crate) first: usize,
    /// Its number among the processes.
    pub(crate) process: u64,
    /// By how much its clock is wrong.
    pub(crate) skew_ms: i64,
    /// How far the lane may lag behind where the gate is passed.
    pub(crate) max_lag: Duration,
    /// How long the two answers to a read may be unlike.
    pub(crate) read_deadline: Duration,
    /// Which share of reads is compared.
    pub(crate) compared: f64,
    /// How old what was measured may be where the gate is passed.
    pub(crate) max_age: Duration,
}

impl Plan {
    /// In a folder, with the settings in another one.
    pub(crate) fn new(folder: &Path, places: [Place; 2]) -> Self {
        Self {
            places,
            settings: Place::Folder(folder.join("settings")),
            folder: folder.to_owned(),
            tenant: TenantId::new("acme").unwrap(),
            first: 0,
            process: 0,
            skew_ms: 0,
            max_lag: Duration::from_secs(10),
            // A relay on a machine under load may lag: that is no difference.
            read_deadline: Duration::from_secs(30),
            compared: 0.1,
            max_age: GateBounds::default().max_age,
        }
    }

    /// Takes the schemas away.
    pub(crate) async fn remove(&self) {
        for place in self.places.iter().chain([&self.settings]) {
            place.remove().await;
        }
    }
}

/// What is put between the switch and a store.
pub(crate) type Wrap = dyn Fn(usize, Arc<dyn InteractionStore>) -> Arc<dyn InteractionStore> + Send + Sync;

#[derive(Clone)]
pub(crate) struct Host {
    pub(crate) plan: Plan,
    pub(crate) clock: Skewed,
    /// Without what is put before them.
    pub(crate) stores: [Arc<dyn InteractionStore>; 2],
    pub(crate) settings: Arc<dyn SettingsStore>,
    pub(crate) archive: Archive,
    pub(crate) switch: SwitchStore,
    pub(crate) migrator: Migrator,
    relays: Arc<Vec<Relay>>,
}

impl Host {
    pub(crate) async fn open(plan: &Plan) -> Self {
        Self::open_with(plan, &|_, store| store).await
    }

    /// Opens the stores, and relays of both lanes of both.
    pub(crate) async fn open_with(plan: &Plan, wrap: &Wrap) -> Self {
        let clock = Skewed(plan.skew_ms);
        let mut stores = Vec::new();
        for place in &plan.places {
            stores.push(place.open(Arc::new(clock)).await);
        }
        let settings: Arc<dyn SettingsStore> = match &plan.settings {
            Place::Folder(folder) => Arc::new(FileSettings::open(folder).await.unwrap()),
            schema => schema.settings().await,
        };
        let stores = <[_; 2]>::try_from(stores).unwrap();
        let lanes = lanes();
        for store in &stores {
            store.outbox().unwrap().set_lanes(lanes).await.unwrap();
        }
        let first = TenantSetting::single(name(NAMES[plan.first]), lanes);
        let named = [0, 1].map(|at| (name(NAMES[at]), wrap(at, Arc::clone(&stores[at]))));
        let config = SwitchConfig {
            reads: ReadSampling {
                fraction: plan.compared,
                deadline: plan.read_deadline,
                ..ReadSampling::default()
            },
            ..SwitchConfig::new(KEY)
        };
        let settings_of = Settings::new(Arc::clone(&settings), first);
        let switch = SwitchStore::new(Stores::new(named).unwrap(), settings_of, config).unwrap();
        let folder = Folder::folder(plan.folder.join("archive")).unwrap();
        let mut host = Self {
            plan: plan.clone(),
            clock,
            archive: Archive::open(ArchiveConfig::new(folder, KEY)).await.unwrap(),
            migrator: Migrator::new(switch.clone()).with_clock(clock),
            switch,
            stores,
            settings,
            relays: Arc::default(),
        };
        host.relays = Arc::new(host.spawn_relays());
        host
    }

    fn spawn_relays(&self) -> Vec<Relay> {
        let relays = [0, 1].map(|at| {
            let outbox = self.stores[at].outbox().unwrap();
            let replicate = ReplicateSink::new(&self.switch, name(NAMES[at]));
            [
                relay(Arc::clone(&outbox), Lane::Replicate, replicate),
                relay(outbox, Lane::Publish, Stream::at(&self.plan.folder)),
            ]
        });
        relays.into_iter().flatten().collect()
    }

    /// Ends the relays, and disconnects everything.
    pub(crate) async fn close(&self) {
        for relay in self.relays.iter() {
            relay.stop(LONG).await.unwrap();
        }
        for store in &self.stores {
            store.disconnect().await.unwrap();
        }
        self.settings.disconnect().await.unwrap();
    }

    pub(crate) const fn tenant(&self) -> &TenantId {
        &self.plan.tenant
    }

    pub(crate) async fn read(&self) -> Result<Known> {
        self.switch.settings().read(self.tenant()).await
    }

    pub(crate) async fn phase(&self) -> Phase {
        self.read().await.unwrap().setting.phase
    }

    /// The store that decides now.
    pub(crate) async fn authority(&self) -> &Arc<dyn InteractionStore> {
        let authority = self.read().await.unwrap().setting.authority;
        let at = NAMES.iter().position(|name| *name == authority.as_str());
        &self.stores[at.unwrap()]
    }

    pub(crate) fn ask(&self, step: Step) -> Change {
        Change::new(step, "test", "CHG-1", self.clock.now()).unwrap()
    }

    pub(crate) async fn change(&self, step: Step) -> Result<Known> {
        self.migrator.change(self.tenant(), &self.ask(step)).await
    }

    /// Begins to move the tenant to the store where it is not.
    pub(crate) async fn start(&self, dual_write: DualWrite) -> Result<Known> {
        let authority = self.read().await?.setting.authority;
        let target = usize::from(authority == name(NAMES[0]));
        let policy = Policy {
            gate: GateBounds {
                min_reads: 20,
                max_lag: self.plan.max_lag,
                max_age: self.plan.max_age,
            },
            ..Policy::default()
        };
        self.change(Step::Start {
            target: name(NAMES[target]),
            dual_write,
            policy,
        })
        .await
    }

    fn exporter(&self, at: usize) -> Exporter {
        let config = ExportConfig {
            owner: "the exporter".to_owned(),
            ..ExportConfig::new(NAMES[at]).with_tenants([self.tenant().clone()])
        };
        Exporter::new(self.archive.clone(), Arc::clone(&self.stores[at]), config).unwrap()
    }

    /// Exports all that the source has.
    pub(crate) async fn export(&self) -> Result<()> {
        let source = self.read().await?.setting.under_way().unwrap().source.clone();
        let exporter = self.exporter(usize::from(source == name(NAMES[1])));
        exporter.scan(self.tenant()).await?;
        let exported = exporter.export_once().await?;
        exporter.release().await?;
        match exported.complete {
            true => Ok(()),
            false => Err(later("the export is not complete")),
        }
    }

    pub(crate) fn backfiller(&self) -> Backfiller {
        Backfiller::new(self.migrator.clone(), self.archive.clone(), backfill_config())
    }

    pub(crate) fn operator(&self) -> Operator {
        let config = OperatorConfig {
            backfill: backfill_config(),
            verify: self.verify_config(),
            ..OperatorConfig::default()
        };
        let operator = Operator::new(self.switch.clone(), Some(self.archive.clone()));
        operator.with_config(config).with_clock(self.clock)
    }

    /// Confirms the lanes, exports, and begins the backfill.
    pub(crate) async fn begin_backfill(&self) -> Result<Known> {
        self.migrator.confirm_lanes(self.tenant()).await?;
        self.export().await?;
        self.backfiller().begin(self.tenant(), "test", "CHG-1").await
    }

    pub(crate) async fn backfill(&self) -> Result<()> {
        let report = self.backfiller().run(self.tenant()).await?;
        match &report.completed {
            Some(_) => Ok(()),
            None => Err(later("the backfill is not complete")),
        }
    }

    fn verify_config(&self) -> VerifyConfig {
        VerifyConfig {
            pause: Duration::from_millis(20),
            clock_skew: Duration::from_millis(100 + 2 * self.plan.skew_ms.unsigned_abs()),
            lane_wait: LONG,
            ..VerifyConfig::default()
        }
    }

    pub(crate) async fn verify(&self) -> Result<VerifyReport> {
        let config = self.verify_config();
        Ok(self.migrator.verify(self.tenant(), config).await?.0)
    }

    /// Notes that live reads agree, once enough were compared; those that ask for them go on meanwhile.
    pub(crate) async fn compare_reads(&self) -> Result<()> {
        loop {
            let now = self.clock.now();
            let sample = self.switch.read_comparison(self.tenant(), now).await?;
            if sample.is_some_and(|sample| sample.compared >= 20) {
                self.migrator.note_reads(self.tenant()).await?;
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Asks the gate, with what was measured just now.
    pub(crate) async fn pass_gate(&self) -> Result<Known> {
        self.migrator.measure(self.tenant()).await?;
        // What differed before the lane had caught up was no difference.
        self.switch.restart_read_comparison(self.tenant());
        self.compare_reads().await?;
        self.migrator.observe(self.tenant()).await?;
        self.change(Step::PassGate).await
    }

    /// Moves the authority; not taken where its lane was not emptied in time.
    pub(crate) async fn cut_over(&self) -> Result<Known> {
        self.migrator.measure(self.tenant()).await?;
        self.change(Step::CutOver).await
    }

    pub(crate) async fn roll_back(&self) -> Result<Known> {
        self.change(Step::RollBack).await
    }

    /// Before the safety period is over, so by force.
    pub(crate) async fn finalise(&self) -> Result<Known> {
        let old_rows = OldRows::Keep;
        let change = self.ask(Step::Finalise { old_rows }).forced();
        self.migrator.change(self.tenant(), &change).await
    }

    /// How the lanes of both stores stand, for whoever reads of a failure.
    pub(crate) async fn standing(&self) -> String {
        let mut standing = Vec::new();
        for (store, name) in self.stores.iter().zip(NAMES) {
            let outbox = store.outbox().unwrap();
            for lane in [Lane::Replicate, Lane::Publish] {
                let status = outbox.status(lane).await;
                let backlog = outbox.backlog(lane, self.tenant()).await;
                standing.push(format!("{name}: {lane}: {backlog:?} of {status:?}"));
            }
        }
        standing.join("\n")
    }

    /// Waits until a lane of both stores has nothing of the tenant.
    pub(crate) async fn emptied(&self, lane: Lane) {
        for (store, name) in self.stores.iter().zip(NAMES) {
            let outbox = store.outbox().unwrap();
            let begun = std::time::Instant::now();
            loop {
                let backlog = outbox.backlog(lane, self.tenant()).await.unwrap();
                if backlog.is_empty() {
                    break;
                }
                assert!(
                    begun.elapsed() < LONG,
                    "{name}: {lane} is not emptied: {backlog:?}"
                );
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}

fn backfill_config() -> BackfillConfig {
    BackfillConfig {
        owner: "the backfiller".to_owned(),
        chunk_records: 100,
        every: Duration::from_millis(50),
        ..BackfillConfig::default()
    }
}

pub(crate) fn lanes() -> LaneSet {
    LaneSet::of(&[Lane::Publish, Lane::Archive])
}

/// A relay that is quick, and whose ranges are soon another's when it is gone.
pub(crate) fn relay(
    outbox: Arc<dyn kaireon_core::Outbox>,
    lane: Lane,
    sink: impl LaneSink + 'static,
) -> Relay {
    let config = RelayConfig {
        lease_ttl: Duration::from_secs(2),
        max_idle: Duration::from_millis(50),
        max_pause: Duration::from_millis(500),
        ..RelayConfig::new(lane)
    };
    Relay::spawn(outbox, sink, config)
}

/// What is to be tried again.
pub(crate) fn later(context: &'static str) -> Error {
    Error::new(ErrorKind::Unavailable, context).with_transient(true)
}

/// What should end, does; a test that hangs says where.
pub(crate) async fn in_time<T>(what: &str, work: impl Future<Output = T>) -> T {
    // A step may compare both stores, and each look of that waits for the lane, on a machine that has all processes on it.
    let ended = tokio::time::timeout(4 * LONG, work).await;
    ended.unwrap_or_else(|_| panic!("{what} does not end"))
}

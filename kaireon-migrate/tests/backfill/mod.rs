//! The backfill: archives of one store, applied to another.

#![allow(clippy::unwrap_used, reason = "a panic in a test is the report")]

mod begins;
mod beside;
mod bounds;
mod erased;
mod faults;
mod fills;
mod kills;
mod pace;
mod restored;
pub(crate) mod server;
mod turns;

use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use kaireon_archive::{Archive, ArchiveConfig, ExportConfig, Exporter, Place};
use kaireon_core::memory::{MemoryOptions, MemoryPlace, MemorySettings};
use kaireon_core::outbox::{Lane, LaneSet};
use kaireon_core::store::{Accepted, ScanQuery};
use kaireon_core::time::{self, Clock, SystemClock, Timestamp};
use kaireon_core::{
    Attributes, CustomerId, Decision, DecisionFields, DecisionFlowKey, Interaction, InteractionStore,
    RecommendationId, SettingsStore, Summary,
};
use kaireon_migrate::{
    BackfillConfig, BackfillProgress, Backfiller, Change, DualWrite, GateBounds, Known, Migrator, Policy,
    Settings, Step, Stores, SwitchConfig, SwitchStore, TenantSetting,
};
use kaireon_store_embedded::{EmbeddedConfig, EmbeddedStore};
use tempfile::TempDir;

use crate::switch::{KEY, name, rows, summaries, tenant};

/// How many customers take turns.
const CUSTOMERS: u64 = 10;

/// 2025-03-01T12:00:00Z.
fn noon() -> Timestamp {
    time::from_millis(1_740_830_400_000).unwrap()
}

/// Interaction `number`: seven hours after the one before, over twelve days.
pub(crate) fn event(number: u64) -> Interaction {
    let hours = i64::try_from(7 * (number % 40)).unwrap();
    Interaction::builder("acme", customer(number))
        .id(format!("id-{number}"))
        .idempotency_key(format!("key-{number}"))
        .offer(format!("offer-{}", number % 3))
        .creative("banner")
        .channel("web")
        .timestamp(noon() + TimeDelta::hours(hours))
        .attributes(serde_json::json!({ "number": number }))
        .build()
        .unwrap()
}

fn customer(number: u64) -> String {
    format!("customer-{}", number % CUSTOMERS)
}

fn decision(number: u64) -> Decision {
    Decision::restore(DecisionFields {
        id: RecommendationId::new(format!("rec-{number}")).unwrap(),
        tenant: tenant(),
        customer: CustomerId::new(customer(number)).unwrap(),
        flow: DecisionFlowKey::new("flow").unwrap(),
        offers: Vec::new(),
        timestamp: noon() + TimeDelta::hours(i64::try_from(number % 200).unwrap()),
        attributes: Attributes::default(),
    })
    .unwrap()
}

pub(crate) fn memory() -> Arc<dyn InteractionStore> {
    Arc::new(MemoryPlace::new(MemoryOptions::default().with_master_key(KEY)).open())
}

async fn embedded(at: &Path) -> Arc<dyn InteractionStore> {
    let config = EmbeddedConfig::at(at).with_master_key(KEY);
    Arc::new(EmbeddedStore::open(config).await.unwrap())
}

/// A tenant that is to be moved from one store to another, and the archive of the first.
pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) source: Arc<dyn InteractionStore>,
    pub(crate) target: Arc<dyn InteractionStore>,
    pub(crate) archive: Archive,
    exporter: Exporter,
    pub(crate) settings: Arc<dyn SettingsStore>,
    pub(crate) switch: SwitchStore,
    migrator: Migrator,
}

async fn archive_in(folder: &Path) -> Archive {
    let config = ArchiveConfig::new(Place::folder(folder).unwrap(), KEY).with_max_object_bytes(6_000);
    Archive::open(config).await.unwrap()
}

fn exporter_of(archive: &Archive, source: &Arc<dyn InteractionStore>) -> Exporter {
    let config = ExportConfig {
        owner: "the exporter".to_owned(),
        ..ExportConfig::new("old").with_tenants([tenant()])
    };
    Exporter::new(archive.clone(), Arc::clone(source), config).unwrap()
}

fn switch_of(
    settings: &Arc<dyn SettingsStore>,
    source: &Arc<dyn InteractionStore>,
    target: &Arc<dyn InteractionStore>,
) -> SwitchStore {
    let lanes = LaneSet::of(&[Lane::Archive, Lane::Publish]);
    switch_with(lanes, settings, source, target)
}

fn switch_with(
    lanes: LaneSet,
    settings: &Arc<dyn SettingsStore>,
    source: &Arc<dyn InteractionStore>,
    target: &Arc<dyn InteractionStore>,
) -> SwitchStore {
    let settings = Settings::new(Arc::clone(settings), TenantSetting::single(name("old"), lanes));
    let stores = Stores::new([
        (name("old"), Arc::clone(source)),
        (name("new"), Arc::clone(target)),
    ]);
    SwitchStore::new(stores.unwrap(), settings, SwitchConfig::new(KEY)).unwrap()
}

impl World {
    pub(crate) async fn new(source: Arc<dyn InteractionStore>, target: Arc<dyn InteractionStore>) -> Self {
        Self::asked_by(source, target, |source, target| (source, target)).await
    }

    /// A world whose switch has other handles on the stores than the test.
    pub(crate) async fn asked_by(
        source: Arc<dyn InteractionStore>,
        target: Arc<dyn InteractionStore>,
        wrap: impl FnOnce(
            Arc<dyn InteractionStore>,
            Arc<dyn InteractionStore>,
        ) -> (Arc<dyn InteractionStore>, Arc<dyn InteractionStore>),
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let archive = archive_in(folder.path()).await;
        let settings: Arc<dyn SettingsStore> = Arc::new(MemorySettings::new());
        let (asked_source, asked_target) = wrap(Arc::clone(&source), Arc::clone(&target));
        let switch = switch_of(&settings, &asked_source, &asked_target);
        let lanes = LaneSet::of(&[Lane::Archive, Lane::Publish]);
        source.outbox().unwrap().set_lanes(lanes).await.unwrap();
        // What the target records as live would be told.
        let lanes = LaneSet::of(&Lane::ALL);
        target.outbox().unwrap().set_lanes(lanes).await.unwrap();
        Self {
            exporter: exporter_of(&archive, &source),
            migrator: Migrator::new(switch.clone()),
            folder,
            source,
            target,
            archive,
            settings,
            switch,
        }
    }

    /// So many interactions, and a decision to every fifth.
    pub(crate) async fn fill(&self, numbers: std::ops::Range<u64>) {
        fill(&self.source, numbers).await;
    }

    async fn start(&self) -> Known {
        start(&self.migrator).await
    }

    async fn export(&self) {
        export(&self.exporter).await;
    }

    /// Filled, replicated and exported.
    async fn ready(self, count: u64) -> Self {
        self.fill(0..count).await;
        self.start().await;
        self.export().await;
        self
    }

    fn backfiller(&self) -> Backfiller {
        self.backfiller_of(config())
    }

    fn backfiller_of(&self, config: BackfillConfig) -> Backfiller {
        Backfiller::new(self.migrator.clone(), self.archive.clone(), config)
    }

    async fn begin(&self) -> Known {
        self.backfiller().begin(&tenant(), "test", "CHG-1").await.unwrap()
    }

    /// Every object of interactions.
    fn objects(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        collect(
            &self.folder.path().join("exports/acme/interaction_history"),
            &mut found,
        );
        found.retain(|path| path.metadata().unwrap().len() > 0);
        found.sort();
        found
    }

    /// The one that holds most.
    pub(crate) fn largest(&self) -> PathBuf {
        let size = |path: &PathBuf| path.metadata().unwrap().len();
        self.objects().into_iter().max_by_key(size).unwrap()
    }

    /// Both sides hold the same rows, decisions and summaries, and nothing lies in a lane of the target's.
    pub(crate) async fn is_equal(&self) {
        is_equal(&self.source, &self.target).await;
    }
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => collect(&entry.path(), found),
            false => found.push(entry.path()),
        }
    }
}

async fn fill(source: &Arc<dyn InteractionStore>, numbers: std::ops::Range<u64>) {
    for number in numbers {
        source.record_event(event(number)).await.unwrap();
        if number % 5 == 0 {
            source.record_decision(decision(number)).await.unwrap();
        }
    }
}

async fn start(migrator: &Migrator) -> Known {
    let start = Step::Start {
        target: name("new"),
        dual_write: DualWrite::Async,
        policy: Policy {
            gate: GateBounds {
                min_reads: 0,
                ..GateBounds::default()
            },
            ..Policy::default()
        },
    };
    let change = Change::new(start, "test", "CHG-1", SystemClock.now()).unwrap();
    migrator.change(&tenant(), &change).await.unwrap();
    migrator.confirm_lanes(&tenant()).await.unwrap()
}

async fn export(exporter: &Exporter) {
    exporter.scan(&tenant()).await.unwrap();
    let exported = exporter.export_once().await.unwrap();
    assert!(exported.complete && exported.failed.is_empty(), "{exported:?}");
}

/// Looks every 10 ms, and keeps little to itself.
pub(crate) fn config() -> BackfillConfig {
    BackfillConfig {
        parallel: 3,
        chunk_records: 20,
        every: Duration::from_millis(10),
        lease: Duration::from_secs(30),
        ..BackfillConfig::default()
    }
}

pub(crate) async fn decisions(store: &dyn InteractionStore) -> BTreeMap<String, Accepted<Decision>> {
    let mut query = ScanQuery::new(tenant());
    let mut found = BTreeMap::new();
    loop {
        let page = store.scan_decisions(query.clone()).await.unwrap();
        for row in page.items {
            let id = row.value.id.as_str().to_owned();
            assert!(found.insert(id, row).is_none(), "no decision is there twice");
        }
        match page.next {
            Some(next) => query.cursor = Some(next),
            None => return found,
        }
    }
}

async fn all_summaries(store: &dyn InteractionStore) -> Vec<Vec<Summary>> {
    let mut all = Vec::new();
    for number in 0..CUSTOMERS {
        all.push(summaries(store, &customer(number)).await);
    }
    all
}

pub(crate) async fn is_equal(source: &Arc<dyn InteractionStore>, target: &Arc<dyn InteractionStore>) {
    let (source, target) = (source.as_ref(), target.as_ref());
    assert_eq!(rows(source).await, rows(target).await);
    assert_eq!(decisions(source).await, decisions(target).await);
    assert_eq!(all_summaries(source).await, all_summaries(target).await);
    for lane in Lane::ALL {
        let backlog = target.outbox().unwrap().backlog(lane, &tenant()).await.unwrap();
        assert!(backlog.is_empty(), "nothing is told again: {lane} {backlog:?}");
    }
}

/// Waits until the progress of a backfill is as it should be.
async fn until(backfiller: &Backfiller, holds: impl Fn(&BackfillProgress) -> bool) -> BackfillProgress {
    let waited = async {
        loop {
            let progress = backfiller.progress(&tenant()).await.unwrap();
            if let Some(progress) = progress.filter(|progress| holds(progress)) {
                return progress;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    in_time(waited).await
}

/// What should end, does; a test that hangs says where.
pub(crate) async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(120), what)
        .await
        .expect("it ends")
}

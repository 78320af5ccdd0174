//! `memory.replay`: resident memory above the stores' own caches while ten million events are replayed, exported, and
//! backfilled into another store.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use kaireon_archive::{Archive, ArchiveConfig, ExportConfig, Exporter, Place};
use kaireon_benches::callers::{BATCH, batches, bulk};
use kaireon_benches::workload::{Draw, Workload};
use kaireon_benches::{Figure, Goal, Rounds};
use kaireon_core::digest::MasterKey;
use kaireon_core::memory::MemorySettings;
use kaireon_core::outbox::{Lane, LaneSet};
use kaireon_core::store::ScanQuery;
use kaireon_core::time::{Clock, SystemClock};
use kaireon_core::{InteractionStore, TenantId};
use kaireon_migrate::{
    Backend, BackfillConfig, Backfiller, Change, DualWrite, Migrator, Policy, Settings, Step, Stores,
    SwitchConfig, SwitchStore, TenantSetting,
};
use kaireon_store_embedded::{EmbeddedConfig, EmbeddedStore};

const KEY: MasterKey = MasterKey::new([7; 32]);

/// How many days the events are of: a backfill has as many parts.
const DAYS: u64 = 30;

/// How often resident memory is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// This process's resident memory in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("linux has /proc");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or_default()
}

#[allow(clippy::cast_precision_loss, reason = "memory stays far below 2^52")]
fn mebibytes(kib: u64) -> f64 {
    kib as f64 / 1_024.0
}

/// Looks at resident memory all the time, from a thread of its own.
struct Watch {
    highest: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
}

impl Watch {
    fn begin() -> Self {
        let (highest, ended) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (seen, stop) = (Arc::clone(&highest), Arc::clone(&ended));
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                seen.fetch_max(resident(), Ordering::Relaxed);
                std::thread::sleep(LOOK_EVERY);
            }
        });
        Self { highest, ended }
    }

    /// The highest since the last call.
    fn highest(&self) -> u64 {
        self.highest.swap(resident(), Ordering::Relaxed).max(resident())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

fn tenant() -> TenantId {
    TenantId::new("bench").expect("a valid tenant")
}

/// Reads everything back; returns how many there were.
async fn read_back(store: &Arc<dyn InteractionStore>) -> u64 {
    let mut query = ScanQuery::new(tenant());
    let mut found = 0;
    loop {
        let page = store.scan(query.clone()).await.expect("the disk can be read");
        found += page.items.len() as u64;
        match page.next {
            Some(next) => query.cursor = Some(next),
            None => return found,
        }
    }
}

async fn open(config: EmbeddedConfig) -> Arc<dyn InteractionStore> {
    Arc::new(EmbeddedStore::open(config).await.expect("an empty directory"))
}

/// A migration from one store to the other that replicates already.
async fn replicating(source: &Arc<dyn InteractionStore>, target: &Arc<dyn InteractionStore>) -> Migrator {
    let name = |name| Backend::new(name).expect("a valid name");
    let stores =
        Stores::new([("old", source), ("new", target)].map(|(of, store)| (name(of), Arc::clone(store))));
    let first = TenantSetting::single(name("old"), LaneSet::of(&[Lane::Archive]));
    let settings = Settings::new(Arc::new(MemorySettings::new()), first);
    let switch = SwitchStore::new(stores.expect("two names"), settings, SwitchConfig::new(KEY));
    let migrator = Migrator::new(switch.expect("the stores can be of a switch"));
    let start = Step::Start {
        target: name("new"),
        dual_write: DualWrite::Async,
        policy: Policy::default(),
    };
    let change = Change::new(start, "bench", "a figure", SystemClock.now()).expect("within the bounds");
    migrator
        .change(&tenant(), &change)
        .await
        .expect("nothing is missing");
    migrator
        .confirm_lanes(&tenant())
        .await
        .expect("the stores answer");
    migrator
}

/// The highest resident memory while events are recorded, read, exported and backfilled.
async fn replay(watch: &Watch, folder: &Path, config: EmbeddedConfig, events: u64) -> [u64; 4] {
    let source = open(config.clone()).await;
    let mut workload = Workload::new(Draw::Zipf, 1).over_days(DAYS);
    for _ in 0..events / (BATCH as u64 * 20) {
        bulk(&source, batches(&mut workload, 20)).await;
    }
    let written = watch.highest();
    assert_eq!(read_back(&source).await, events, "what was recorded is read back");
    let read = watch.highest();

    let place = Place::folder(folder.join("archive")).expect("a folder can be made");
    let archive = Archive::open(ArchiveConfig::new(place, KEY))
        .await
        .expect("a new archive");
    let of_tenant = ExportConfig::new("old").with_tenants([tenant()]);
    let exporter = Exporter::new(archive.clone(), Arc::clone(&source), of_tenant).expect("within the bounds");
    let lanes = LaneSet::of(&[Lane::Archive]);
    let outbox = source.outbox().expect("it has an outbox");
    outbox.set_lanes(lanes).await.expect("the disk takes writes");
    let scanned = exporter.scan(&tenant()).await.expect("the disk takes writes");
    assert_eq!(scanned.interactions, events, "everything is exported");
    let exported = watch.highest();

    let config = EmbeddedConfig {
        data_dir: folder.join("target"),
        ..config
    };
    let target = open(config).await;
    let migrator = replicating(&source, &target).await;
    let ended = exporter.export_once().await.expect("the disk takes writes");
    assert!(ended.complete, "nothing waits");
    let backfiller = Backfiller::new(migrator, archive, BackfillConfig::default());
    backfiller
        .begin(&tenant(), "bench", "a figure")
        .await
        .expect("nothing is missing");
    let report = backfiller.run(&tenant()).await.expect("the disk can be read");
    assert!(
        report.completed.is_some() && report.progress.applied == events,
        "all of it is applied"
    );
    let filled = watch.highest();
    for store in [source, target] {
        store.disconnect().await.expect("the disk takes writes");
    }
    [written, read, exported, filled]
}

fn main() {
    let rounds = Rounds::new(Duration::from_secs(1));
    if !rounds.settings.wants("memory.replay") {
        return;
    }
    let events = rounds.settings.scale(10_000_000, 40_000);
    let folder = tempfile::tempdir().expect("a temporary directory");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build();
    let runtime = runtime.expect("a runtime");
    let config = EmbeddedConfig::at(folder.path().join("store")).with_master_key(KEY);
    let caches = (config.block_cache_bytes + config.summary_cache_bytes) >> 10;
    let before = resident();
    let watch = Watch::begin();
    let highest = runtime.block_on(replay(&watch, folder.path(), config, events));
    // While it is filled the other store is open as well.
    let stores = [1, 1, 1, 2];
    let above: Vec<f64> = highest
        .iter()
        .zip(stores)
        .map(|(highest, stores)| mebibytes(*highest) - mebibytes(before + caches * stores))
        .collect();
    let most = highest.iter().copied().max().unwrap_or_default();
    Figure {
        id: "memory.replay".into(),
        value: above.iter().copied().fold(f64::MIN, f64::max),
        unit: "MiB",
        goal: Goal::Reach("≤ 256"),
        raw: Some(mebibytes(caches)),
        ours: Some(mebibytes(most)),
        runs: above,
        note: format!(
            "{events} events recorded in batches of 1,000, scanned back, exported into a folder, and backfilled from it \
             into a second store; raw is one store's own caches, ours the highest resident memory, runs are recording, \
             scanning, exporting and backfilling, the last above the caches of both stores"
        ),
    }
    .print();
}

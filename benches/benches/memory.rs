//! `memory.replay`: resident memory above the store's own caches while ten million events are replayed.

use std::sync::Arc;

use futures_util::StreamExt;
use kaireon_benches::workload::{Draw, Workload};
use kaireon_benches::{Figure, Goal, Rounds};
use kaireon_core::store::{RecordBatch, ScanQuery};
use kaireon_core::{InteractionStore, TenantId};
use kaireon_store_embedded::{EmbeddedConfig, EmbeddedStore};

const BATCH: usize = 1_000;

/// This process's resident memory in MiB.
#[allow(clippy::cast_precision_loss, reason = "kibibytes stay far below 2^52")]
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("linux has /proc");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap_or_default();
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().unwrap_or_default();
    kib as f64 / 1_024.0
}

/// Records so many events; returns the highest resident memory that was seen.
async fn record(store: &Arc<dyn InteractionStore>, events: u64) -> f64 {
    let mut workload = Workload::new(Draw::Zipf, 1);
    let mut highest: f64 = 0.0;
    for _ in 0..events / (BATCH as u64 * 20) {
        let calls = (0..20)
            .map(|_| workload.by_ref().take(BATCH).collect::<Vec<_>>())
            .map(|batch| async {
                let outcome = store
                    .record_events(RecordBatch::live(batch))
                    .await
                    .expect("the disk takes writes");
                assert!(outcome.is_complete(), "fresh keys are new");
            });
        futures_util::stream::iter(calls)
            .buffer_unordered(2)
            .collect::<()>()
            .await;
        highest = highest.max(resident());
    }
    highest
}

/// Reads everything back; returns how many there were and the highest resident memory that was seen.
async fn read_back(store: &Arc<dyn InteractionStore>) -> (u64, f64) {
    let mut query = ScanQuery::new(TenantId::new("bench").expect("a valid tenant"));
    let (mut found, mut highest): (u64, f64) = (0, 0.0);
    loop {
        let page = store.scan(query.clone()).await.expect("the disk can be read");
        found += page.items.len() as u64;
        if found % 100_000 == 0 {
            highest = highest.max(resident());
        }
        match page.next {
            Some(next) => query.cursor = Some(next),
            None => return (found, highest.max(resident())),
        }
    }
}

fn main() {
    let rounds = Rounds::new(std::time::Duration::from_secs(1));
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
    let config = EmbeddedConfig::at(folder.path().join("store"));
    let caches = config.block_cache_bytes + config.summary_cache_bytes;
    let before = resident();
    let (written, read) = runtime.block_on(async {
        let store: Arc<dyn InteractionStore> =
            Arc::new(EmbeddedStore::open(config).await.expect("an empty directory"));
        let written = record(&store, events).await;
        let (found, read) = read_back(&store).await;
        assert_eq!(found, events, "what was recorded is read back");
        store.disconnect().await.expect("the disk takes writes");
        (written, read)
    });
    #[allow(clippy::cast_precision_loss, reason = "a cache is smaller than 2^52 bytes")]
    let caches = caches as f64 / f64::from(1_u32 << 20);
    let value = written.max(read) - before - caches;
    Figure {
        id: "memory.replay".into(),
        value,
        unit: "MiB",
        goal: Goal::Reach("≤ 256"),
        raw: Some(caches),
        ours: Some(written.max(read)),
        runs: vec![written - before - caches, read - before - caches],
        note: format!(
            "{events} events recorded in batches of 1,000 and scanned back; raw is the store's own caches, ours the \
             highest resident memory, runs are recording and scanning; without export and backfill, which come with \
             their crates"
        ),
    }
    .print();
}

//! The memory of a backfill, measured: bounded, however much passes through.

use std::io::Read;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;

use async_trait::async_trait;
use kaireon_core::memory::{MemoryOptions, MemoryPlace, MemoryStore};
use kaireon_core::outbox::Outbox;
use kaireon_core::store::{
    BatchOutcome, FenceRequest, FenceState, Generation, Page, RecordBatch, Recorded, ScanCursor,
    StoreCapabilities, SummaryQuery, Tombstone,
};
use kaireon_core::{Result, TenantId};

use super::*;

const ROWS: u64 = 60_000;

/// A store that makes its rows as they are scanned and forgets what it is given, so that none of them is in memory.
#[derive(Debug)]
struct Hollow(MemoryStore);

#[async_trait]
impl InteractionStore for Hollow {
    fn capabilities(&self) -> StoreCapabilities {
        self.0.capabilities()
    }

    async fn record_event(&self, event: Interaction) -> Result<Recorded> {
        Ok(Recorded::new(event.id.clone()))
    }

    async fn record_events(&self, batch: RecordBatch<Interaction>) -> Result<BatchOutcome<Recorded>> {
        let mut outcome = BatchOutcome::with_capacity(batch.records.len());
        for record in batch.records {
            outcome.push(Ok(Recorded::new(record.value.id.clone())));
        }
        Ok(outcome)
    }

    async fn get_summaries(&self, query: SummaryQuery) -> Result<Vec<Summary>> {
        self.0.get_summaries(query).await
    }

    async fn disconnect(&self) -> Result<()> {
        self.0.disconnect().await
    }

    async fn scan(&self, query: ScanQuery) -> Result<Page<Accepted<Interaction>, ScanCursor>> {
        let first = query.cursor.map_or(0, |cursor| cursor.as_str().parse().unwrap());
        let last = (first + u64::from(query.limit)).min(ROWS);
        let row = |number| Accepted {
            value: event(number),
            generation: Generation::ZERO,
        };
        Ok(Page {
            items: (first..last).map(row).collect(),
            next: (last < ROWS).then(|| ScanCursor::new(last.to_string())),
        })
    }

    async fn install_tombstones(&self, tenant: &TenantId, tombstones: Vec<Tombstone>) -> Result<()> {
        self.0.install_tombstones(tenant, tombstones).await
    }

    async fn raise_fence(&self, request: FenceRequest) -> Result<FenceState> {
        self.0.raise_fence(request).await
    }

    async fn fence(&self, tenant: &TenantId) -> Result<FenceState> {
        self.0.fence(tenant).await
    }

    fn outbox(&self) -> Option<Arc<dyn Outbox>> {
        self.0.outbox()
    }
}

/// The most that this process has had in memory, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// The peak is of a whole process, so the measure is taken in one that runs nothing else.
const ALONE: &str = "KAIREON_BACKFILL_MEMORY_ALONE";

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_backfill_keeps_within_its_bounds() {
    if std::env::var_os(ALONE).is_none() {
        let test = "backfill::bounds::a_backfill_keeps_within_its_bounds";
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture"])
            .env(ALONE, "1")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = read(child.stdout.take().unwrap());
        let failed = read(child.stderr.take().unwrap());
        let begun = Instant::now();
        let ended = loop {
            if let Some(ended) = child.try_wait().unwrap() {
                break ended;
            }
            if begun.elapsed() > Duration::from_secs(300) {
                child.kill().unwrap();
                break child.wait().unwrap();
            }
            thread::sleep(Duration::from_millis(20));
        };
        let (said, failed) = (said.join().unwrap(), failed.join().unwrap());
        println!("{said}");
        assert!(ended.success() && said.contains("1 passed"), "{ended}: {failed}");
        return;
    }
    let hollow = || -> Arc<dyn InteractionStore> {
        let options = MemoryOptions::default().with_master_key(KEY);
        Arc::new(Hollow(MemoryPlace::new(options).open()))
    };
    let world = World::new(hollow(), hollow()).await;
    world.start().await;
    let place = Place::folder(world.folder.path()).unwrap();
    let config = ArchiveConfig::new(place, KEY).with_max_object_bytes(1 << 19);
    let archive = Archive::open(config).await.unwrap();
    let config = ExportConfig {
        max_buffered_bytes: 2 << 20,
        ..ExportConfig::new("old").with_tenants([tenant()])
    };
    let exporter = Exporter::new(archive.clone(), Arc::clone(&world.source), config).unwrap();
    let before = peak();
    export(&exporter).await;
    let exported = peak() - before;
    let backfiller = Backfiller::new(world.migrator.clone(), archive, config_of_two());
    backfiller.begin(&tenant(), "test", "CHG-1").await.unwrap();
    let report = in_time(backfiller.run(&tenant())).await.unwrap();
    let both = peak() - before;
    let progress = report.progress;
    println!(
        "{} rows of {} bytes: {exported} KiB for the export, {both} KiB with the backfill",
        progress.applied, progress.bytes_total
    );
    assert!(report.completed.is_some());
    assert_eq!(progress.applied, ROWS);
    // Two objects and two chunks beside what the export had, and far below what passed through.
    assert!(progress.bytes_total > 24_000_000, "{}", progress.bytes_total);
    assert!(both < 16 << 10, "{both} KiB");
}

/// Reads to the end, so that whoever writes is not held up.
#[cfg(target_os = "linux")]
fn read(mut from: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut all = Vec::new();
        from.read_to_end(&mut all).unwrap();
        String::from_utf8_lossy(&all).into_owned()
    })
}

fn config_of_two() -> BackfillConfig {
    BackfillConfig {
        parallel: 2,
        chunk_records: 1_000,
        ..config()
    }
}

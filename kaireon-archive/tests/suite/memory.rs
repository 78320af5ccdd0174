//! The memory of an export and of a reading, measured: bounded, however much passes through.

use std::process::Command;
use std::sync::Arc;

use crate::support::{in_force, interaction, key, tenant};
use async_trait::async_trait;
use kaireon_archive::{Archive, ArchiveConfig, ExportConfig, Exporter, Place, ReadOptions, ReadProgress};
use kaireon_core::memory::MemoryStore;
use kaireon_core::outbox::Outbox;
use kaireon_core::store::{
    Accepted, FenceState, Generation, Page, Recorded, ScanCursor, ScanQuery, StoreCapabilities, SummaryQuery,
};
use kaireon_core::{Interaction, InteractionStore, Result, Summary, TenantId};

const ROWS: u64 = 60_000;

/// A store that makes its rows as they are scanned, so that none of them is in memory.
#[derive(Debug)]
struct Endless(MemoryStore);

#[async_trait]
impl InteractionStore for Endless {
    fn capabilities(&self) -> StoreCapabilities {
        self.0.capabilities()
    }

    async fn record_event(&self, event: Interaction) -> Result<Recorded> {
        self.0.record_event(event).await
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
            value: interaction("acme", number),
            generation: Generation::ZERO,
        };
        Ok(Page {
            items: (first..last).map(row).collect(),
            next: (last < ROWS).then(|| ScanCursor::new(last.to_string())),
        })
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
const ALONE: &str = "KAIREON_ARCHIVE_MEMORY_ALONE";

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_export_and_a_reading_keep_within_their_bounds() {
    if std::env::var_os(ALONE).is_none() {
        let test = "memory::an_export_and_a_reading_keep_within_their_bounds";
        let measured = Command::new(std::env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture"])
            .env(ALONE, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&measured.stdout);
        println!("{said}");
        let failed = String::from_utf8_lossy(&measured.stderr);
        assert!(measured.status.success() && said.contains("1 passed"), "{failed}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn InteractionStore> = Arc::new(Endless(MemoryStore::new()));
    in_force(&store).await;
    let acme = tenant("acme");
    let config =
        ArchiveConfig::new(Place::folder(folder.path()).unwrap(), key()).with_max_object_bytes(1 << 19);
    let archive = Archive::open(config).await.unwrap();
    let config = ExportConfig {
        max_buffered_bytes: 2 << 20,
        ..ExportConfig::new("main")
    };
    let exporter = Exporter::new(archive.clone(), store, config).unwrap();
    let before = peak();
    let scan = exporter.scan(&acme).await.unwrap();
    assert_eq!(scan.interactions, ROWS);
    let exported = peak() - before;
    let options = ReadOptions {
        parallel: 2,
        buffered_chunks: 2,
        ..ReadOptions::default()
    };
    let mut reader = archive
        .read::<Interaction>(&acme, &ReadProgress::start(), options)
        .await
        .unwrap();
    let (mut read, mut bytes) = (0, 0);
    while let Some(chunk) = reader.next().await.unwrap() {
        read += chunk.records.len() as u64;
    }
    for day in archive
        .days(&acme, kaireon_archive::Kind::Interactions)
        .await
        .unwrap()
    {
        bytes += day.bytes;
    }
    let both = peak() - before;
    println!("{read} records of {bytes} bytes: {exported} KiB for the export, {both} KiB with the reading");
    assert_eq!(read, ROWS);
    // 2 MiB of lines, their compressed or copied bytes, pages, the allocator's own: and far below what passed through.
    assert!(bytes > 24_000_000, "{bytes}");
    assert!(both < 12 << 10, "{both} KiB");
}

//! Exports of the lane and of what was there before, into folders and memory.

use std::sync::Arc;

use crate::support::{archive, counted, decision, each_once, in_force, interaction, store, tenant};
use kaireon_archive::{ExportConfig, Exporter, Kind, Place, Progress, ProgressSink};
use kaireon_core::{Error, ErrorKind};

#[tokio::test]
async fn what_is_recorded_lies_once_in_the_partition_of_its_own_day() {
    let folder = tempfile::tempdir().unwrap();
    let store = store().await;
    for number in 0..60 {
        store.record_event(interaction("acme", number)).await.unwrap();
        store.record_decision(decision("acme", number)).await.unwrap();
    }
    let archive = archive(Place::folder(folder.path()).unwrap()).await;
    let exporter = Exporter::new(archive.clone(), Arc::clone(&store), ExportConfig::new("main")).unwrap();
    let exported = exporter.export_once().await.unwrap();
    assert!(exported.complete && exported.failed.is_empty(), "{exported:?}");
    assert_eq!((exported.interactions, exported.decisions), (60, 60));
    let acme = tenant("acme");
    each_once(&counted(folder.path(), &acme, Kind::Interactions), "key-", 0..60);
    each_once(&counted(folder.path(), &acme, Kind::Decisions), "rec-", 0..60);
    let days = archive.days(&acme, Kind::Interactions).await.unwrap();
    assert_eq!(days.iter().map(|day| day.records).sum::<u64>(), 60);
    assert!(days.len() > 3 && days.is_sorted_by_key(|day| day.day), "{days:?}");
    // A late arrival lands in a later batch of its own day.
    store.record_event(interaction("acme", 60)).await.unwrap();
    let again = exporter.export_once().await.unwrap();
    assert_eq!((again.interactions, again.objects), (1, 1));
    each_once(&counted(folder.path(), &acme, Kind::Interactions), "key-", 0..61);
    assert_eq!(exporter.export_once().await.unwrap().objects, 0);
}

#[tokio::test]
async fn a_scan_and_the_lane_write_what_both_have_seen_once() {
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn kaireon_core::InteractionStore> = Arc::new(kaireon_core::memory::MemoryStore::new());
    let archive = archive(Place::folder(folder.path()).unwrap()).await;
    let acme = tenant("acme");
    let config = ExportConfig::new("main").with_tenants([acme.clone()]);
    let exporter = Exporter::new(archive.clone(), Arc::clone(&store), config).unwrap();
    for number in 0..30 {
        store.record_event(interaction("acme", number)).await.unwrap();
    }
    let refused = exporter.scan(&acme).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Config);
    in_force(&store).await;
    // Exported by the lane before the scan begins, and seen by the scan as well.
    for number in 30..40 {
        store.record_event(interaction("acme", number)).await.unwrap();
    }
    assert_eq!(exporter.export_once().await.unwrap().interactions, 10);
    // In the lane while the scan goes on.
    for number in 40..50 {
        store.record_event(interaction("acme", number)).await.unwrap();
    }
    let scan = exporter.scan(&acme).await.unwrap();
    assert_eq!((scan.interactions, scan.ended.is_some()), (40, true));
    let fence = store.fence(&acme).await.unwrap();
    let exported = exporter.export_once().await.unwrap();
    assert_eq!(
        (exported.interactions, exported.held_already),
        (0, 10),
        "{exported:?}"
    );
    each_once(&counted(folder.path(), &acme, Kind::Interactions), "key-", 0..50);
    let state = archive.export_state(&acme).await.unwrap();
    let through = state[0].complete_through.expect("the lane was emptied");
    assert_eq!(
        (through.incarnation, through.sequence),
        (fence.incarnation, fence.sequence)
    );
    assert_eq!(
        exporter.scan(&acme).await.unwrap(),
        scan,
        "a second call repeats it"
    );
}

#[tokio::test]
async fn a_source_that_is_another_store_than_before_is_scanned_anew() {
    let folder = tempfile::tempdir().unwrap();
    let archive = archive(Place::folder(folder.path()).unwrap()).await;
    let acme = tenant("acme");
    let mut scans = Vec::new();
    for numbers in [0..30, 20..50] {
        let store: Arc<dyn kaireon_core::InteractionStore> =
            Arc::new(kaireon_core::memory::MemoryStore::new());
        in_force(&store).await;
        for number in numbers {
            store.record_event(interaction("acme", number)).await.unwrap();
        }
        let config = ExportConfig::new("main").with_tenants([acme.clone()]);
        let exporter = Exporter::new(archive.clone(), Arc::clone(&store), config).unwrap();
        let scan = exporter.scan(&acme).await.unwrap();
        assert!(scan.ended.is_some());
        assert_eq!(
            scan.begun.incarnation,
            store.fence(&acme).await.unwrap().incarnation
        );
        let through = || async { archive.export_state(&acme).await.unwrap()[0].complete_through };
        exporter.export_once().await.unwrap();
        assert_eq!(through().await.unwrap().incarnation, scan.begun.incarnation);
        assert_eq!(
            exporter.scan(&acme).await.unwrap(),
            scan,
            "a second call repeats it"
        );
        scans.push(scan.interactions);
    }
    assert_eq!(scans, [30, 20], "ten are there already");
    each_once(&counted(folder.path(), &acme, Kind::Interactions), "key-", 0..50);
}

/// Adds up what it is told.
#[derive(Debug, Default)]
struct Told(std::sync::Mutex<(u64, u64)>);

impl ProgressSink for Told {
    fn wrote(&self, progress: &Progress) {
        let mut told = self.0.lock().unwrap();
        told.0 += 1;
        told.1 += progress.records;
    }
}

#[tokio::test]
async fn progress_is_told_object_by_object() {
    let store = store().await;
    for number in 0..40 {
        store.record_event(interaction("acme", number)).await.unwrap();
    }
    let told = Arc::new(Told::default());
    let config = ExportConfig {
        progress: Some(Arc::<Told>::clone(&told)),
        max_buffered_bytes: 4_000,
        page: 5,
        ..ExportConfig::new("main")
    };
    let exporter = Exporter::new(archive(Place::memory()).await, store, config).unwrap();
    let exported = exporter.export_once().await.unwrap();
    assert_eq!(*told.0.lock().unwrap(), (exported.objects, 40));
    assert!(exported.objects > 6, "{exported:?}");
}

#[tokio::test]
async fn hostile_tenants_are_exported_each_into_its_own_folder() {
    let folder = tempfile::tempdir().unwrap();
    let store = store().await;
    let long = "é".repeat(128);
    let names = [
        "..",
        ".",
        "/",
        "a/../b",
        "%2e",
        "year=2026",
        "_plans",
        "日本語",
        &long,
        "ACME",
        "acme",
    ];
    for name in names {
        for number in 0..5 {
            store.record_event(interaction(name, number)).await.unwrap();
        }
    }
    let archive = archive(Place::folder(folder.path().join("place")).unwrap()).await;
    let exporter = Exporter::new(archive.clone(), store, ExportConfig::new("main")).unwrap();
    let exported = exporter.export_once().await.unwrap();
    assert_eq!(exported.interactions, 5 * names.len() as u64, "{exported:?}");
    for name in names {
        let counts = counted(&folder.path().join("place"), &tenant(name), Kind::Interactions);
        each_once(&counts, "key-", 0..5);
    }
    let mut expected: Vec<_> = names.iter().map(|name| tenant(name)).collect();
    expected.sort();
    assert_eq!(archive.tenants().await.unwrap(), expected);
    let outside: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(outside.len(), 1, "nothing was written beside the place");
}

#[tokio::test]
async fn a_lane_that_leads_elsewhere_is_neither_exported_nor_said_to_be() {
    let store = store().await;
    store.record_event(interaction("acme", 0)).await.unwrap();
    let archive = archive(Place::memory()).await;
    let exporter =
        |source: &str| Exporter::new(archive.clone(), Arc::clone(&store), ExportConfig::new(source)).unwrap();
    let (main, other) = (exporter("main"), exporter("other"));
    assert_eq!(main.export_once().await.unwrap().interactions, 1);
    // The lane is empty: what it held lies under another source's name.
    let refused = other.export_once().await.unwrap();
    assert_eq!((refused.interactions, refused.complete), (0, false));
    store.record_event(interaction("acme", 1)).await.unwrap();
    assert_eq!(other.export_once().await.unwrap().interactions, 0);
    let exported = main.export_once().await.unwrap();
    assert_eq!((exported.interactions, exported.complete), (1, true));
}

#[tokio::test]
async fn what_a_reader_keeps_is_changed_over_what_others_wrote_and_is_no_batch() {
    let folder = tempfile::tempdir().unwrap();
    let acme = tenant("acme");
    for place in [Place::memory(), Place::folder(folder.path()).unwrap()] {
        let archive = archive(place).await;
        assert_eq!(archive.checkpoint::<u64>(&acme, "reader").await.unwrap(), None);
        let changes = (0..16).map(|_| {
            archive.change_checkpoint(&acme, "reader", |found: Option<u64>| {
                Ok(Some(found.unwrap_or(0) + 1))
            })
        });
        for changed in futures_util::future::join_all(changes).await {
            changed.unwrap();
        }
        assert_eq!(archive.checkpoint(&acme, "reader").await.unwrap(), Some(16_u64));
        // One that is not to be changed stays, and so does that of another name or tenant.
        let refused = archive
            .change_checkpoint(&acme, "reader", |_: Option<u64>| Err(Error::conflict("mine")))
            .await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Conflict);
        assert_eq!(archive.checkpoint::<u64>(&acme, "../reader").await.unwrap(), None);
        assert_eq!(
            archive
                .checkpoint::<u64>(&tenant("other"), "reader")
                .await
                .unwrap(),
            None
        );
        assert_eq!(archive.checkpoint(&acme, "reader").await.unwrap(), Some(16_u64));
        let long = archive
            .checkpoint::<u64>(&acme, &"x".repeat(129))
            .await
            .unwrap_err();
        assert_eq!(long.field(), Some("checkpoint"));
    }
    assert!(counted(folder.path(), &acme, Kind::Interactions).is_empty());
}

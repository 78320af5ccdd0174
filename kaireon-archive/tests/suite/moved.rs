//! A tenant that was moved: two stores with the same history, exported into one archive.

use std::sync::Arc;

use crate::support::{archive, counted, decision, each_once, in_force, interaction, tenant};
use kaireon_archive::{ExportConfig, Exporter, Kind, Place};
use kaireon_core::InteractionStore;
use kaireon_core::memory::MemoryStore;

/// A store that had all of this before its lane was in force.
async fn filled(numbers: std::ops::Range<u64>) -> Arc<dyn InteractionStore> {
    let store: Arc<dyn InteractionStore> = Arc::new(MemoryStore::new());
    for number in numbers {
        store.record_event(interaction("acme", number)).await.unwrap();
        store.record_decision(decision("acme", number)).await.unwrap();
    }
    in_force(&store).await;
    store
}

#[tokio::test]
async fn the_scan_of_the_store_that_a_tenant_was_moved_to_writes_nothing_a_second_time() {
    let folder = tempfile::tempdir().unwrap();
    let archive = archive(Place::folder(folder.path()).unwrap()).await;
    let acme = tenant("acme");
    // Several chunks each, so that each scan also meets its own objects.
    let exporter = |source: &str, store| {
        let config = ExportConfig {
            page: 10,
            max_buffered_bytes: 4_000,
            ..ExportConfig::new(source).with_tenants([acme.clone()])
        };
        Exporter::new(archive.clone(), store, config).unwrap()
    };
    let old = exporter("old", filled(0..40).await);
    assert_eq!(old.scan(&acme).await.unwrap().interactions, 40);
    let new = exporter("new", filled(0..60).await);
    let scan = new.scan(&acme).await.unwrap();
    assert_eq!((scan.interactions, scan.decisions), (20, 20));
    each_once(&counted(folder.path(), &acme, Kind::Interactions), "key-", 0..60);
    each_once(&counted(folder.path(), &acme, Kind::Decisions), "rec-", 0..60);
}

#[tokio::test]
async fn what_the_archive_lacks_of_a_store_is_counted() {
    let archive = archive(Place::memory()).await;
    let acme = tenant("acme");
    let store = filled(0..40).await;
    let exporter = Exporter::new(archive, Arc::clone(&store), ExportConfig::new("old")).unwrap();
    exporter.scan(&acme).await.unwrap();
    let far = kaireon_core::time::from_millis(4_000_000_000_000).unwrap();
    let held = exporter.verify(&acme, far).await.unwrap();
    assert_eq!((held.looked_for, held.missing), (80, 0));
    store.record_event(interaction("acme", 40)).await.unwrap();
    let held = exporter.verify(&acme, far).await.unwrap();
    assert_eq!((held.looked_for, held.missing), (81, 1), "it is in the lane only");
}

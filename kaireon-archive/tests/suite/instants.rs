//! A process that dies around each single change of the object store: exports, scans, erasures and retention go on from
//! there, and every record is in the batches once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::support::dying::{Dies, Dying, counted_in, shared, texts};
use crate::support::{customer_name, decision, each_once, interaction, key, noon, store, tenant};
use kaireon_archive::{Archive, ArchiveConfig, ExportConfig, Exporter, Kind, Place, RetentionPolicy};
use kaireon_core::store::{Erasure, ErasureId, ErasurePlace, Generation};
use kaireon_core::time::{Clock, ManualClock};
use kaireon_core::{CustomerId, InteractionStore, TenantId};
use object_store::memory::InMemory;

const RECORDS: u64 = 24;

/// An exporter that always has the same name, as the next life of a process that is configured so: it need not wait
/// for the leases of the one that died.
fn exporter(archive: Archive, store: &Arc<dyn InteractionStore>, tenants: &[TenantId]) -> Exporter {
    let config = ExportConfig {
        owner: "the exporter".to_owned(),
        page: 5,
        max_buffered_entries: 12,
        max_buffered_bytes: 8_000,
        min_pause: Duration::ZERO,
        ..ExportConfig::new("main").with_tenants(tenants.to_vec())
    };
    Exporter::new(archive, Arc::clone(store), config).unwrap()
}

async fn open(place: Place) -> Archive {
    let config = ArchiveConfig::new(place, key()).with_max_object_bytes(1_500);
    Archive::open(config).await.unwrap()
}

/// Opens on a store that dies later: what is asked at the opening is not what is tested.
async fn open_dying(inner: &Arc<InMemory>, changes: i64, dies: Dies) -> (Archive, Arc<Dying>) {
    open(shared(inner)).await;
    let probes = 5;
    let dying = Arc::new(Dying::after(inner, changes + probes, dies));
    let archive = open(shared(&dying)).await;
    (archive, dying)
}

async fn filled() -> Arc<dyn InteractionStore> {
    let store = store().await;
    for number in 0..RECORDS {
        store.record_event(interaction("acme", number)).await.unwrap();
        store.record_decision(decision("acme", number)).await.unwrap();
    }
    store
}

#[tokio::test]
async fn an_export_that_dies_around_any_change_is_finished_by_the_next_one() {
    let mut died = 0;
    for dies in [Dies::Before, Dies::After] {
        for changes in 0.. {
            let store = filled().await;
            let inner = Arc::new(InMemory::new());
            let (archive, dying) = open_dying(&inner, changes, dies).await;
            let _ = exporter(archive, &store, &[]).export_once().await;
            for (key, count) in counted_in(&inner, "interaction_history", "idempotency_key").await {
                assert_eq!(count, 1, "{key} right after {changes} changes ({dies:?})");
            }
            let next = exporter(open(shared(&inner)).await, &store, &[]);
            let exported = next.export_once().await.unwrap();
            assert!(exported.complete && exported.failed.is_empty(), "{exported:?}");
            let counts = counted_in(&inner, "interaction_history", "idempotency_key").await;
            each_once(&counts, "key-", 0..RECORDS);
            each_once(&counted_in(&inner, "decisions", "id").await, "rec-", 0..RECORDS);
            check_manifests(next.archive(), RECORDS).await;
            let plans: Vec<_> = texts(&inner).await.into_iter().map(|(path, _)| path).collect();
            assert!(!plans.iter().any(|path| path.contains("_plans")), "{plans:?}");
            if !dying.is_dead() {
                break;
            }
            died += 1;
        }
    }
    println!("an export died {died} times");
    assert!(died > 60, "{died}");
}

#[tokio::test]
async fn a_scan_that_dies_around_any_change_is_finished_by_the_next_one() {
    let (acme, mut died) = (tenant("acme"), 0);
    for dies in [Dies::Before, Dies::After] {
        for changes in 0.. {
            let store = filled().await;
            let inner = Arc::new(InMemory::new());
            let (archive, dying) = open_dying(&inner, changes, dies).await;
            let first = exporter(archive, &store, std::slice::from_ref(&acme));
            let _ = first.scan(&acme).await;
            let _ = first.export_once().await;
            // Recorded between two lives: in the lane, and seen by what is left of the scan.
            store.record_event(interaction("acme", RECORDS)).await.unwrap();
            let archive = open(shared(&inner)).await;
            let next = exporter(archive, &store, std::slice::from_ref(&acme));
            let scan = next.scan(&acme).await.unwrap();
            assert!(scan.ended.is_some());
            assert!(next.export_once().await.unwrap().complete);
            let counts = counted_in(&inner, "interaction_history", "idempotency_key").await;
            each_once(&counts, "key-", 0..=RECORDS);
            each_once(&counted_in(&inner, "decisions", "id").await, "rec-", 0..RECORDS);
            check_manifests(next.archive(), RECORDS + 1).await;
            if !dying.is_dead() {
                break;
            }
            died += 1;
        }
    }
    println!("a scan died {died} times");
    assert!(died > 60, "{died}");
}

/// The manifests count what is there, and every object is what they say.
async fn check_manifests(archive: &Archive, interactions: u64) {
    let acme = tenant("acme");
    let days = archive.days(&acme, Kind::Interactions).await.unwrap();
    assert_eq!(days.iter().map(|day| day.records).sum::<u64>(), interactions);
    let mut reader = archive
        .read::<kaireon_core::Interaction>(&acme, &Default::default(), Default::default())
        .await
        .unwrap();
    let mut read = 0;
    while let Some(chunk) = reader.next().await.unwrap() {
        assert!(chunk.bad.is_empty());
        read += chunk.records.len() as u64;
    }
    assert_eq!(read, interactions);
}

#[tokio::test]
async fn an_erasure_that_dies_around_any_change_is_finished_by_the_next_one() {
    let (acme, mut died) = (tenant("acme"), 0);
    let request = Erasure {
        tenant: acme.clone(),
        customer: CustomerId::new(customer_name(3)).unwrap(),
        id: ErasureId::new("ticket-1").unwrap(),
    };
    for dies in [Dies::Before, Dies::After] {
        for changes in 0.. {
            let store = filled().await;
            let inner = Arc::new(InMemory::new());
            let archive = open(shared(&inner)).await;
            exporter(archive, &store, &[]).export_once().await.unwrap();
            let receipt = store.erase_customer(request.clone()).await.unwrap();
            let (archive, dying) = open_dying(&inner, changes, dies).await;
            let _ = archive.erase(&request, receipt.generation).await;
            for (key, count) in counted_in(&inner, "interaction_history", "idempotency_key").await {
                assert_eq!(count, 1, "{key} right after {changes} changes ({dies:?})");
            }
            let archive = open(shared(&inner)).await;
            let erased = archive.erase(&request, receipt.generation).await.unwrap();
            assert_eq!(
                (erased.interactions, erased.decisions),
                (3, 3),
                "{changes} {dies:?}"
            );
            assert_eq!(archive.erase(&request, receipt.generation).await.unwrap(), erased);
            let place: &dyn ErasurePlace = &archive;
            let counted = place.erase_customer(&request, receipt.generation).await;
            assert_eq!((place.place(), counted.unwrap()), ("archive", 6));
            for (path, text) in texts(&inner).await {
                assert!(!text.contains(&customer_name(3)), "{path}");
            }
            let counts = counted_in(&inner, "interaction_history", "idempotency_key").await;
            each_once(&counts, "key-", (0..RECORDS).filter(|number| number % 10 != 3));
            check_manifests(&archive, RECORDS - 3).await;
            if !dying.is_dead() {
                break;
            }
            died += 1;
        }
    }
    println!("an erasure died {died} times");
    assert!(died > 20, "{died}");
}

#[tokio::test]
async fn an_erasure_finds_what_a_dead_exporter_left_half_written() {
    let acme = tenant("acme");
    let request = Erasure {
        tenant: acme.clone(),
        customer: CustomerId::new(customer_name(3)).unwrap(),
        id: ErasureId::fresh(),
    };
    for dies in [Dies::Before, Dies::After] {
        for changes in 0..40 {
            let store = filled().await;
            let inner = Arc::new(InMemory::new());
            let (archive, _) = open_dying(&inner, changes, dies).await;
            let _ = exporter(archive, &store, &[]).export_once().await;
            let receipt = store.erase_customer(request.clone()).await.unwrap();
            let archive = open(shared(&inner)).await;
            archive.erase(&request, receipt.generation).await.unwrap();
            for (path, text) in texts(&inner).await {
                assert!(!text.contains(&customer_name(3)), "{path}");
            }
            // The next exporter does not bring the customer back, and loses nobody else.
            let next = exporter(archive.clone(), &store, &[]);
            assert!(next.export_once().await.unwrap().complete);
            let counts = counted_in(&inner, "interaction_history", "idempotency_key").await;
            each_once(&counts, "key-", (0..RECORDS).filter(|number| number % 10 != 3));
            // Under the next generation the customer is a customer again.
            let again = interaction("acme", 103);
            store.record_event(again).await.unwrap();
            assert_eq!(next.export_once().await.unwrap().interactions, 1);
            assert_eq!(
                archive.tombstones(&acme).await.unwrap()[0].generation,
                Generation(1)
            );
        }
    }
}

#[tokio::test]
async fn retention_that_dies_around_any_change_is_finished_by_the_next_one() {
    let (acme, mut died) = (tenant("acme"), 0);
    let policy = RetentionPolicy::default();
    for dies in [Dies::Before, Dies::After] {
        for changes in 0.. {
            let store = filled().await;
            let inner = Arc::new(InMemory::new());
            let archive = open(shared(&inner)).await;
            let first = exporter(archive, &store, std::slice::from_ref(&acme));
            first.scan(&acme).await.unwrap();
            first.export_once().await.unwrap();
            // Two of the days lie more than 730 days back.
            let now = noon() + chrono::TimeDelta::days(732);
            let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(now));
            let config = |place| ArchiveConfig::new(place, key()).with_clock(Arc::clone(&clock));
            let probes = 5;
            let dying = Arc::new(Dying::after(&inner, changes + probes, dies));
            let archive = Archive::open(config(shared(&dying))).await.unwrap();
            let _ = exporter(archive, &store, std::slice::from_ref(&acme))
                .retain(&acme, &policy)
                .await;
            let archive = Archive::open(config(shared(&inner))).await.unwrap();
            let next = exporter(archive.clone(), &store, std::slice::from_ref(&acme));
            let report = next.retain(&acme, &policy).await.unwrap();
            assert_eq!(report.missing, 0, "{report:?}");
            let watermark = report.purged.unwrap().watermark;
            let gone: Vec<_> = (0..RECORDS)
                .map(|number| interaction("acme", number))
                .filter(|event| event.timestamp < watermark)
                .collect();
            assert!(!gone.is_empty() && (gone.len() as u64) < RECORDS);
            assert_eq!(rows(&store, &acme).await, RECORDS - gone.len() as u64);
            // The archive keeps the rows, and has the summaries of what went, each once.
            let counts = counted_in(&inner, "interaction_history", "idempotency_key").await;
            each_once(&counts, "key-", 0..RECORDS);
            let mut expected: BTreeMap<String, u64> = BTreeMap::new();
            for event in &gone {
                *expected.entry(event.offer.to_string()).or_default() += 1;
            }
            assert_eq!(
                summarised(&inner).await,
                expected,
                "after {changes} changes ({dies:?})"
            );
            if !dying.is_dead() {
                break;
            }
            died += 1;
        }
    }
    println!("retention died {died} times");
    assert!(died > 20, "{died}");
}

/// Interactions by offer, as the archived summaries count them.
async fn summarised(store: &InMemory) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for (path, text) in texts(store).await {
        let batch = path.contains("/batch-") && path.split('/').nth(2) == Some("summaries");
        for line in text.lines().filter(|_| batch) {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            if line["dimension"] == "offer" {
                let of = |member: &str| line[member].as_u64().unwrap();
                let count = of("positive") + of("negative") + of("neutral");
                let offer = line["dimension_value"].as_str().unwrap().to_owned();
                *counts.entry(offer).or_default() += count;
            }
        }
    }
    counts
}

async fn rows(store: &Arc<dyn InteractionStore>, tenant: &TenantId) -> u64 {
    use kaireon_core::store::ScanQuery;
    let page = store.scan(ScanQuery::new(tenant.clone())).await.unwrap();
    assert!(page.next.is_none());
    page.items.len() as u64
}

#[tokio::test]
async fn what_the_archive_does_not_hold_is_not_purged() {
    let acme = tenant("acme");
    let store = filled().await;
    let inner = Arc::new(InMemory::new());
    let now = noon() + chrono::TimeDelta::days(740);
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(now));
    let config = ArchiveConfig::new(shared(&inner), key()).with_clock(clock);
    let archive = Archive::open(config).await.unwrap();
    let exporter = exporter(archive.clone(), &store, std::slice::from_ref(&acme));
    exporter.scan(&acme).await.unwrap();
    exporter.export_once().await.unwrap();
    // Someone removes one manifest: its objects are of no manifest any more.
    let day = archive.days(&acme, Kind::Interactions).await.unwrap()[0].clone();
    let texts = texts(&inner).await;
    let (path, _) = texts
        .iter()
        .find(|(path, _)| path.contains("_manifests/interaction_history"))
        .unwrap();
    object_store::ObjectStoreExt::delete(&*inner, &object_store::path::Path::parse(path).unwrap())
        .await
        .unwrap();
    let report = exporter.retain(&acme, &RetentionPolicy::default()).await.unwrap();
    assert_eq!((report.missing, report.purged.is_none()), (day.records, true));
    assert_eq!(rows(&store, &acme).await, RECORDS);
}

#[tokio::test]
async fn a_tenant_that_fails_is_tried_again_while_the_others_go_on() {
    let store = store().await;
    for number in 0..30 {
        for name in ["acme", "bad", "zeta"] {
            store.record_event(interaction(name, number)).await.unwrap();
        }
    }
    let inner = Arc::new(InMemory::new());
    let refusing = Arc::new(Dying::refusing(&inner, "exports/bad/interaction_history", 3));
    let archive = open(Place::object_store(refusing)).await;
    let exporter = exporter(archive.clone(), &store, &[]);
    let first = exporter.export_once().await.unwrap();
    assert_eq!(first.failed.keys().collect::<Vec<_>>(), [&tenant("bad")]);
    for name in ["acme", "zeta"] {
        let days = archive.days(&tenant(name), Kind::Interactions).await.unwrap();
        assert_eq!(days.iter().map(|day| day.records).sum::<u64>(), 30, "{name}");
    }
    let mut passes = 0;
    while !exporter.export_once().await.unwrap().failed.is_empty() {
        passes += 1;
        assert!(passes < 20);
    }
    let counts = counted_in(&inner, "interaction_history", "idempotency_key").await;
    assert!(
        counts.len() == 30 && counts.values().all(|&count| count == 3),
        "{counts:?}"
    );
}

#[tokio::test]
async fn a_tenant_that_is_left_alone_for_a_while_is_still_said_to_fail() {
    let store = store().await;
    let (acme, bad) = (tenant("acme"), tenant("bad"));
    for number in 0..10 {
        store.record_event(interaction("acme", number)).await.unwrap();
        store.record_event(interaction("bad", number)).await.unwrap();
    }
    for part in [
        "exports/bad/interaction_history",
        "exports/_plans/main/bad",
        "exports/bad/tenant",
    ] {
        let inner = Arc::new(InMemory::new());
        let refusing = Arc::new(Dying::refusing(&inner, part, 1));
        let archive = open(Place::object_store(refusing)).await;
        let config = ExportConfig {
            min_pause: Duration::from_secs(3_600),
            max_pause: Duration::from_secs(3_600),
            owner: "the exporter".to_owned(),
            ..ExportConfig::new("main").with_tenants([acme.clone(), bad.clone()])
        };
        let exporter = Exporter::new(archive.clone(), Arc::clone(&store), config).unwrap();
        for pass in 0..2 {
            let exported = exporter.export_once().await.unwrap();
            assert_eq!(
                exported.failed.keys().collect::<Vec<_>>(),
                [&bad],
                "{part}, pass {pass}"
            );
        }
        assert_eq!(archive.export_state(&acme).await.unwrap().len(), 1);
        assert!(archive.export_state(&bad).await.unwrap().is_empty(), "{part}");
    }
}

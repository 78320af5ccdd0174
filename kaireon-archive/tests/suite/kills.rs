//! A process that records and exports is killed with SIGKILL at random instants, on the embedded store and a folder.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use crate::support::{counted, customer_name, in_force, interaction, key, tenant};
use kaireon_archive::{Archive, ArchiveConfig, ExportConfig, Exporter, Kind, Place};
use kaireon_core::store::{Erasure, ErasureId, RecordBatch, ScanQuery};
use kaireon_core::{CustomerId, Interaction, InteractionStore, TenantId};
use kaireon_store_embedded::{EmbeddedConfig, EmbeddedStore};

const PLACE: &str = "KAIREON_ARCHIVE_KILLS_PLACE";
const CYCLE: &str = "KAIREON_ARCHIVE_KILLS_CYCLE";

/// What lies in the store before the lane is in force.
const BEFORE: u64 = 600;

async fn open(place: &Path) -> (Arc<dyn InteractionStore>, Archive) {
    let config = EmbeddedConfig::at(place.join("store")).with_master_key(key());
    let store: Arc<dyn InteractionStore> = Arc::new(EmbeddedStore::open(config).await.unwrap());
    let folder = Place::folder(place.join("archive")).unwrap();
    let config = ArchiveConfig::new(folder, key()).with_max_object_bytes(20_000);
    (store, Archive::open(config).await.unwrap())
}

fn exporter(archive: &Archive, store: &Arc<dyn InteractionStore>) -> Exporter {
    let config = ExportConfig {
        owner: "the exporter".to_owned(),
        page: 40,
        max_buffered_bytes: 60_000,
        min_pause: Duration::ZERO,
        ..ExportConfig::new("main").with_tenants([tenant("acme")])
    };
    Exporter::new(archive.clone(), Arc::clone(store), config).unwrap()
}

/// Records and exports until the process is killed.
async fn live(place: &Path, cycle: u64) {
    let (store, archive) = open(place).await;
    let exporter = exporter(&archive, &store);
    println!("ready");
    let writer = {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for number in 0.. {
                let event = interaction("acme", 1_000_000 * (cycle + 1) + number);
                store.record_event(event).await.unwrap();
            }
        })
    };
    let acme = tenant("acme");
    loop {
        exporter.scan(&acme).await.unwrap();
        let exported = exporter.export_once().await.unwrap();
        assert!(exported.failed.is_empty(), "{exported:?}");
        assert!(!writer.is_finished());
    }
}

async fn rows(store: &Arc<dyn InteractionStore>, tenant: &TenantId) -> Vec<Interaction> {
    let (mut rows, mut query) = (Vec::new(), ScanQuery::new(tenant.clone()));
    loop {
        let page = store.scan(query.clone()).await.unwrap();
        rows.extend(page.items.into_iter().map(|row| row.value));
        match page.next {
            Some(next) => query.cursor = Some(next),
            None => return rows,
        }
    }
}

fn kills(test: &str, cycles: u64) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    if let (Ok(place), Ok(cycle)) = (std::env::var(PLACE), std::env::var(CYCLE)) {
        runtime.block_on(live(&PathBuf::from(place), cycle.parse().unwrap()));
        unreachable!("it lives until it is killed");
    }
    let given = ["KAIREON_SOAK_SEED", "KAIREON_CRASH_SEED"]
        .iter()
        .find_map(|name| std::env::var(name).ok());
    let seed = given.map_or_else(|| fastrand::u64(..1_000_000), |seed| seed.parse().unwrap());
    println!("KAIREON_CRASH_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let folder = tempfile::tempdir().unwrap();
    let (acme, place) = (tenant("acme"), folder.path().join("archive"));
    runtime.block_on(async {
        let (store, _) = open(folder.path()).await;
        let before = (0..BEFORE).map(|number| interaction("acme", number));
        let outcome = store.record_events(RecordBatch::live(before)).await.unwrap();
        assert!(outcome.is_complete());
        in_force(&store).await;
        store.disconnect().await.unwrap();
    });
    let mut half_written = 0;
    for cycle in 0..cycles {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                test,
                "--exact",
                "--nocapture",
                "--include-ignored",
                "--test-threads=1",
            ])
            .env(PLACE, folder.path())
            .env(CYCLE, cycle.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        while !line.ends_with("ready\n") {
            assert!(
                output.read_line(&mut line).unwrap() > 0,
                "the child ended: {line}"
            );
        }
        std::thread::sleep(Duration::from_millis(random.u64(0..500)));
        child.kill().unwrap();
        assert!(
            !child.wait().unwrap().success(),
            "the child of cycle {cycle} ended by itself"
        );
        let counts = counted(&place, &acme, Kind::Interactions);
        let twice: Vec<_> = counts.iter().filter(|(_, count)| **count > 1).collect();
        assert!(twice.is_empty(), "cycle {cycle}: {twice:?}");
        let mut files = Vec::new();
        crate::support::collect(&place, &mut files);
        half_written += files
            .iter()
            .filter(|file| file.to_string_lossy().contains("_plans"))
            .count();
    }
    runtime.block_on(async {
        let (store, archive) = open(folder.path()).await;
        let exporter = exporter(&archive, &store);
        exporter.scan(&acme).await.unwrap();
        assert!(exporter.export_once().await.unwrap().complete);
        let rows = rows(&store, &acme).await;
        let counts = counted(&place, &acme, Kind::Interactions);
        assert!(counts.values().all(|&count| count == 1));
        assert_eq!(counts.len(), rows.len(), "every row is in the batches");
        assert!(
            rows.iter()
                .all(|row| counts.contains_key(row.idempotency_key.as_str()))
        );
        println!(
            "kaireon-soak {{\"kills\": {cycles}, \"open_plans\": {half_written}, \"records\": {}, \"lost\": 0, \"doubled\": 0}}",
            rows.len()
        );
        // What the kills left lying about holds nothing of an erased customer either.
        let request = Erasure {
            tenant: acme.clone(),
            customer: CustomerId::new(customer_name(3)).unwrap(),
            id: ErasureId::fresh(),
        };
        let receipt = store.erase_customer(request.clone()).await.unwrap();
        archive.erase(&request, receipt.generation).await.unwrap();
        let mut files = Vec::new();
        crate::support::collect(&place, &mut files);
        for file in files {
            let bytes = std::fs::read(&file).unwrap();
            let text = String::from_utf8_lossy(&bytes);
            assert!(!text.contains(&customer_name(3)), "{}", file.display());
        }
        store.disconnect().await.unwrap();
    });
}

#[test]
fn every_record_is_in_the_batches_once_however_often_the_exporter_is_killed() {
    kills(
        "kills::every_record_is_in_the_batches_once_however_often_the_exporter_is_killed",
        8,
    );
}

#[test]
#[ignore = "soak: a hundred kills"]
fn every_record_is_in_the_batches_once_after_a_hundred_kills() {
    kills(
        "kills::every_record_is_in_the_batches_once_after_a_hundred_kills",
        100,
    );
}

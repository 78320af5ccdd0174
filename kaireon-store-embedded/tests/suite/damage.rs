//! Damaged files: an error or the truth, never a panic, never something else.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::Duration;

use kaireon_core::store::{HistoryQuery, ScanQuery, SummaryQuery};
use kaireon_core::{CustomerId, ErrorKind, InteractionStore, Result, TenantId};
use kaireon_store_embedded::{EmbeddedConfig, EmbeddedStore};

use crate::fixture::{copy_dir, event, recorded};

const CUSTOMERS: usize = 8;

/// A store that was opened several times, so that it has tables and a journal.
async fn some_store(dir: &Path) {
    for opening in 0..3 {
        let store = EmbeddedStore::open(EmbeddedConfig::at(dir)).await.unwrap();
        for number in 0..40 {
            let customer = format!("customer-{}", number % CUSTOMERS);
            let key = format!("key-{opening}-{number}");
            store.record_event(event(&customer, &key)).await.unwrap();
        }
        store.disconnect().await.unwrap();
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Everything that can be read, or the first error.
async fn everything(dir: &Path) -> Result<(usize, usize, u64, u64)> {
    let store = EmbeddedStore::open(EmbeddedConfig::at(dir)).await?;
    let tenant = TenantId::new("t").unwrap();
    let read = async {
        let scanned = store.scan(ScanQuery::new(tenant.clone())).await?.items.len();
        let (mut rows, mut counted) = (0, 0);
        for number in 0..CUSTOMERS {
            let customer = CustomerId::new(format!("customer-{number}")).unwrap();
            let history = store
                .history(HistoryQuery::new(tenant.clone(), customer.clone()))
                .await?;
            rows += history.items.len();
            let query = SummaryQuery::new(tenant.clone(), customer);
            let summaries = store.get_summaries(query).await?;
            let total = summaries.iter().filter(|summary| summary.period.key() == "all");
            counted += total.map(|summary| summary.stats.interactions()).sum::<u64>() / 3;
        }
        Ok((scanned, rows, counted, store.recovery().torn_bytes))
    };
    let read = read.await;
    store.disconnect().await?;
    drop(store);
    read
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_bit_anywhere_is_an_error_or_changes_nothing() {
    let parent = tempfile::tempdir().unwrap();
    let sound = parent.path().join("sound");
    some_store(&sound).await;
    assert_eq!(everything(&sound).await.unwrap(), (120, 120, 120, 0));
    let names: Vec<_> = files(&sound)
        .iter()
        .map(|path| path.strip_prefix(&sound).unwrap().to_owned())
        .collect();
    let (mut errors, mut sound_reads) = (0, 0);
    for name in names {
        let length = fs::read(sound.join(&name))
            .unwrap()
            .iter()
            .rposition(|&byte| byte != 0);
        let Some(length) = length else { continue };
        let step = (length / 5).max(1);
        for at in (0..=length).step_by(step) {
            let dir = parent.path().join("damaged");
            copy_dir(&sound, &dir);
            let mut bytes = fs::read(dir.join(&name)).unwrap();
            bytes.truncate(length + 64);
            bytes[at] ^= 1 << (at % 8);
            fs::write(dir.join(&name), bytes).unwrap();
            let read = tokio::time::timeout(Duration::from_secs(60), everything(&dir)).await;
            match read.unwrap_or_else(|_| panic!("{} at {at} hangs", name.display())) {
                Err(error) => {
                    errors += 1;
                    let known = [
                        ErrorKind::Corrupt,
                        ErrorKind::Config,
                        ErrorKind::Unavailable,
                        ErrorKind::StorageFull,
                    ];
                    assert!(
                        known.contains(&error.kind()),
                        "{} at {at}: {error}",
                        name.display()
                    );
                }
                // A damaged last commit cannot be told from one that a crash tore; it is reported.
                Ok((119, 119, 119, torn)) if torn > 0 => sound_reads += 1,
                Ok(read) => {
                    sound_reads += 1;
                    let (scanned, rows, counted, _) = read;
                    assert_eq!(
                        (scanned, rows, counted),
                        (120, 120, 120),
                        "{} at {at}",
                        name.display()
                    );
                }
            }
            fs::remove_dir_all(&dir).unwrap();
        }
    }
    assert!(
        errors > 10 && sound_reads > 0,
        "{errors} errors, {sound_reads} sound"
    );
}

#[tokio::test]
async fn a_missing_file_is_an_error() {
    let parent = tempfile::tempdir().unwrap();
    let sound = parent.path().join("sound");
    some_store(&sound).await;
    for missing in ["db/version", "db/keyspaces"] {
        let dir = parent.path().join("damaged");
        copy_dir(&sound, &dir);
        let path = dir.join(missing);
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
        let error = everything(&dir).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{missing}: {error}");
        fs::remove_dir_all(&dir).unwrap();
    }
}

#[tokio::test]
async fn a_torn_tail_is_cut_off_and_reported() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("data");
    let store = EmbeddedStore::open(EmbeddedConfig::at(&dir)).await.unwrap();
    for number in 0..5 {
        store
            .record_event(event("c", &format!("k{number}")))
            .await
            .unwrap();
    }
    assert_eq!(store.recovery().torn_bytes, 0);
    let copy = parent.path().join("copy");
    copy_dir(&dir, &copy);
    let journal = files(&copy)
        .into_iter()
        .find(|path| path.extension().is_some_and(|ext| ext == "jnl"));
    let journal = journal.unwrap();
    let end = fs::read(&journal)
        .unwrap()
        .iter()
        .rposition(|&byte| byte != 0)
        .unwrap() as u64;
    // In the middle of the last commit.
    OpenOptions::new()
        .write(true)
        .open(&journal)
        .unwrap()
        .set_len(end - 40)
        .unwrap();
    let torn = EmbeddedStore::open(EmbeddedConfig::at(&copy)).await.unwrap();
    assert!(torn.recovery().torn_bytes > 0);
    assert_eq!(recorded(&torn, "c").await, 4);
    assert!(torn.record_event(event("c", "k4")).await.unwrap().is_new());
    torn.disconnect().await.unwrap();
    let torn = EmbeddedStore::open(EmbeddedConfig::at(&copy)).await.unwrap();
    assert_eq!(torn.recovery().torn_bytes, 0);
    assert_eq!(recorded(&torn, "c").await, 5);
}

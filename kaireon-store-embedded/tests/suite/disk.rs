//! A disk that is full, and one that cannot be written to. Both need a mount of their own, so root.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use kaireon_core::settings::SettingsStore;
use kaireon_core::store::{Durability, RecordBatch};
use kaireon_core::{Effect, ErrorKind, Interaction, InteractionStore};
use kaireon_store_embedded::{EmbeddedConfig, EmbeddedStore, FileSettings};
use serde_json::json;

use crate::fixture::{event, recorded};

/// A small file system in memory, unmounted when it is dropped.
pub(crate) struct Mount(tempfile::TempDir);

impl Mount {
    pub(crate) fn of(mebibytes: u32) -> Self {
        let mount = Self(tempfile::tempdir().unwrap());
        run(
            "mount",
            &[
                "-t",
                "tmpfs",
                "-o",
                &format!("size={mebibytes}m"),
                "tmpfs",
                mount.path(),
            ],
        );
        mount
    }

    fn path(&self) -> &str {
        self.0.path().to_str().unwrap()
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.0.path().join("data")
    }

    pub(crate) fn remount(&self, mode: &str) {
        run("mount", &["-o", &format!("remount,{mode}"), self.path()]);
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: a failed test may still have files open.
        let _ = Command::new("umount").args(["-l", self.path()]).status();
    }
}

fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status().unwrap();
    assert!(status.success(), "{program} {arguments:?}");
}

fn large(key: usize) -> Interaction {
    event("c", &format!("large-{key}"))
        .edited(|fields| {
            let attributes = kaireon_core::Attributes::from_value(json!({ "pad": "x".repeat(60_000) }));
            fields.attributes = attributes.unwrap();
        })
        .unwrap()
}

/// Fills what is left of the disk; removing the file makes room again.
fn fill(dir: &Path) -> PathBuf {
    let path = dir.join("ballast");
    let mut ballast = fs::File::create(&path).unwrap();
    while std::io::Write::write_all(&mut ballast, &[0; 4096]).is_ok() {}
    path
}

/// Until the store has looked again, which it does a moment after a failure.
async fn until_there_is_room(store: &EmbeddedStore) {
    let looks = async {
        while let Err(error) = store.ping().await {
            assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let looked = tokio::time::timeout(Duration::from_secs(60), looks).await;
    looked.expect("a store that has room takes writes again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs root: mounts a small file system"]
async fn root_a_full_disk_is_an_error_and_when_space_returns_nothing_is_lost() {
    let mount = Mount::of(96);
    let store = EmbeddedStore::open(EmbeddedConfig::at(mount.dir()))
        .await
        .unwrap();
    let mut acknowledged = Vec::new();
    let mut next = 0;
    for round in 0..4 {
        for _ in 0..20 {
            assert!(store.record_event(large(next)).await.unwrap().is_new());
            acknowledged.push(next);
            next += 1;
        }
        let ballast = fill(mount.0.path());
        let mut refused = Vec::new();
        // Pages that were allocated ahead may still take some.
        for _ in 0..40 {
            match store.record_event(large(next)).await {
                Ok(recorded) => {
                    assert!(recorded.is_new());
                    acknowledged.push(next);
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
                    refused.push((next, error.effect()));
                }
            }
            next += 1;
        }
        assert!(refused.len() > 10, "round {round}: {} refused", refused.len());
        let unknown = refused
            .iter()
            .filter(|(_, effect)| *effect == Effect::Unknown)
            .count();
        assert!(unknown <= 2, "round {round}: {unknown} may be there or not");
        // What was acknowledged can be read on a full disk, and nothing else but what may be there.
        let known = acknowledged.len() as u64;
        let found = recorded(&store, "c").await;
        assert!(
            (known..=known + unknown as u64).contains(&found),
            "round {round}: {found} of {known} and perhaps {unknown}"
        );
        // A retry finds it, or is refused for want of space.
        let batch = RecordBatch::live(acknowledged.iter().map(|key| event("c", &format!("large-{key}"))));
        for answer in store.record_events(batch).await.unwrap().into_results() {
            match answer {
                Ok(recorded) => assert!(!recorded.is_new(), "round {round}: {recorded:?} is lost"),
                Err(error) => assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}"),
            }
        }
        fs::remove_file(ballast).unwrap();
        until_there_is_room(&store).await;
        for (key, effect) in refused {
            let again = store.record_event(large(key)).await.unwrap();
            assert!(
                again.is_new() || effect == Effect::Unknown,
                "round {round}: {key}"
            );
            acknowledged.push(key);
        }
        assert_eq!(recorded(&store, "c").await, acknowledged.len() as u64);
    }
    store.disconnect().await.unwrap();
    let store = EmbeddedStore::open(EmbeddedConfig::at(mount.dir()))
        .await
        .unwrap();
    assert_eq!(recorded(&store, "c").await, acknowledged.len() as u64);
    assert_eq!(store.recovery().torn_bytes, 0);
    store.disconnect().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs root: mounts a small file system"]
async fn root_a_disk_too_small_to_begin_is_an_error() {
    let mount = Mount::of(1);
    fill(mount.0.path());
    let error = EmbeddedStore::open(EmbeddedConfig::at(mount.dir()))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
    assert_eq!(error.operation(), "open");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs root: mounts a small file system"]
async fn root_a_read_only_mount_is_an_error_that_says_so() {
    let mount = Mount::of(96);
    for made in [false, true] {
        if made {
            let store = EmbeddedStore::open(EmbeddedConfig::at(mount.dir()))
                .await
                .unwrap();
            assert!(store.record_event(event("c", "k")).await.unwrap().is_new());
            store.disconnect().await.unwrap();
        }
        mount.remount("ro");
        let error = EmbeddedStore::open(EmbeddedConfig::at(mount.dir()))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(
            error.context().contains("read-only") && error.context().contains(mount.path()),
            "{error}"
        );
        mount.remount("rw");
    }
    let store = EmbeddedStore::open(EmbeddedConfig::at(mount.dir()))
        .await
        .unwrap();
    assert_eq!(recorded(&store, "c").await, 1);
}

/// What store and settings in folders of this one declare.
async fn declared(parent: &Path) -> [Durability; 2] {
    let store = EmbeddedStore::open(EmbeddedConfig::at(parent.join("data")))
        .await
        .unwrap();
    let settings = FileSettings::open(parent.join("settings")).await.unwrap();
    let declared = [
        store.capabilities().durability,
        settings.capabilities().durability,
    ];
    assert_eq!(store.open_again().capabilities(), store.capabilities());
    store.disconnect().await.unwrap();
    declared
}

#[tokio::test]
#[ignore = "needs root: mounts a small file system"]
async fn root_a_file_system_in_memory_is_declared_volatile() {
    let mount = Mount::of(96);
    for declared in declared(mount.0.path()).await {
        let Durability::Volatile(reason) = declared else {
            panic!("a tmpfs is memory");
        };
        assert!(reason.contains("tmpfs"), "{reason}");
    }
}

/// Judged by another program, because the folder for temporary files is itself in memory on some systems.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn durability_is_what_the_file_system_of_the_directory_has() {
    let parent = tempfile::tempdir().unwrap();
    let kind = Command::new("stat")
        .args(["--file-system", "--format=%T"])
        .arg(parent.path())
        .output()
        .unwrap();
    assert!(kind.status.success());
    let in_memory = ["tmpfs", "ramfs"].contains(&String::from_utf8(kind.stdout).unwrap().trim());
    for declared in declared(parent.path()).await {
        assert_eq!(declared == Durability::Durable, !in_memory, "{declared:?}");
    }
}

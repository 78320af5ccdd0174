//! What a directory may be, and what may hold it.

use std::fs;
use std::path::Path;

use kaireon_core::digest::MasterKey;
use kaireon_core::{Error, ErrorKind, InteractionStore};
use kaireon_store_embedded::{EmbeddedConfig, EmbeddedStore};

use crate::fixture::{copy_dir, event, recorded};

async fn open(dir: &Path) -> Result<EmbeddedStore, Error> {
    EmbeddedStore::open(EmbeddedConfig::at(dir)).await
}

async fn refused(dir: &Path, context: &str) {
    let error = open(dir).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(error.context().contains(context), "{error}");
    assert!(error.context().contains(dir.to_str().unwrap()), "{error}");
    assert_eq!((error.backend(), error.operation()), ("embedded", "open"));
}

#[tokio::test]
async fn a_second_opener_is_told_that_the_directory_is_in_use() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("data");
    let store = open(&dir).await.unwrap();
    refused(&dir, "is in use").await;
    assert!(store.record_event(event("c", "k")).await.unwrap().is_new());
    store.disconnect().await.unwrap();
    let store = open(&dir).await.unwrap();
    assert!(!store.record_event(event("c", "k")).await.unwrap().is_new());
}

#[tokio::test]
async fn a_dropped_store_lets_go_of_its_directory() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("data");
    for number in 0..3 {
        let store = open(&dir).await.unwrap();
        assert_eq!(recorded(&store, "c").await, number);
        store
            .record_event(event("c", &format!("k{number}")))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn one_handle_of_two_may_be_disconnected() {
    let parent = tempfile::tempdir().unwrap();
    let first = open(&parent.path().join("data")).await.unwrap();
    let second = first.open_again();
    first.disconnect().await.unwrap();
    let error = first.record_event(event("c", "k")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(!error.is_transient());
    assert!(second.record_event(event("c", "k")).await.unwrap().is_new());
    second.disconnect().await.unwrap();
    first.disconnect().await.unwrap();
}

#[tokio::test]
async fn a_store_of_an_unknown_format_is_refused_by_name_and_left_alone() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("data");
    open(&dir).await.unwrap().disconnect().await.unwrap();
    let known = fs::read_to_string(dir.join("KAIREON")).unwrap();
    // Of an older version, and of a newer one.
    for other in ["1", "7"] {
        let of_other = known.replace("format 2", &format!("format {other}"));
        fs::write(dir.join("KAIREON"), of_other).unwrap();
        refused(
            &dir,
            &format!("is of format {other}, and this version knows format 2"),
        )
        .await;
    }
    fs::write(dir.join("KAIREON"), "what is this").unwrap();
    assert_eq!(open(&dir).await.unwrap_err().kind(), ErrorKind::Corrupt);
    fs::write(dir.join("KAIREON"), known).unwrap();
    open(&dir).await.unwrap();
}

#[tokio::test]
async fn what_is_no_directory_of_ours_is_refused_and_left_alone() {
    let parent = tempfile::tempdir().unwrap();
    let file = parent.path().join("file");
    fs::write(&file, "text").unwrap();
    refused(&file, "is not a directory").await;
    assert_eq!(fs::read_to_string(&file).unwrap(), "text");
    refused(&parent.path().join("missing/data"), "does not exist").await;
    let other = parent.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("letter.txt"), "text").unwrap();
    refused(&other, "holds something else").await;
    assert!(other.join("letter.txt").exists() && !other.join("KAIREON").exists());
}

#[tokio::test]
async fn a_creation_that_was_interrupted_is_begun_anew() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("data");
    let ready = parent.path().join("ready");
    open(&ready).await.unwrap().disconnect().await.unwrap();
    let state = fs::read_to_string(ready.join("KAIREON")).unwrap();
    // Before anything, after the first step, and with the engine's files half made.
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("KAIREON.tmp"), "kaireon em").unwrap();
    let store = open(&dir).await.unwrap();
    store.disconnect().await.unwrap();
    for leave in ["", "db/version", "db/lock"] {
        fs::remove_dir_all(&dir).unwrap();
        copy_dir(&ready, &dir);
        fs::write(dir.join("KAIREON"), state.replace("ready", "new")).unwrap();
        if leave.is_empty() {
            fs::remove_dir_all(dir.join("db")).unwrap();
        } else {
            fs::remove_file(dir.join(leave)).unwrap();
        }
        let store = open(&dir).await.unwrap();
        assert!(store.record_event(event("c", "k")).await.unwrap().is_new());
        store.disconnect().await.unwrap();
        assert_eq!(fs::read_to_string(dir.join("KAIREON")).unwrap(), state);
    }
}

#[tokio::test]
async fn a_changed_master_key_is_noticed() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("data");
    let with = |key: u8| EmbeddedConfig::at(&dir).with_master_key(MasterKey::new([key; 32]));
    let store = EmbeddedStore::open(with(1)).await.unwrap();
    store.disconnect().await.unwrap();
    for wrong in [with(2), EmbeddedConfig::at(&dir)] {
        let error = EmbeddedStore::open(wrong).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.field()),
            (ErrorKind::Config, Some("master_key"))
        );
    }
    EmbeddedStore::open(with(1)).await.unwrap();
}

//! The default: files of this process alone.

use std::path::Path;

use kaireon::core::ErrorKind;
use kaireon::{Config, Infra, Outcome, Part};

use crate::support::{LONG, all_of, config, is_new, next_event, recorded_topic, shown};

fn at(directory: &Path) -> Config {
    let mut config = config(&[]);
    config.data_dir = Some(directory.to_owned());
    config.handover.grace = std::time::Duration::from_millis(20);
    config
}

#[tokio::test]
async fn with_nothing_set_the_store_is_embedded_and_persistent() {
    let directory = tempfile::tempdir().unwrap();
    // Two levels that are not there yet.
    let data = directory.path().join("a/b");
    let infra = at(&data).start().await.unwrap();
    assert_eq!(
        infra.startup().store.to_string(),
        "embedded (INTERACTION_STORE is unset)"
    );
    assert!(infra.store().capabilities().persistent);
    assert!(is_new(&infra, "c", "k").await);
    assert!(infra.health().await.ready);
    assert!(infra.shutdown(LONG).await.is_clean());

    let infra = at(&data).start().await.unwrap();
    assert!(!is_new(&infra, "c", "k").await);
    assert!(infra.shutdown(LONG).await.is_clean());
}

#[tokio::test]
async fn what_measures_the_store_is_had_through_the_handle_of_a_host() {
    let directory = tempfile::tempdir().unwrap();
    let infra = at(directory.path()).start().await.unwrap();
    let measures = infra.store().measures().unwrap();
    assert!(is_new(&infra, "c", "k").await);
    let seen = measures.signals().await.unwrap();
    assert!(seen.bytes.is_some_and(|bytes| bytes > 0), "{seen:?}");
    assert!(infra.shutdown(LONG).await.is_clean());
    let ended = measures.signals().await.unwrap_err();
    assert_eq!(ended.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_second_opener_is_told_which_directory_is_in_use() {
    let directory = tempfile::tempdir().unwrap();
    let first = at(directory.path()).start().await.unwrap();
    let error = at(directory.path()).start().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let text = all_of(&error);
    assert!(text.contains("in use"), "{text}");
    assert!(text.contains(&*directory.path().to_string_lossy()), "{text}");
    // The first goes on, and the directory is free when it has ended.
    first.store().record_event(shown("c", "k")).await.unwrap();
    assert!(first.shutdown(LONG).await.is_clean());
    let second = at(directory.path()).start().await.unwrap();
    assert!(second.shutdown(LONG).await.is_clean());
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_is_told_by_its_variable() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "in the way").unwrap();
    let error = at(&file).start().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.field()),
        (ErrorKind::Config, Some("KAIREON_DATA_DIR"))
    );
    assert!(error.to_string().contains(&*file.to_string_lossy()), "{error}");
    assert_eq!(std::fs::read(&file).unwrap(), b"in the way");
}

#[tokio::test]
async fn a_malformed_key_is_told_with_the_rest_and_not_shown() {
    let vars = [("KAIREON_MASTER_KEY", "hunter2"), ("SEARCH_INDEX", "solr")];
    let error = config(&vars).start().await.unwrap_err();
    let text = all_of(&error);
    assert!(
        text.contains("2 problems") && text.contains("KAIREON_MASTER_KEY"),
        "{text}"
    );
    assert!(!text.contains("hunter2"), "{text}");
}

#[tokio::test]
async fn a_reset_to_the_same_directory_shares_the_open_store() {
    let directory = tempfile::tempdir().unwrap();
    let infra = at(directory.path()).start().await.unwrap();
    let before = infra.store();
    let mut events = infra.events().subscribe(recorded_topic()).await.unwrap();
    before.record_event(shown("c", "k")).await.unwrap();
    // The same place under other names.
    let roundabout = directory.path().join("store").join("..");
    #[cfg(unix)]
    let roundabout = {
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&roundabout, &link).unwrap();
        link
    };
    let report = infra.reset(at(&roundabout)).await.unwrap();
    assert!(
        matches!(report.outcome(Part::Store), Some(Outcome::CarriedOver)),
        "{report}"
    );
    assert_eq!(
        before.record_event(shown("c", "k2")).await.unwrap_err().kind(),
        ErrorKind::Unavailable
    );
    assert!(!is_new(&infra, "c", "k").await);
    assert!(is_new(&infra, "c", "k2").await);
    next_event(&mut events).await;
    next_event(&mut events).await;
    assert!(infra.shutdown(LONG).await.is_clean());
}

#[tokio::test]
async fn a_reset_to_another_directory_drains_the_old_one_and_frees_it() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let infra = at(first.path()).start().await.unwrap();
    infra.store().record_event(shown("c", "k")).await.unwrap();
    let report = infra.reset(at(second.path())).await.unwrap();
    assert!(
        matches!(report.outcome(Part::Store), Some(Outcome::Drained)),
        "{report}"
    );
    assert!(is_new(&infra, "c", "k").await);
    let old = at(first.path()).start().await.unwrap();
    assert!(!is_new(&old, "c", "k").await);
    // The directory that the other has open cannot be had, and both go on.
    let error = infra.reset(at(first.path())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    for infra in [infra, old] {
        infra.store().record_event(shown("c", "k3")).await.unwrap();
        assert!(infra.shutdown(LONG).await.is_clean());
    }
}

#[tokio::test]
async fn events_that_were_not_delivered_are_delivered_by_the_next_run() {
    let directory = tempfile::tempdir().unwrap();
    let infra: Infra = at(directory.path()).start().await.unwrap();
    let events = infra.events().subscribe(recorded_topic()).await.unwrap();
    let outbox = infra.store().outbox().unwrap();
    // No relay of this process gets at them: another one holds every range.
    let request = kaireon::core::outbox::LeaseRequest {
        lane: kaireon::core::outbox::Lane::Publish,
        owner: "another".to_owned(),
        ttl: std::time::Duration::from_millis(1_500),
        max_ranges: kaireon::core::outbox::RANGES,
        destination: kaireon::core::outbox::Destination::unnamed(),
    };
    crate::support::until("the ranges are free", async || {
        outbox.lease(request.clone()).await.unwrap().leases.len()
            == usize::from(kaireon::core::outbox::RANGES)
    })
    .await;
    let recorded = shown("c", "k");
    infra.store().record_event(recorded.clone()).await.unwrap();
    drop(events);
    let report = infra.shutdown(std::time::Duration::from_millis(200)).await;
    drop(report);

    let infra = at(directory.path()).start().await.unwrap();
    let mut events = infra.events().subscribe(recorded_topic()).await.unwrap();
    assert_eq!(next_event(&mut events).await.id(), recorded.id.as_str());
    assert!(infra.shutdown(LONG).await.is_clean());
}

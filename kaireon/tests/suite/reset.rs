//! Putting another set in place.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kaireon::core::memory::MemoryStore;
use kaireon::core::{Effect, Error, ErrorKind};
use kaireon::{Config, Infra, Outcome, Part};

use crate::support::{LONG, config, in_memory, is_new, next_event, recorded_topic, shown, until};

fn memory() -> Config {
    config(&[("INTERACTION_STORE", "memory")])
}

fn quick(mut config: Config) -> Config {
    config.handover.grace = Duration::from_millis(20);
    config
}

#[tokio::test]
async fn a_handle_taken_before_answers_unavailable_afterwards_and_a_new_one_works() {
    let infra = in_memory().await;
    let before = infra.store();
    let cache = infra.cache();
    before.record_event(shown("c", "k")).await.unwrap();
    let report = infra.reset(quick(memory())).await.unwrap();
    assert!(report.is_clean(), "{report}");
    let error = before.record_event(shown("c", "k2")).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.effect()),
        (ErrorKind::Unavailable, Effect::NotApplied)
    );
    assert_eq!(cache.ping().await.unwrap_err().kind(), ErrorKind::Unavailable);
    // What both sets name is the same store.
    assert!(!is_new(&infra, "c", "k").await);
    assert!(
        matches!(report.outcome(Part::Store), Some(Outcome::CarriedOver)),
        "{report}"
    );
}

#[tokio::test]
async fn callers_have_their_grace_to_finish_with_old_handles() {
    let infra = in_memory().await;
    let before = infra.store();
    let mut new = memory();
    new.handover.grace = LONG;
    let resetting = tokio::spawn({
        let infra = infra.clone();
        async move { infra.reset(new).await }
    });
    until("the new set is in place", async || {
        !Arc::ptr_eq(&infra.store(), &before)
    })
    .await;
    before.record_event(shown("c", "k")).await.unwrap();
    drop(before);
    // It ends as soon as nobody holds an old handle, long before the grace does.
    let report = tokio::time::timeout(LONG / 4, resetting)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(report.is_clean(), "{report}");
}

#[tokio::test]
async fn a_failing_new_set_leaves_the_old_one_serving() {
    let closed = Arc::new(AtomicBool::new(false));
    let shut = Arc::clone(&closed);
    let infra = Infra::builder()
        .config(memory())
        .register_store("shop", move |_| {
            let shut = shut.load(Ordering::SeqCst);
            async move {
                if shut {
                    Err(Error::new(ErrorKind::Unavailable, "closed"))
                } else {
                    Ok(MemoryStore::new())
                }
            }
        })
        .build()
        .await
        .unwrap();
    let before = infra.store();
    let mut events = infra.events().subscribe(recorded_topic()).await.unwrap();
    closed.store(true, Ordering::SeqCst);
    let error = infra
        .reset(config(&[("INTERACTION_STORE", "shop")]))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let error = infra
        .reset(config(&[("INTERACTION_STORE", "mysql")]))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(infra.startup().store.backend, "memory");
    before.record_event(shown("c", "k")).await.unwrap();
    next_event(&mut events).await;

    closed.store(false, Ordering::SeqCst);
    let shop = quick(config(&[("INTERACTION_STORE", "shop")]));
    let report = infra.reset(shop).await.unwrap();
    assert!(
        matches!(report.outcome(Part::Store), Some(Outcome::Drained)),
        "{report}"
    );
    assert_eq!(infra.startup().store.backend, "shop");
    assert!(is_new(&infra, "c", "k").await);
}

#[tokio::test]
async fn a_subscription_to_a_stream_that_stays_goes_on() {
    let infra = in_memory().await;
    let mut events = infra.events().subscribe(recorded_topic()).await.unwrap();
    infra.store().record_event(shown("c", "k1")).await.unwrap();
    let report = infra.reset(quick(memory())).await.unwrap();
    assert!(
        matches!(report.outcome(Part::Relay), Some(Outcome::CarriedOver)),
        "{report}"
    );
    infra.store().record_event(shown("c", "k2")).await.unwrap();
    let first = next_event(&mut events).await;
    assert_ne!(next_event(&mut events).await.id(), first.id());
    assert!(infra.shutdown(LONG).await.is_clean());
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn a_subscription_to_a_stream_that_stays_is_told_of_another_store_from_its_first_record() {
    let infra = Infra::builder()
        .config(memory())
        .register_store("shop", |_| async { Ok(MemoryStore::new()) })
        .build()
        .await
        .unwrap();
    let mut events = infra.events().subscribe(recorded_topic()).await.unwrap();
    infra.store().record_event(shown("c", "k1")).await.unwrap();
    next_event(&mut events).await;
    let mut shop = config(&[("INTERACTION_STORE", "shop")]);
    // The first set ends only when this handle is given back: meanwhile the new store is recorded to.
    shop.handover.grace = LONG;
    let held = infra.store();
    let resetting = tokio::spawn({
        let infra = infra.clone();
        async move { infra.reset(shop).await }
    });
    until("the new set is in place", async || {
        infra.startup().store.backend == "shop"
    })
    .await;
    let event = shown("c", "k2");
    infra.store().record_event(event.clone()).await.unwrap();
    drop(held);
    assert!(resetting.await.unwrap().unwrap().is_clean());
    assert_eq!(next_event(&mut events).await.id(), event.id.to_string());
    drop(events);
    let outbox = infra.store().outbox().unwrap();
    until("the lane is off", async || {
        outbox.lanes().await.unwrap().is_empty()
    })
    .await;
}

#[tokio::test]
async fn a_changed_stream_delivers_what_the_old_one_had_and_begins_anew() {
    let infra = in_memory().await;
    let mut old = infra.events().subscribe(recorded_topic()).await.unwrap();
    infra.store().record_event(shown("c", "k1")).await.unwrap();
    let disabled = config(&[("INTERACTION_STORE", "memory"), ("EVENT_PUBLISHER", "disabled")]);
    let report = infra.reset(quick(disabled)).await.unwrap();
    assert!(
        matches!(report.outcome(Part::Relay), Some(Outcome::Drained)),
        "{report}"
    );
    assert!(
        matches!(report.outcome(Part::Store), Some(Outcome::CarriedOver)),
        "{report}"
    );
    next_event(&mut old).await;
    assert!(old.next().await.is_none(), "the old stream goes on");
    // Nothing queues up while it is disabled.
    infra.store().record_event(shown("c", "k2")).await.unwrap();
    assert_eq!(infra.health().await.part(Part::Relay).unwrap().backlog, Some(0));

    let _ = infra.reset(quick(memory())).await.unwrap();
    let mut new = infra.events().subscribe(recorded_topic()).await.unwrap();
    infra.store().record_event(shown("c", "k3")).await.unwrap();
    next_event(&mut new).await;
}

#[tokio::test]
async fn no_record_is_lost_or_refused_while_resets_go_on() {
    let infra = in_memory().await;
    let recording = tokio::spawn({
        let infra = infra.clone();
        async move {
            for key in 0..2_000 {
                // A handle per call, as hosts take it.
                infra
                    .store()
                    .record_event(shown("c", &format!("k{key}")))
                    .await
                    .unwrap();
                tokio::task::yield_now().await;
            }
        }
    });
    while !recording.is_finished() {
        let mut new = memory();
        new.handover.grace = LONG;
        let report = infra.reset(new).await.unwrap();
        assert!(report.is_clean(), "{report}");
    }
    recording.await.unwrap();
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_the_grace_of_a_reset() {
    let infra = in_memory().await;
    let held = infra.store();
    let mut new = memory();
    new.handover.grace = Duration::from_secs(3_600);
    let resetting = tokio::spawn({
        let infra = infra.clone();
        async move { infra.reset(new).await }
    });
    // The new set is in place, and the reset waits for whoever holds a handle on the old one.
    until("the set is replaced", async || {
        !Arc::ptr_eq(&held, &infra.store())
    })
    .await;
    let report = tokio::time::timeout(LONG, infra.shutdown(LONG)).await.unwrap();
    assert!(report.is_clean(), "{report}");
    let error = resetting.await.unwrap().unwrap_err();
    assert_eq!(
        (error.kind(), error.effect()),
        (ErrorKind::Unavailable, Effect::Unknown)
    );
    assert_eq!(
        held.record_event(shown("c", "k")).await.unwrap_err().kind(),
        ErrorKind::Unavailable
    );
}

#[tokio::test]
async fn a_reset_whose_future_is_dropped_is_finished_by_the_next() {
    let infra = in_memory().await;
    let held = infra.store();
    let mut new = memory();
    new.handover.grace = Duration::from_secs(3_600);
    let dropped = tokio::time::timeout(Duration::from_millis(30), infra.reset(new)).await;
    assert!(dropped.is_err());
    // The new set serves, and the old one is still open.
    infra.store().record_event(shown("c", "k")).await.unwrap();
    held.record_event(shown("c", "k2")).await.unwrap();
    drop(held);
    let report = infra.reset(quick(memory())).await.unwrap();
    assert!(report.is_clean(), "{report}");
    assert!(infra.shutdown(LONG).await.is_clean());
}

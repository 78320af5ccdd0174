//! How it ends.

use std::time::Duration;

use kaireon::core::memory::{MemoryPublisher, MemoryStore};
use kaireon::core::publisher::{PublisherCapabilities, Subscriber, Subscription};
use kaireon::core::store::{Recorded, StoreCapabilities, SummaryQuery};
use kaireon::core::{
    Effect, Error, ErrorKind, Event, EventPublisher, Interaction, InteractionStore, Result, Summary,
};
use kaireon::{Config, Infra, Outcome, Part};

use crate::support::{LONG, OF_A_SWITCH, config, in_memory, next_event, recorded_topic, shown};

#[tokio::test]
async fn what_was_recorded_is_delivered_before_the_stream_ends() {
    let infra = in_memory().await;
    let mut events = infra.events().subscribe(recorded_topic()).await.unwrap();
    for customer in 0..50 {
        infra
            .store()
            .record_event(shown(&format!("c{customer}"), &format!("k{customer}")))
            .await
            .unwrap();
    }
    let reader = tokio::spawn(async move {
        let mut read = 0;
        while let Some(mut delivery) = events.next_delivery().await.unwrap() {
            delivery.ack().await.unwrap();
            read += 1;
        }
        read
    });
    let report = infra.shutdown(LONG).await;
    assert!(report.is_clean(), "{report}");
    for part in Part::ALL.into_iter().filter(|part| !OF_A_SWITCH.contains(part)) {
        assert!(
            matches!(report.outcome(part), Some(Outcome::Drained)),
            "{part}: {report}"
        );
    }
    assert_eq!(reader.await.unwrap(), 50);
}

#[tokio::test]
async fn every_handle_is_refused_afterwards_and_nothing_is_applied() {
    let infra = in_memory().await;
    let (store, events) = (infra.store(), infra.events());
    let _ = infra.shutdown(LONG).await;
    for store in [store, infra.store()] {
        let error = store.record_event(shown("c", "k")).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.effect()),
            (ErrorKind::Unavailable, Effect::NotApplied)
        );
    }
    let error = events.subscribe(recorded_topic()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.effect()),
        (ErrorKind::Unavailable, Effect::NotApplied)
    );
    let error = infra.reset(Config::default()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.effect()),
        (ErrorKind::Unavailable, Effect::NotApplied)
    );
}

#[tokio::test]
async fn a_second_shutdown_repeats_the_report() {
    let infra = in_memory().await;
    let (first, second) = tokio::join!(infra.shutdown(LONG), infra.shutdown(LONG));
    assert_eq!(first.to_string(), second.to_string());
    assert_eq!(
        infra.shutdown(Duration::ZERO).await.to_string(),
        first.to_string()
    );
}

/// A store whose writes never end, or whose end fails.
#[derive(Debug)]
enum Awkward {
    Hangs,
    Fails,
}

#[async_trait::async_trait]
impl InteractionStore for Awkward {
    fn capabilities(&self) -> StoreCapabilities {
        StoreCapabilities::minimal("awkward")
    }

    async fn record_event(&self, event: Interaction) -> Result<Recorded> {
        match self {
            Self::Hangs => std::future::pending().await,
            Self::Fails => Ok(Recorded::new(event.id.clone())),
        }
    }

    async fn get_summaries(&self, _: SummaryQuery) -> Result<Vec<Summary>> {
        Ok(Vec::new())
    }

    async fn disconnect(&self) -> Result<()> {
        match self {
            Self::Hangs => Ok(()),
            Self::Fails => Err(Error::new(ErrorKind::StorageFull, "no room to end")),
        }
    }
}

async fn awkward(make: fn() -> Awkward) -> Infra {
    let mut config = config(&[("INTERACTION_STORE", "awkward")]);
    config.calls.attempt_timeout = Duration::from_secs(3_600);
    Infra::builder()
        .config(config)
        .register_store("awkward", move |_| async move { Ok(make()) })
        .build()
        .await
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_call_that_does_not_end_is_timed_out_at_the_deadline_and_the_rest_is_drained() {
    let infra = awkward(|| Awkward::Hangs).await;
    let store = infra.store();
    let call = tokio::spawn(async move { store.record_event(shown("c", "k")).await });
    tokio::time::sleep(Duration::from_millis(1)).await;
    let before = tokio::time::Instant::now();
    let report = infra.shutdown(Duration::from_secs(3)).await;
    assert!(before.elapsed() < Duration::from_secs(4));
    assert!(
        matches!(report.outcome(Part::Store), Some(Outcome::TimedOut)),
        "{report}"
    );
    assert!(
        matches!(report.outcome(Part::Events), Some(Outcome::Drained)),
        "{report}"
    );
    call.abort();
}

#[tokio::test]
async fn a_part_that_fails_says_how_and_the_others_are_drained() {
    let report = awkward(|| Awkward::Fails).await.shutdown(LONG).await;
    let Some(Outcome::Failed(error)) = report.outcome(Part::Store) else {
        panic!("{report}");
    };
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    assert!(
        matches!(report.outcome(Part::Cache), Some(Outcome::Drained)),
        "{report}"
    );
    assert!(!report.is_clean());
}

/// A stream that takes events and never gets rid of them.
#[derive(Debug)]
struct Stuck(MemoryPublisher);

#[async_trait::async_trait]
impl EventPublisher for Stuck {
    fn capabilities(&self) -> PublisherCapabilities {
        self.0.capabilities()
    }

    async fn publish(&self, _: Event) -> Result<()> {
        std::future::pending().await
    }

    async fn subscribe(&self, subscription: Subscription) -> Result<Subscriber> {
        self.0.subscribe(subscription).await
    }

    async fn disconnect(&self) -> Result<()> {
        self.0.disconnect().await
    }
}

#[tokio::test]
async fn what_was_not_delivered_waits_for_the_next_start() {
    let place = MemoryStore::new();
    let start = |publisher: &'static str| {
        let opened = place.open_again();
        let vars = [("INTERACTION_STORE", "kept"), ("EVENT_PUBLISHER", publisher)];
        Infra::builder()
            .config(config(&vars))
            .register_publisher("stuck", |_| async { Ok(Stuck(MemoryPublisher::new())) })
            .register_store("kept", move |_| {
                let opened = opened.open_again();
                async move { Ok(opened) }
            })
            .build()
    };
    let infra = start("stuck").await.unwrap();
    let events = infra.events().subscribe(recorded_topic()).await.unwrap();
    let (before, after) = (shown("c", "k"), shown("c", "k2"));
    infra.store().record_event(before.clone()).await.unwrap();
    // Dies without a shutdown, and has delivered nothing.
    drop((events, infra));
    let infra = start("in-process").await.unwrap();
    let mut events = infra.events().subscribe(recorded_topic()).await.unwrap();
    infra.store().record_event(after.clone()).await.unwrap();
    // A customer's order is kept, so the second behind the first says that none was lost.
    let mut arrived = Vec::new();
    while arrived.last().is_none_or(|id| *id != after.id.as_str()) {
        arrived.push(next_event(&mut events).await.id().to_owned());
    }
    assert_eq!(arrived, [before.id.as_str(), after.id.as_str()]);
}

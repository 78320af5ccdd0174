//! What a recorder and a subscriber see of traced calls.

mod observers;

use std::time::Duration;

use self::observers::{Notebook, Spans};
use super::*;
use crate::probe::{Probe, Step, drive};
use crate::publisher::{Acknowledge, Answer, Delivery, EventPublisher, Settling, Signal, Subscriber};
use crate::store::{BatchOutcome, InteractionStore, ItemOutcome};
use crate::wrap::{Retry, RetryPolicy, Timeout};
use crate::{Effect, Error, ErrorKind, EventType};

/// Makes `spans` the subscriber of this thread.
///
/// Tracing caches for each call site whether anybody wants it, as seen by the thread that comes there first, which
/// may be that of another test. So the call sites are visited first, and asked again. Says how many spans that
/// left.
async fn subscribe(spans: Spans) -> (tracing::subscriber::DefaultGuard, usize) {
    let visit = async || {
        let failing = Probe::scripted([Step::Fail(unavailable())]);
        let _ = drive::store(
            &Trace::new(Retry::new(failing, RetryPolicy::default())),
            "history",
        )
        .await;
        let _ = drive::events(&Trace::new(Probe::shared()), "publish").await;
    };
    visit().await;
    let fields = Arc::clone(&spans.fields);
    let installed = tracing::subscriber::set_default(spans);
    tracing::callsite::rebuild_interest_cache();
    visit().await;
    let visits = fields.lock().len();
    (installed, visits)
}

fn unavailable() -> Error {
    Error::new(ErrorKind::Unavailable, "connection reset")
}

#[tokio::test]
async fn calls_of_a_store_are_measured_under_the_names_of_database_clients() {
    let notebook = Notebook::default();
    let _installed = metrics::set_default_local_recorder(&notebook);
    let store = Trace::new(Probe::scripted([
        Step::Answer(Duration::ZERO),
        Step::Fail(unavailable()),
    ]));
    drive::store(&store, "record_event").await.unwrap();
    drive::store(&store, "history").await.unwrap_err();
    assert_eq!(
        notebook.take(),
        [
            "db.client.operation.duration db.system.name=probe db.operation.name=record_event",
            "db.client.operation.duration db.system.name=probe db.operation.name=history error.type=unavailable",
        ]
    );
}

#[tokio::test]
async fn every_operation_is_measured_under_its_name() {
    let notebook = Notebook::default();
    let _installed = metrics::set_default_local_recorder(&notebook);
    let expected = |operation| {
        let (family, system, operation_name) = match operation {
            "publish" | "publish_batch" | "subscribe" => {
                ("messaging.client", "messaging.system", "messaging.operation.name")
            }
            _ => ("db.client", "db.system.name", "db.operation.name"),
        };
        format!(
            "{family}.operation.duration {system}=probe {operation_name}={}",
            drive::method(operation)
        )
    };
    // One of each, so that the operations share their keys.
    let traced = Trace::new(Probe::shared()).with_name("probe");
    for operation in drive::STORE {
        drive::store(&traced, operation).await.unwrap();
        assert_eq!(notebook.take(), [expected(operation)]);
    }
    let outbox = Trace::new(Probe::shared()).outbox().unwrap();
    for operation in drive::OUTBOX {
        drive::outbox(&outbox, operation).await.unwrap();
        assert_eq!(notebook.take(), [expected(operation)]);
    }
    for operation in ["publish", "publish_batch", "subscribe"] {
        drive::events(&traced, operation).await.unwrap();
        assert_eq!(notebook.take()[0], expected(operation));
    }
    for operation in drive::SEARCH {
        drive::search(&traced, operation).await.unwrap();
        assert_eq!(notebook.take(), [expected(operation)]);
    }
    for operation in drive::CACHE {
        drive::cache(&traced, operation).await.unwrap();
        assert_eq!(notebook.take(), [expected(operation)]);
    }
    for operation in drive::GUARDS {
        drive::guards(&traced, operation).await.unwrap();
        assert_eq!(notebook.take(), [expected(operation)]);
    }
}

#[tokio::test]
async fn what_has_no_name_is_unknown() {
    let notebook = Notebook::default();
    let _installed = metrics::set_default_local_recorder(&notebook);
    drive::guards(&Trace::new(Probe::shared()), "acquire")
        .await
        .unwrap();
    assert!(notebook.take()[0].contains("db.system.name=unknown"));
}

#[tokio::test]
async fn published_events_are_counted_each_by_its_outcome() {
    let notebook = Notebook::default();
    let _installed = metrics::set_default_local_recorder(&notebook);
    let failed = ItemOutcome::Failed(unavailable());
    let items = [
        ItemOutcome::Done(()),
        failed.clone(),
        ItemOutcome::Done(()),
        failed,
        ItemOutcome::NotAttempted,
    ];
    let events = Trace::new(Probe::scripted([
        Step::Batch(items.to_vec()),
        Step::Fail(unavailable()),
        Step::Fail(unavailable()),
    ]));
    let batch = (0..5)
        .map(|number| drive::event(&number.to_string(), None))
        .collect();
    let outcome: BatchOutcome<()> = events.publish_batch(batch).await.unwrap();
    assert!(!outcome.is_complete());
    let (duration, sent) = (
        "messaging.client.operation.duration",
        "messaging.client.sent.messages",
    );
    let labels = "messaging.system=probe messaging.operation.name=publish_batch";
    assert_eq!(
        notebook.take(),
        [
            format!("{duration} {labels}"),
            format!("{sent} {labels} +2"),
            format!("{sent} {labels} error.type=unavailable +2"),
        ]
    );
    // None was tried, so none was sent.
    drive::events(&events, "publish_batch").await.unwrap_err();
    assert_eq!(
        notebook.take(),
        [format!("{duration} {labels} error.type=unavailable")]
    );
    drive::events(&events, "publish").await.unwrap_err();
    drive::events(&events, "publish").await.unwrap();
    let labels = "messaging.system=probe messaging.operation.name=publish";
    let lines = notebook.take();
    assert_eq!(lines[1], format!("{sent} {labels} error.type=unavailable +1"));
    assert_eq!(lines[3], format!("{sent} {labels} +1"));
}

/// A stream with a subscription of two deliveries and a loss between them.
#[derive(Debug)]
struct TwoDeliveries;

struct Ignore;

impl Acknowledge for Ignore {
    fn settle(&self, _: u64, _: Answer) -> Settling<'_> {
        Settling::Done(Ok(()))
    }

    fn abandoned(&self, _: u64) {}
}

#[async_trait::async_trait]
impl EventPublisher for TwoDeliveries {
    fn capabilities(&self) -> crate::publisher::PublisherCapabilities {
        crate::publisher::PublisherCapabilities::minimal("two")
    }

    async fn publish(&self, _: crate::Event) -> Result<()> {
        Ok(())
    }

    async fn subscribe(&self, _: crate::publisher::Subscription) -> Result<Subscriber> {
        let delivery = |id| {
            Ok(Signal::Delivery(Delivery::new(
                drive::event(id, None),
                1,
                Arc::new(Ignore),
                1,
            )))
        };
        Ok(Subscriber::new(futures_util::stream::iter([
            delivery("1"),
            Ok(Signal::Lost(7)),
            delivery("2"),
        ])))
    }

    async fn disconnect(&self) -> Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn deliveries_are_counted_and_handed_on() {
    let notebook = Notebook::default();
    let _installed = metrics::set_default_local_recorder(&notebook);
    let subscription = crate::publisher::Subscription::to([EventType::interaction_recorded()]);
    let mut subscriber = Trace::new(TwoDeliveries).subscribe(subscription).await.unwrap();
    let mut signals = Vec::new();
    while let Some(signal) = subscriber.next().await {
        signals.push(match signal.unwrap() {
            Signal::Delivery(delivery) => delivery.event().id().to_owned(),
            Signal::Lost(lost) => format!("lost {lost}"),
            Signal::Gap => "gap".to_owned(),
        });
    }
    assert_eq!(signals, ["1", "lost 7", "2"]);
    let consumed =
        "messaging.client.consumed.messages messaging.system=two messaging.operation.name=subscribe +1";
    assert_eq!(notebook.take()[1..], [consumed, consumed]);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_is_measured_as_cancelled() {
    let notebook = Notebook::default();
    let _installed = metrics::set_default_local_recorder(&notebook);
    let store = Timeout::new(Trace::new(Probe::scripted([Step::Hang])), Duration::from_secs(1));
    drive::store(&store, "fence").await.unwrap_err();
    assert_eq!(
        notebook.take(),
        ["db.client.operation.duration db.system.name=probe db.operation.name=fence error.type=cancelled"]
    );
}

#[tokio::test(start_paused = true)]
async fn outside_retry_a_call_is_measured_and_inside_each_attempt() {
    let notebook = Notebook::default();
    let _installed = metrics::set_default_local_recorder(&notebook);
    let failing = || Probe::scripted([Step::Fail(unavailable()), Step::Fail(unavailable())]);
    let calls = Trace::new(Retry::new(failing(), RetryPolicy::default()));
    drive::store(&calls, "history").await.unwrap();
    assert_eq!(notebook.take().len(), 1);
    let attempts = Retry::new(Trace::new(failing()), RetryPolicy::default());
    drive::store(&attempts, "history").await.unwrap();
    assert_eq!(notebook.take().len(), 3);
}

#[tokio::test]
async fn a_recorder_that_is_installed_later_sees_later_calls() {
    let store = Trace::new(Probe::shared());
    drive::store(&store, "history").await.unwrap();
    for _ in 0..2 {
        let notebook = Notebook::default();
        let _installed = metrics::set_default_local_recorder(&notebook);
        drive::store(&store, "history").await.unwrap();
        assert_eq!(notebook.take().len(), 1);
    }
}

#[test]
fn units_and_descriptions_are_told() {
    let notebook = Notebook::default();
    metrics::with_local_recorder(&notebook, describe_metrics);
    let described = std::mem::take(&mut *notebook.described.lock());
    assert_eq!(
        described,
        [
            "db.client.operation.duration Some(Seconds)",
            "messaging.client.operation.duration Some(Seconds)",
            "messaging.client.sent.messages Some(Count)",
            "messaging.client.consumed.messages Some(Count)",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn spans_carry_the_attributes_and_how_the_call_ended() {
    let spans = Spans::default();
    let fields = Arc::clone(&spans.fields);
    let (_subscribed, visits) = subscribe(spans).await;
    let store = Trace::new(Probe::scripted([
        Step::Answer(Duration::ZERO),
        Step::Fail(unavailable()),
    ]));
    drive::store(&store, "record_event").await.unwrap();
    drive::store(&store, "history").await.unwrap_err();
    drive::events(&Trace::new(Probe::shared()), "publish")
        .await
        .unwrap();
    assert_eq!(
        fields.lock()[visits..],
        [
            r#"call otel.name="record_event" otel.kind="client" db.system.name="probe" db.operation.name="record_event""#,
            concat!(
                r#"call otel.name="history" otel.kind="client" db.system.name="probe" db.operation.name="history""#,
                r#" error.type="unavailable" otel.status_code="ERROR""#
            ),
            concat!(
                r#"call otel.name="publish" otel.kind="producer" messaging.system="probe""#,
                r#" messaging.operation.name="publish" messaging.operation.type="send""#
            ),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn neither_spans_events_nor_labels_hold_personal_data() {
    let spans = Spans::default();
    let (fields, events) = (Arc::clone(&spans.fields), Arc::clone(&spans.events));
    let (_subscribed, visits) = subscribe(spans).await;
    let notebook = Notebook::default();
    let _installed = metrics::set_default_local_recorder(&notebook);
    let secret = Error::new(ErrorKind::Unavailable, "secret-context").with_effect(Effect::NotApplied);
    // Retry tells of its pauses, inside the span.
    let failing = || {
        Trace::new(Retry::new(
            Probe::scripted([Step::Fail(secret.clone())]),
            RetryPolicy::default(),
        ))
    };
    for operation in drive::STORE {
        let _ = drive::store(&failing(), operation).await;
    }
    for operation in drive::EVENTS {
        let _ = drive::events(&failing(), operation).await;
    }
    for operation in drive::SEARCH {
        let _ = drive::search(&failing(), operation).await;
    }
    for operation in drive::CACHE {
        let _ = drive::cache(&failing(), operation).await;
    }
    let calls = drive::STORE.len() + drive::EVENTS.len() + drive::SEARCH.len() + drive::CACHE.len();
    assert_eq!(fields.lock().len() - visits, calls);
    assert!(events.lock().iter().all(|event| event.contains("trying again")) && !events.lock().is_empty());
    let (fields, events) = (fields.lock().clone(), events.lock().clone());
    for line in fields.into_iter().chain(events).chain(notebook.take()) {
        assert!(!line.contains("secret") && !line.contains("acme"), "{line}");
    }
}

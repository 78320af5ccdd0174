use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Context;

use tokio::time::Instant;

use super::*;
use crate::Effect;
use crate::probe::{Probe, Step, drive};
use crate::store::{InteractionStore, RecordBatch};

const LIMIT: Duration = Duration::from_secs(2);

fn hanging() -> Timeout<Arc<Probe>> {
    Timeout::new(Probe::scripted([Step::Hang]), LIMIT)
}

fn check(operation: &'static str, backend: &str, error: &Error) {
    let read = [
        "get_summaries",
        "history",
        "scan",
        "scan_decisions",
        "decision",
        "tombstones",
        "fence",
        "lanes",
        "fetch",
        "dead_letters",
        "status",
        "wait",
        "subscribe",
        "get",
        "get_many",
        "search",
        "state",
        "ping",
    ];
    let effect = if read.contains(&operation) {
        Effect::NotApplied
    } else {
        Effect::Unknown
    };
    assert_eq!(error.kind(), ErrorKind::Timeout, "{operation}");
    assert_eq!(error.operation(), drive::method(operation));
    assert_eq!(error.backend(), backend, "{operation}");
    assert_eq!(error.effect(), effect, "{operation}");
    assert!(error.is_transient(), "{operation}");
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn every_operation_but_disconnect_ends_in_time() {
    for operation in drive::STORE.into_iter().filter(|name| *name != "disconnect") {
        let started = Instant::now();
        let error = drive::store(&hanging(), operation).await.unwrap_err();
        check(operation, "probe", &error);
        assert_eq!(started.elapsed(), LIMIT, "{operation}");
    }
    for operation in drive::OUTBOX {
        let outbox = hanging().with_name("probe");
        check(
            operation,
            "probe",
            &drive::outbox(&outbox, operation).await.unwrap_err(),
        );
    }
    for operation in drive::EVENTS.into_iter().filter(|name| *name != "disconnect") {
        check(
            operation,
            "probe",
            &drive::events(&hanging(), operation).await.unwrap_err(),
        );
    }
    for operation in drive::SEARCH.into_iter().filter(|name| *name != "disconnect") {
        check(
            operation,
            "probe",
            &drive::search(&hanging(), operation).await.unwrap_err(),
        );
    }
    for operation in drive::CACHE.into_iter().filter(|name| *name != "disconnect") {
        check(
            operation,
            "probe",
            &drive::cache(&hanging(), operation).await.unwrap_err(),
        );
    }
    for operation in drive::GUARDS {
        check(
            operation,
            "",
            &drive::guards(&hanging(), operation).await.unwrap_err(),
        );
    }
}

#[tokio::test(start_paused = true)]
async fn disconnect_is_given_the_time_it_needs() {
    let slow = || Timeout::new(Probe::scripted([Step::Answer(LIMIT * 50)]), LIMIT);
    drive::store(&slow(), "disconnect").await.unwrap();
    drive::events(&slow(), "disconnect").await.unwrap();
    drive::search(&slow(), "disconnect").await.unwrap();
    drive::cache(&slow(), "disconnect").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_answers_in_time_is_handed_on() {
    let slow = Timeout::new(
        Probe::scripted([Step::Answer(LIMIT - Duration::from_millis(1))]),
        LIMIT,
    );
    drive::store(&slow, "record_event").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn maintenance_may_have_a_limit_of_its_own() {
    for operation in ["erase_customer", "install_tombstones", "purge_before"] {
        let started = Instant::now();
        let store = hanging().with_maintenance_limit(LIMIT * 10);
        let error = drive::store(&store, operation).await.unwrap_err();
        check(operation, "probe", &error);
        assert_eq!(started.elapsed(), LIMIT * 10, "{operation}");
    }
}

#[tokio::test(start_paused = true)]
async fn wait_is_given_its_own_time_on_top() {
    let started = Instant::now();
    drive::outbox(&hanging(), "wait").await.unwrap_err();
    assert_eq!(started.elapsed(), LIMIT + Duration::from_millis(500));
}

#[tokio::test(start_paused = true)]
async fn a_late_batch_has_an_unknown_outcome_for_each_item() {
    let batch = RecordBatch::live(["a", "b", "c"].map(drive::interaction));
    let outcome = hanging().record_events(batch).await.unwrap();
    assert_eq!(outcome.items().len(), 3);
    for item in outcome.into_results() {
        check("record_events", "probe", &item.unwrap_err());
    }
}

#[tokio::test(start_paused = true)]
async fn the_outbox_of_a_store_is_limited_and_named_after_it() {
    let outbox = hanging().outbox().unwrap();
    let started = Instant::now();
    check(
        "settle",
        "probe",
        &drive::outbox(&outbox, "settle").await.unwrap_err(),
    );
    assert_eq!(started.elapsed(), LIMIT);
}

#[test]
fn a_call_that_is_ready_needs_no_timer() {
    // Outside a runtime a timer would panic.
    let store = Timeout::new(Probe::shared(), LIMIT);
    let mut call = pin!(drive::store(&store, "record_event"));
    let polled = call
        .as_mut()
        .poll(&mut Context::from_waker(std::task::Waker::noop()));
    assert!(matches!(polled, Poll::Ready(Ok(()))));
}

#[tokio::test]
async fn a_waiting_call_is_polled_only_when_it_was_woken() {
    let polls = AtomicU32::new(0);
    let waiting = poll_fn(|_| {
        if polls.fetch_add(1, Ordering::SeqCst) < 2 {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    });
    let mut call = pin!(within(LIMIT, Box::pin(waiting)));
    for polled in 1..=3 {
        let woken = call
            .as_mut()
            .poll(&mut Context::from_waker(std::task::Waker::noop()));
        assert_eq!(
            (polls.load(Ordering::SeqCst), woken.is_ready()),
            (polled, polled == 3)
        );
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_call_that_uses_up_the_budget_of_its_task_is_late_all_the_same() {
    let greedy = async {
        loop {
            // Takes from tokio's budget at each step, and all of it before it ever waits.
            tokio::task::consume_budget().await;
        }
    };
    assert_eq!(
        within(Duration::from_millis(20), Box::pin(greedy)).await,
        None::<()>
    );
}

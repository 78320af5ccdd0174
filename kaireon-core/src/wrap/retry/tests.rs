use std::time::Duration;

use tokio::time::Instant;

use super::*;
use crate::outbox::Outbox;
use crate::probe::{Probe, Step, drive};
use crate::publisher::EventPublisher;
use crate::search::{IndexBatch, SearchIndex};
use crate::store::{BatchOutcome, InteractionStore, ItemOutcome, RecordBatch, Recorded};
use crate::wrap::Timeout;
use crate::{Effect, Error, ErrorKind};

/// Draws the whole ceiling, so that pauses are known.
#[derive(Debug)]
struct Longest;

impl Jitter for Longest {
    fn draw(&self, ceiling: Duration) -> Duration {
        ceiling
    }
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const POLICY: RetryPolicy = RetryPolicy {
    max_attempts: 4,
    base_delay: ms(100),
    max_delay: ms(1_000),
    max_elapsed: ms(60_000),
};

fn retry<T>(inner: T) -> Retry<T> {
    Retry::new(inner, POLICY).with_jitter(Arc::new(Longest))
}

/// Cut off: it may have been applied.
fn cut() -> Error {
    Error::new(ErrorKind::Unavailable, "connection reset")
}

/// Refused before anything happened.
fn refused() -> Error {
    cut().with_effect(Effect::NotApplied)
}

fn fail(error: &Error) -> Step {
    Step::Fail(error.clone())
}

/// How often each operation is called when its first attempt fails so.
async fn calls_after(error: &Error) -> Vec<(&'static str, usize)> {
    let mut calls = Vec::new();
    for operation in drive::STORE {
        let probe = Probe::scripted([fail(error)]);
        let _ = drive::store(&retry(Arc::clone(&probe)), operation).await;
        calls.push((operation, probe.calls().len()));
    }
    for operation in drive::OUTBOX {
        let probe = Probe::scripted([fail(error)]);
        let _ = drive::outbox(&retry(Arc::clone(&probe)), operation).await;
        calls.push((operation, probe.calls().len()));
    }
    for operation in drive::EVENTS {
        let probe = Probe::scripted([fail(error)]);
        let _ = drive::events(&retry(Arc::clone(&probe)), operation).await;
        calls.push((operation, probe.calls().len()));
    }
    for operation in drive::SEARCH {
        let probe = Probe::scripted([fail(error)]);
        let _ = drive::search(&retry(Arc::clone(&probe)), operation).await;
        calls.push((operation, probe.calls().len()));
    }
    for operation in drive::CACHE {
        let probe = Probe::scripted([fail(error)]);
        let _ = drive::cache(&retry(Arc::clone(&probe)), operation).await;
        calls.push((operation, probe.calls().len()));
    }
    for operation in drive::GUARDS {
        let probe = Probe::scripted([fail(error)]);
        let _ = drive::guards(&retry(Arc::clone(&probe)), operation).await;
        calls.push((operation, probe.calls().len()));
    }
    calls
}

#[tokio::test(start_paused = true)]
async fn what_was_not_applied_is_tried_again_whatever_it_is() {
    for (operation, calls) in calls_after(&refused()).await {
        let about_now = matches!(operation, "ping" | "wait");
        assert_eq!(calls, if about_now { 1 } else { 2 }, "{operation}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_have_been_applied_is_tried_again_only_if_that_changes_nothing() {
    let once = [
        "append",
        "replay",
        "set if absent",
        "set_many if absent",
        "acquire",
        "admit",
        "report",
    ];
    for (operation, calls) in calls_after(&cut()).await {
        let once = once.contains(&operation) || matches!(operation, "ping" | "wait");
        assert_eq!(calls, if once { 1 } else { 2 }, "{operation}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_transient_or_fenced_is_handed_on_as_it_is() {
    for error in [
        Error::new(ErrorKind::StorageFull, "full"),
        Error::new(ErrorKind::Fenced, "the authority has moved"),
    ] {
        for (operation, calls) in calls_after(&error).await {
            assert_eq!(calls, 1, "{operation} {error}");
        }
        let store = retry(Probe::scripted([fail(&error)]));
        let handed_on = drive::store(&store, "record_event").await.unwrap_err();
        assert_eq!(handed_on.is_transient(), error.is_transient());
        assert_eq!(handed_on.effect(), error.effect());
    }
}

#[tokio::test(start_paused = true)]
async fn pauses_grow_and_a_used_up_error_is_no_longer_transient() {
    let probe = Probe::scripted(std::iter::repeat_n(fail(&refused()), 9));
    let started = Instant::now();
    let error = drive::store(&retry(Arc::clone(&probe)), "history")
        .await
        .unwrap_err();
    assert_eq!(probe.calls().len(), 4);
    assert_eq!(started.elapsed(), ms(100 + 200 + 400));
    assert!(!error.is_transient());
    assert_eq!(
        (error.kind(), error.effect()),
        (ErrorKind::Unavailable, Effect::NotApplied)
    );
}

#[tokio::test(start_paused = true)]
async fn the_backend_is_left_alone_as_long_as_it_asks() {
    let busy = Error::new(ErrorKind::RateLimited, "busy").with_retry_after(ms(3_000));
    let started = Instant::now();
    drive::store(&retry(Probe::scripted([fail(&busy)])), "history")
        .await
        .unwrap();
    assert_eq!(started.elapsed(), ms(3_100));
}

#[tokio::test(start_paused = true)]
async fn no_attempt_begins_after_the_whole_time() {
    let policy = RetryPolicy {
        max_attempts: 1_000,
        max_elapsed: ms(1_000),
        ..POLICY
    };
    let probe = Probe::scripted(std::iter::repeat_n(fail(&refused()), 1_000));
    let store = Retry::new(Arc::clone(&probe), policy).with_jitter(Arc::new(Longest));
    let started = Instant::now();
    assert!(!drive::store(&store, "history").await.unwrap_err().is_transient());
    // After 0, 100, 300 and 700 ms; the next would begin after 1,500.
    assert_eq!((probe.calls().len(), started.elapsed()), (4, ms(700)));
}

#[tokio::test(start_paused = true)]
async fn one_doubtful_attempt_makes_the_effect_unknown_but_not_of_a_conflict() {
    let conflict = Error::conflict("the key was used for another offer");
    for (last, effect) in [
        (refused().with_transient(false), Effect::Unknown),
        (
            Error::invalid("timestamp", "is before the watermark"),
            Effect::Unknown,
        ),
        (conflict, Effect::NotApplied),
    ] {
        let store = retry(Probe::scripted([fail(&cut()), fail(&refused()), fail(&last)]));
        let error = drive::store(&store, "record_event").await.unwrap_err();
        assert_eq!((error.kind(), error.effect()), (last.kind(), effect));
    }
}

#[tokio::test(start_paused = true)]
async fn the_outbox_of_a_store_is_tried_again_too() {
    let store: Arc<dyn InteractionStore> =
        Arc::new(retry(Probe::scripted([fail(&refused()), fail(&refused())])));
    let outbox: Arc<dyn Outbox> = store.outbox().unwrap();
    drive::outbox(&outbox, "append").await.unwrap();
}

/// The keys of a batch of interactions `a`, `b`, …
async fn record(store: &dyn InteractionStore, keys: &[&str]) -> Result<BatchOutcome<Recorded>> {
    let records = keys.iter().map(|key| drive::interaction(key));
    store.record_events(RecordBatch::live(records)).await
}

const DONE: ItemOutcome<()> = ItemOutcome::Done(());
const NOT_ATTEMPTED: ItemOutcome<()> = ItemOutcome::NotAttempted;

fn failed(error: &Error) -> ItemOutcome<()> {
    ItemOutcome::Failed(error.clone())
}

fn shape<R>(outcome: &BatchOutcome<R>) -> Vec<&'static str> {
    let shape = |item: &ItemOutcome<R>| match item {
        ItemOutcome::Done(_) => "done",
        ItemOutcome::Failed(error) if error.is_transient() => "transient",
        ItemOutcome::Failed(error) => error.kind().as_str(),
        ItemOutcome::NotAttempted => "not attempted",
    };
    outcome.items().iter().map(shape).collect()
}

#[tokio::test(start_paused = true)]
async fn of_a_batch_only_what_needs_it_is_sent_again_and_the_order_stays() {
    let poison = Error::invalid("timestamp", "is before the watermark");
    let probe = Probe::scripted([
        Step::Batch(vec![
            DONE,
            failed(&cut()),
            failed(&poison),
            DONE,
            NOT_ATTEMPTED,
            NOT_ATTEMPTED,
        ]),
        Step::Batch(vec![DONE, failed(&refused()), NOT_ATTEMPTED]),
    ]);
    let outcome = record(&retry(Arc::clone(&probe)), &["a", "b", "c", "d", "e", "f"])
        .await
        .unwrap();
    assert_eq!(
        probe.batches(),
        [
            vec!["a", "b", "c", "d", "e", "f"],
            vec!["b", "e", "f"],
            vec!["e", "f"]
        ]
    );
    assert_eq!(
        shape(&outcome),
        ["done", "done", "invalid_input", "done", "done", "done"]
    );
}

#[tokio::test(start_paused = true)]
async fn the_outcomes_of_a_batch_belong_to_their_items() {
    let probe = Probe::scripted([Step::Batch(vec![failed(&cut()), DONE, failed(&cut())])]);
    let events: Vec<_> = ["a", "b", "c"].map(drive::interaction).into();
    let outcome = retry(probe)
        .record_events(RecordBatch::live(events.clone()))
        .await
        .unwrap();
    let ids: Vec<_> = events.into_iter().map(|event| event.id.clone()).collect();
    let recorded = outcome.into_values().unwrap();
    assert_eq!(
        recorded.iter().map(Recorded::id).collect::<Vec<_>>(),
        ids.iter().collect::<Vec<_>>()
    );
}

#[tokio::test(start_paused = true)]
async fn used_up_items_are_no_longer_transient_and_what_was_never_attempted_stays_so() {
    let step = Step::Batch(vec![failed(&refused()), NOT_ATTEMPTED]);
    let probe = Probe::scripted(std::iter::repeat_n(step, 9));
    let outcome = record(&retry(Arc::clone(&probe)), &["a", "b"]).await.unwrap();
    assert_eq!(probe.batches().len(), 4);
    assert_eq!(shape(&outcome), ["unavailable", "not attempted"]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_was_refused_as_a_whole_is_sent_again_as_a_whole() {
    let probe = Probe::scripted([fail(&refused())]);
    let outcome = record(&retry(Arc::clone(&probe)), &["a", "b"]).await.unwrap();
    assert_eq!(probe.batches(), [["a", "b"], ["a", "b"]]);
    assert!(outcome.is_complete());

    let refusing = Probe::scripted(std::iter::repeat_n(fail(&refused()), 9));
    let error = record(&retry(refusing), &["a"]).await.unwrap_err();
    assert!(!error.is_transient());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_after_some_items_were_done_is_told_of_the_others_alone() {
    let full = Error::new(ErrorKind::StorageFull, "full").with_effect(Effect::NotApplied);
    let probe = Probe::scripted([
        Step::Batch(vec![DONE, failed(&cut()), NOT_ATTEMPTED]),
        fail(&refused()),
        fail(&full),
    ]);
    let outcome = record(&retry(probe), &["a", "b", "c"]).await.unwrap();
    assert_eq!(shape(&outcome), ["done", "storage_full", "storage_full"]);
    let effects: Vec<_> = outcome
        .into_results()
        .into_iter()
        .filter_map(|item| Some(item.err()?.effect()))
        .collect();
    // The first attempt may have applied b, and cannot have applied c.
    assert_eq!(effects, [Effect::Unknown, Effect::NotApplied]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_leaves_the_backend_alone_as_long_as_the_most_patient_item_asks() {
    let busy = |after| refused().with_retry_after(ms(after));
    let items = vec![failed(&busy(500)), failed(&busy(3_000)), failed(&refused())];
    let started = Instant::now();
    let outcome = record(&retry(Probe::scripted([Step::Batch(items)])), &["a", "b", "c"]).await;
    assert!(outcome.unwrap().is_complete());
    assert_eq!(started.elapsed(), ms(3_100));
}

#[tokio::test(start_paused = true)]
async fn a_doubtful_attempt_at_the_whole_batch_makes_each_effect_unknown() {
    let poison = Error::invalid("timestamp", "is before the watermark");
    let probe = Probe::scripted([fail(&cut()), Step::Batch(vec![failed(&poison)])]);
    let outcome = record(&retry(probe), &["a"]).await.unwrap();
    let error = outcome.into_values().unwrap_err();
    assert_eq!(
        (error.kind(), error.effect()),
        (ErrorKind::InvalidInput, Effect::Unknown)
    );
}

#[tokio::test(start_paused = true)]
async fn what_may_have_been_applied_is_never_called_not_attempted() {
    let probe = Probe::scripted([
        Step::Batch(vec![failed(&cut())]),
        Step::Batch(vec![NOT_ATTEMPTED]),
        Step::Batch(vec![NOT_ATTEMPTED]),
        Step::Batch(vec![NOT_ATTEMPTED]),
    ]);
    let outcome = record(&retry(probe), &["a"]).await.unwrap();
    assert_eq!(shape(&outcome), ["unavailable"]);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_number_of_outcomes_is_a_defect_and_no_item_is_guessed() {
    let store = retry(Probe::scripted([Step::Batch(vec![DONE])]));
    assert_eq!(
        record(&store, &["a", "b"]).await.unwrap_err().kind(),
        ErrorKind::Internal
    );
}

#[tokio::test(start_paused = true)]
async fn an_event_is_not_published_after_a_later_one_of_its_key() {
    let probe = Probe::scripted([Step::Batch(vec![
        failed(&refused()),
        failed(&refused()),
        DONE,
        failed(&refused()),
        failed(&refused()),
        DONE,
    ])]);
    let events = vec![
        drive::event("1 of a", Some("a")),
        drive::event("1 of b", Some("b")),
        drive::event("2 of a", Some("a")),
        drive::event("3 of a", Some("a")),
        drive::event("without key", None),
        drive::event("another without key", None),
    ];
    let outcome = retry(Arc::clone(&probe)).publish_batch(events).await.unwrap();
    assert_eq!(probe.batches()[1], ["1 of b", "3 of a", "without key"]);
    assert_eq!(
        shape(&outcome),
        ["transient", "done", "done", "done", "done", "done"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_document_is_not_written_over_a_later_one_of_its_key() {
    let probe = Probe::scripted([Step::Batch(vec![failed(&cut()), DONE, failed(&cut())])]);
    let documents = ["o1", "o1", "o2"].map(drive::document);
    let outcome = retry(Arc::clone(&probe))
        .index(IndexBatch::live(documents))
        .await
        .unwrap();
    assert_eq!(probe.batches()[1], ["o2"]);
    assert_eq!(shape(&outcome), ["transient", "done", "done"]);
}

#[tokio::test(start_paused = true)]
async fn timeout_inside_limits_an_attempt_and_outside_the_whole_call() {
    let hanging = || Probe::scripted(std::iter::repeat_n(Step::Hang, 9));

    let attempts = hanging();
    let store = retry(Timeout::new(Arc::clone(&attempts), ms(1_000)));
    let started = Instant::now();
    let error = drive::store(&store, "record_event").await.unwrap_err();
    assert_eq!(attempts.calls().len(), 4);
    assert_eq!(started.elapsed(), ms(4 * 1_000 + 700));
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Timeout, false));

    let refusing = Probe::scripted(std::iter::repeat_n(fail(&refused()), 9));
    let store = Timeout::new(retry(Arc::clone(&refusing)), ms(350));
    let started = Instant::now();
    let error = drive::store(&store, "record_event").await.unwrap_err();
    assert_eq!((refusing.calls().len(), started.elapsed()), (3, ms(350)));
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Timeout, true));
}

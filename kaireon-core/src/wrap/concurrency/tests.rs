use futures_util::future::join_all;
use tokio::time::Instant;

use super::*;
use crate::probe::{Probe, Step, drive};
use crate::store::InteractionStore;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A stub whose calls take so long each.
fn slow(calls: usize, each: Duration) -> Arc<Probe> {
    Probe::scripted(std::iter::repeat_n(Step::Answer(each), calls))
}

#[tokio::test(start_paused = true)]
async fn at_most_so_many_calls_run_at_once_and_all_are_answered() {
    let probe = slow(20, ms(100));
    let store = ConcurrencyLimit::new(Arc::clone(&probe), 3);
    let calls = (0..20).map(|_| drive::store(&store, "record_event"));
    assert!(join_all(calls).await.iter().all(Result::is_ok));
    assert_eq!(probe.peak(), 3);
}

#[tokio::test(start_paused = true)]
async fn who_waits_too_long_is_refused_and_nothing_was_applied() {
    let probe = slow(1, ms(5_000));
    let store = ConcurrencyLimit::new(Arc::clone(&probe), 1).with_queue_wait(ms(300));
    let started = Instant::now();
    let second = async {
        tokio::task::yield_now().await;
        let error = drive::store(&store, "record_event").await.unwrap_err();
        (error, started.elapsed())
    };
    let (first, (error, waited)) = tokio::join!(drive::store(&store, "history"), second);
    first.unwrap();
    assert_eq!(waited, ms(300));
    assert_eq!(
        (error.kind(), error.effect()),
        (ErrorKind::RateLimited, Effect::NotApplied)
    );
    assert!(error.is_transient());
    assert_eq!((error.backend(), error.operation()), ("probe", "record_event"));
    assert_eq!(probe.calls(), ["history"]);
}

#[tokio::test(start_paused = true)]
async fn a_wait_of_zero_refuses_at_once() {
    let store = ConcurrencyLimit::new(slow(1, ms(100)), 1).with_queue_wait(Duration::ZERO);
    let started = Instant::now();
    let second = async {
        tokio::task::yield_now().await;
        drive::store(&store, "history").await.unwrap_err();
        assert_eq!(started.elapsed(), Duration::ZERO);
    };
    tokio::join!(drive::store(&store, "history"), second).0.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_gives_its_place_back() {
    let store = ConcurrencyLimit::new(Probe::scripted([Step::Hang]), 1);
    let hanging = drive::store(&store, "history");
    assert!(tokio::time::timeout(ms(10), hanging).await.is_err());
    drive::store(&store, "history").await.unwrap();
}

/// Which operations get through while every place is taken.
async fn through_a_full_limit(
    operations: impl IntoIterator<Item = &'static str>,
    call: impl AsyncFn(&ConcurrencyLimit<Arc<Probe>>, &'static str) -> Result<()>,
) -> Vec<&'static str> {
    let mut through = Vec::new();
    for operation in operations {
        let limit = ConcurrencyLimit::new(Probe::shared(), 1).with_queue_wait(Duration::ZERO);
        let _place = limit.places.try_acquire().unwrap();
        if call(&limit, operation).await.is_ok() {
            through.push(operation);
        }
    }
    through
}

#[tokio::test]
async fn only_ping_disconnect_and_wait_need_no_place() {
    let store = through_a_full_limit(drive::STORE, async |limit, name| drive::store(limit, name).await);
    assert_eq!(store.await, ["disconnect", "ping"]);
    let outbox = through_a_full_limit(drive::OUTBOX, async |limit, name| {
        drive::outbox(limit, name).await
    });
    assert_eq!(outbox.await, ["wait"]);
    let events = through_a_full_limit(drive::EVENTS, async |limit, name| {
        drive::events(limit, name).await
    });
    assert_eq!(events.await, ["ping", "disconnect"]);
    let search = through_a_full_limit(drive::SEARCH, async |limit, name| {
        drive::search(limit, name).await
    });
    assert_eq!(search.await, ["disconnect", "ping"]);
    let cache = through_a_full_limit(drive::CACHE, async |limit, name| drive::cache(limit, name).await);
    assert_eq!(cache.await, ["ping", "disconnect"]);
    let guards = through_a_full_limit(drive::GUARDS, async |limit, name| {
        drive::guards(limit, name).await
    });
    assert!(guards.await.is_empty());
}

#[tokio::test]
async fn a_store_shares_its_places_with_its_outbox() {
    let store = ConcurrencyLimit::new(Probe::shared(), 1).with_queue_wait(Duration::ZERO);
    let outbox = store.outbox().unwrap();
    let place = store.places.try_acquire().unwrap();
    let error = drive::outbox(&outbox, "settle").await.unwrap_err();
    assert_eq!((error.backend(), error.operation()), ("probe", "settle"));
    drop(place);
    drive::outbox(&outbox, "settle").await.unwrap();
}

#[tokio::test]
async fn a_limit_of_zero_counts_as_one() {
    let store = ConcurrencyLimit::new(Probe::shared(), 0);
    drive::store(&store, "record_event").await.unwrap();
}

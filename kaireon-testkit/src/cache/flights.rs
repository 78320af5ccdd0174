//! Single flight: of the concurrent callers of a key, one fetches.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{Either, join, join_all, join3, select};
use kaireon_core::cache::{CacheKey, CacheStore, CacheStoreExt, FetchOptions, SetOptions};
use kaireon_core::{Error, ErrorKind};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::fixture::{CacheFixture, Count, Fetch, Fetched, bring, key, never, pass};

type Getting<'a> = Pin<Box<dyn Future<Output = Fetched> + Send + 'a>>;

const SOON: Duration = Duration::from_secs(20);

fn options() -> FetchOptions {
    FetchOptions::ttl(Duration::from_secs(60)).with_jitter_percent(0)
}

/// What a case works with.
struct Field<'f> {
    fixture: &'f dyn CacheFixture,
    cache: Arc<dyn CacheStore>,
}

impl<'f> Field<'f> {
    async fn open(fixture: &'f dyn CacheFixture) -> Self {
        let cache = fixture.open().await;
        Self { fixture, cache }
    }

    fn get(&self, key: &CacheKey, options: FetchOptions, fetch: Fetch) -> Getting<'f> {
        self.fixture
            .get_or_fetch(Arc::clone(&self.cache), key.clone(), options, fetch)
    }

    /// Nobody fetches any more, and nothing is left of those who did.
    fn check_empty(&self) {
        assert_eq!(
            self.cache.flights().in_flight(),
            0,
            "the flight table is not empty"
        );
    }
}

/// A fetch that goes on when it is told to.
fn held(value: &str) -> (oneshot::Sender<()>, Fetch) {
    let (go_on, going_on) = oneshot::channel();
    let value = value.as_bytes().to_vec();
    let fetch = async move {
        going_on.await.unwrap();
        Ok(Some(value))
    };
    (go_on, Box::pin(fetch))
}

/// The same fetch, and how to know that it has begun: over a network that takes its time.
fn told(fetch: Fetch) -> (oneshot::Receiver<()>, Fetch) {
    let (begun, has_begun) = oneshot::channel();
    let fetch = async move {
        // Nobody may want to know any more.
        let _ = begun.send(());
        fetch.await
    };
    (has_begun, Box::pin(fetch))
}

/// Lets a call run until its fetch has begun.
async fn begin(call: &mut Getting<'_>, has_begun: oneshot::Receiver<()>) {
    let begun = timeout(SOON, select(call, has_begun)).await;
    let Either::Right((begun, _)) = begun.expect("it must begin to fetch") else {
        panic!("it was to fetch, and ended");
    };
    begun.expect("a fetch that is dropped has not begun");
}

/// Lets a call run until it waits for something.
async fn run(call: &mut Getting<'_>) {
    let ended = timeout(Duration::from_millis(30), call).await;
    assert!(ended.is_err(), "it was to wait, and did not");
}

async fn answer(call: impl Future<Output = Fetched>) -> Vec<u8> {
    let fetched = timeout(SOON, call).await.expect("it must be answered");
    fetched.unwrap().expect("there is a value")
}

/// And all get what it got.
pub async fn a_thousand_concurrent_callers_fetch_once(fixture: &dyn CacheFixture) {
    let field = Field::open(fixture).await;
    let (count, key) = (Count::default(), key("stampede"));
    let calls = (0..1_000).map(|_| {
        let slow = Box::pin(async {
            tokio::time::sleep(Duration::from_millis(30)).await;
            Ok(Some(b"v".to_vec()))
        });
        field.get(&key, options(), count.of(slow))
    });
    let answers = timeout(SOON, join_all(calls))
        .await
        .expect("all must be answered");
    assert!(
        answers
            .into_iter()
            .all(|fetched| fetched.unwrap().unwrap() == b"v")
    );
    assert_eq!(count.get(), 1);
    field.check_empty();
}

/// Until it has expired.
pub async fn what_was_fetched_is_not_fetched_again(fixture: &dyn CacheFixture) {
    let field = Field::open(fixture).await;
    let key = key("kept");
    let ttl = Duration::from_millis(300);
    let options = FetchOptions::ttl(ttl).with_jitter_percent(0);
    assert_eq!(answer(field.get(&key, options, bring("one"))).await, b"one");
    assert_eq!(answer(field.get(&key, options, never())).await, b"one");
    pass(fixture, ttl + Duration::from_millis(30)).await;
    assert_eq!(answer(field.get(&key, options, bring("two"))).await, b"two");
    field.check_empty();
}

/// The very same, not one of its kind.
pub async fn a_failure_answers_all_who_waited_with_the_same_error(fixture: &dyn CacheFixture) {
    let field = Field::open(fixture).await;
    let (count, key) = (Count::default(), key("failing"));
    let calls = (0..100).map(|caller| {
        let slow = Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(30)).await;
            Err(Error::new(
                ErrorKind::Internal,
                format!("failed for caller {caller}"),
            ))
        });
        field.get(&key, options(), count.of(slow))
    });
    let answers = timeout(SOON, join_all(calls))
        .await
        .expect("all must be answered");
    let errors: Vec<_> = answers
        .into_iter()
        .map(|fetched| fetched.unwrap_err().to_string())
        .collect();
    assert!(
        errors
            .iter()
            .all(|error| *error == errors[0] && error.contains("failed for caller"))
    );
    assert_eq!(count.get(), 1);
    field.check_empty();
}

/// An error is not kept.
pub async fn who_comes_after_a_failure_fetches_anew(fixture: &dyn CacheFixture) {
    let field = Field::open(fixture).await;
    let key = key("anew");
    let failing = Box::pin(async { Err(Error::new(ErrorKind::Internal, "failed")) });
    assert!(field.get(&key, options(), failing).await.is_err());
    assert_eq!(answer(field.get(&key, options(), bring("v"))).await, b"v");
    field.check_empty();
}

/// Who then fetches for all the others.
pub async fn a_cancelled_fetcher_hands_over_to_one_who_waits(fixture: &dyn CacheFixture) {
    let field = Field::open(fixture).await;
    let (count, key) = (Count::default(), key("cancelled"));
    let (begun, fetch) = told(Box::pin(std::future::pending()));
    let mut fetcher = field.get(&key, options(), fetch);
    begin(&mut fetcher, begun).await;
    let waiters = (0..50).map(|_| {
        let slow = Box::pin(async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok(Some(b"v".to_vec()))
        });
        field.get(&key, options(), count.of(slow))
    });
    let leave = async {
        tokio::time::sleep(Duration::from_millis(30)).await;
        assert_eq!(count.get(), 0, "one who waits fetched beside the fetcher");
        drop(fetcher);
    };
    let waiting = timeout(SOON, join(join_all(waiters), leave));
    let (answers, ()) = waiting.await.expect("those who wait must not be stranded");
    assert!(
        answers
            .into_iter()
            .all(|fetched| fetched.unwrap().unwrap() == b"v")
    );
    assert_eq!(count.get(), 1);
    field.check_empty();
}

/// As if it had been cancelled.
pub async fn a_fetcher_that_panics_hands_over_to_one_who_waits(fixture: &dyn CacheFixture) {
    let field = Field::open(fixture).await;
    let key = key("panics");
    let (go_on, going_on) = oneshot::channel::<()>();
    let (begun, fetch) = told(Box::pin(async {
        going_on.await.unwrap();
        std::panic::resume_unwind(Box::new("the fetch panics"))
    }));
    let mut fetcher = field.get(&key, options(), fetch);
    begin(&mut fetcher, begun).await;
    let waiter = field.get(&key, options(), bring("v"));
    let panic_soon = async {
        // Until who waits does.
        tokio::time::sleep(Duration::from_millis(30)).await;
        go_on.send(()).unwrap();
    };
    let all = join3(AssertUnwindSafe(fetcher).catch_unwind(), waiter, panic_soon);
    let (panicked, answered, ()) = timeout(SOON, all).await.expect("who waits must not be stranded");
    assert!(panicked.is_err());
    assert_eq!(answered.unwrap().unwrap(), b"v");
    field.check_empty();
}

/// Neither the fetcher nor those who still wait.
pub async fn a_cancelled_waiter_strands_nobody(fixture: &dyn CacheFixture) {
    let field = Field::open(fixture).await;
    let key = key("waiter");
    let (go_on, fetch) = held("v");
    let (begun, fetch) = told(fetch);
    let mut fetcher = field.get(&key, options(), fetch);
    begin(&mut fetcher, begun).await;
    let mut gone = field.get(&key, options(), never());
    run(&mut gone).await;
    let mut waiter = field.get(&key, options(), never());
    run(&mut waiter).await;
    drop(gone);
    go_on.send(()).unwrap();
    let (fetched, waited) = join(answer(fetcher), answer(waiter)).await;
    assert_eq!((fetched.as_slice(), waited.as_slice()), (&b"v"[..], &b"v"[..]));
    field.check_empty();
}

/// A slow one holds up nobody else.
pub async fn keys_do_not_wait_for_each_other(fixture: &dyn CacheFixture) {
    let field = Field::open(fixture).await;
    let (go_on, fetch) = held("slow");
    let (begun, fetch) = told(fetch);
    let mut slow = field.get(&key("slow"), options(), fetch);
    begin(&mut slow, begun).await;
    assert_eq!(
        answer(field.get(&key("fast"), options(), bring("fast"))).await,
        b"fast"
    );
    go_on.send(()).unwrap();
    assert_eq!(answer(slow).await, b"slow");
    field.check_empty();
}

/// Of the same cache in this process.
pub async fn callers_meet_across_handles(fixture: &dyn CacheFixture) {
    let field = Field::open(fixture).await;
    let (other, key) = (Field::open(fixture).await, key("handles"));
    let (go_on, fetch) = held("v");
    let (begun, fetch) = told(fetch);
    let mut fetcher = field.get(&key, options(), fetch);
    begin(&mut fetcher, begun).await;
    let mut waiter = other.get(&key, options(), never());
    run(&mut waiter).await;
    go_on.send(()).unwrap();
    assert_eq!(answer(fetcher).await, b"v");
    assert_eq!(answer(waiter).await, b"v");
}

/// It lies under a key of its own, in a frame that is nobody else's business.
pub async fn get_set_and_del_do_not_see_what_was_fetched(fixture: &dyn CacheFixture) {
    let field = Field::open(fixture).await;
    let (cache, key) = (&field.cache, key("apart"));
    answer(field.get(&key, options(), bring("fetched"))).await;
    assert_eq!(cache.get(&key).await.unwrap(), None);
    assert_eq!(cache.peek(&key), None);
    assert!(!cache.del(&key).await.unwrap());
    cache
        .set(&key, Bytes::from_static(b"set"), SetOptions::default())
        .await
        .unwrap();
    assert_eq!(answer(field.get(&key, options(), never())).await, b"fetched");
    assert_eq!(cache.get(&key).await.unwrap().as_deref(), Some(&b"set"[..]));
}

/// And says whether something was there.
pub async fn invalidate_removes_what_was_fetched(fixture: &dyn CacheFixture) {
    let field = Field::open(fixture).await;
    let key = key("invalidate");
    assert!(!field.cache.invalidate(&key).await.unwrap());
    answer(field.get(&key, options(), bring("one"))).await;
    assert!(field.cache.invalidate(&key).await.unwrap());
    assert_eq!(answer(field.get(&key, options(), bring("two"))).await, b"two");
}

/// Who asked before it is answered, who asks after it fetches anew.
pub async fn what_is_being_fetched_while_it_is_invalidated_is_not_kept(fixture: &dyn CacheFixture) {
    let field = Field::open(fixture).await;
    let key = key("meanwhile");
    let (go_on, fetch) = held("old");
    let (begun, fetch) = told(fetch);
    let mut early = field.get(&key, options(), fetch);
    begin(&mut early, begun).await;
    field.cache.invalidate(&key).await.unwrap();
    assert_eq!(answer(field.get(&key, options(), bring("new"))).await, b"new");
    go_on.send(()).unwrap();
    assert_eq!(answer(early).await, b"old");
    assert_eq!(answer(field.get(&key, options(), never())).await, b"new");
    field.check_empty();
}

/// By default.
pub async fn absence_is_fetched_again_unless_it_is_remembered(fixture: &dyn CacheFixture) {
    let field = Field::open(fixture).await;
    let (count, key) = (Count::default(), key("absent"));
    for _ in 0..2 {
        let absent = count.of(Box::pin(async { Ok(None) }));
        assert_eq!(field.get(&key, options(), absent).await.unwrap(), None);
    }
    assert_eq!(count.get(), 2);
}

/// And no longer.
pub async fn absence_is_remembered_for_its_ttl(fixture: &dyn CacheFixture) {
    let field = Field::open(fixture).await;
    let key = key("negative");
    let negative = Duration::from_millis(300);
    let options = options().with_negative_ttl(negative);
    assert_eq!(
        field
            .get(&key, options, Box::pin(async { Ok(None) }))
            .await
            .unwrap(),
        None
    );
    assert_eq!(field.get(&key, options, never()).await.unwrap(), None);
    pass(fixture, negative + Duration::from_millis(30)).await;
    assert_eq!(answer(field.get(&key, options, bring("v"))).await, b"v");
}

/// Before anything is fetched.
pub async fn fetch_options_out_of_bounds_are_invalid_input_naming_the_field(fixture: &dyn CacheFixture) {
    let field = Field::open(fixture).await;
    for (options, name) in [
        (FetchOptions::ttl(Duration::ZERO), "ttl"),
        (options().with_jitter_percent(101), "jitter_percent"),
        (options().with_negative_ttl(Duration::ZERO), "negative_ttl"),
    ] {
        let error = field.get(&key("bounds"), options, never()).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.field()),
            (ErrorKind::InvalidInput, Some(name))
        );
    }
}

//! What is shown beyond its time to live, and to whom.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use kaireon_core::cache::FetchOptions;
use kaireon_core::{Error, ErrorKind};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::fixture::{CacheFixture, Count, bring, key, never, pass};

const TTL: Duration = Duration::from_millis(200);
const SLACK: Duration = Duration::from_millis(30);
/// Longer than any case takes.
const LONG: Duration = Duration::from_secs(60);
const SOON: Duration = Duration::from_secs(20);

fn options() -> FetchOptions {
    FetchOptions::ttl(TTL).with_jitter_percent(0)
}

macro_rules! get {
    ($fixture:ident, $cache:ident, $options:expr, $fetch:expr) => {
        $fixture.get_or_fetch(Arc::clone(&$cache), key("stale"), $options, $fetch)
    };
}

/// Nothing stale is shown to those who did not ask for it.
pub async fn without_a_window_an_expired_value_is_fetched_anew(fixture: &dyn CacheFixture) {
    let cache = fixture.open().await;
    // Kept for long by the one who fetched it, but not to be shown to this caller.
    let writer = options().with_stale_if_error(LONG);
    get!(fixture, cache, writer, bring("old")).await.unwrap();
    pass(fixture, TTL + SLACK).await;
    let failing = Box::pin(async { Err(Error::new(ErrorKind::Internal, "failed")) });
    assert!(get!(fixture, cache, options(), failing).await.is_err());
    let fetched = get!(fixture, cache, options(), bring("new")).await.unwrap();
    assert_eq!(fetched.unwrap(), b"new");
}

/// At once, though the fetch takes its time.
pub async fn one_caller_revalidates_and_the_others_get_the_stale_value(fixture: &dyn CacheFixture) {
    let cache = fixture.open().await;
    let options = options().with_stale_while_revalidate(LONG);
    get!(fixture, cache, options, bring("old")).await.unwrap();
    pass(fixture, TTL + SLACK).await;
    let (go_on, going_on) = oneshot::channel::<()>();
    let slow = Box::pin(async move {
        going_on.await.unwrap();
        Ok(Some(b"new".to_vec()))
    });
    let mut revalidating = get!(fixture, cache, options, slow);
    assert!(
        timeout(Duration::from_millis(30), &mut revalidating)
            .await
            .is_err()
    );
    let others = (0..50).map(|_| get!(fixture, cache, options, never()));
    let others = timeout(SOON, join_all(others))
        .await
        .expect("nobody may wait for the one who fetches");
    assert!(
        others
            .into_iter()
            .all(|fetched| fetched.unwrap().unwrap() == b"old")
    );
    go_on.send(()).unwrap();
    let fetched = timeout(SOON, revalidating).await.expect("it must be answered");
    assert_eq!(fetched.unwrap().unwrap(), b"new");
    assert_eq!(
        get!(fixture, cache, options, never()).await.unwrap().unwrap(),
        b"new"
    );
    assert_eq!(cache.flights().in_flight(), 0);
}

/// For the one who fetches.
pub async fn beyond_the_window_everybody_waits(fixture: &dyn CacheFixture) {
    let cache = fixture.open().await;
    let window = Duration::from_millis(100);
    let options = options()
        .with_stale_while_revalidate(window)
        .with_stale_if_error(LONG);
    get!(fixture, cache, options, bring("old")).await.unwrap();
    pass(fixture, TTL + window + SLACK).await;
    let count = Count::default();
    let calls = (0..20).map(|_| {
        let slow = Box::pin(async {
            tokio::time::sleep(Duration::from_millis(30)).await;
            Ok(Some(b"new".to_vec()))
        });
        get!(fixture, cache, options, count.of(slow))
    });
    let answers = timeout(SOON, join_all(calls))
        .await
        .expect("all must be answered");
    assert!(
        answers
            .into_iter()
            .all(|fetched| fetched.unwrap().unwrap() == b"new")
    );
    assert_eq!(count.get(), 1);
}

/// To the one who fetched and to those who waited, and it is tried again by the next one.
pub async fn a_failure_within_the_window_is_answered_with_the_stale_value(fixture: &dyn CacheFixture) {
    let cache = fixture.open().await;
    let options = options().with_stale_if_error(LONG);
    get!(fixture, cache, options, bring("old")).await.unwrap();
    pass(fixture, TTL + SLACK).await;
    let count = Count::default();
    let calls = (0..20).map(|_| {
        let failing = Box::pin(async {
            tokio::time::sleep(Duration::from_millis(30)).await;
            Err(Error::new(ErrorKind::Unavailable, "failed"))
        });
        get!(fixture, cache, options, count.of(failing))
    });
    let answers = timeout(SOON, join_all(calls))
        .await
        .expect("all must be answered");
    assert!(
        answers
            .into_iter()
            .all(|fetched| fetched.unwrap().unwrap() == b"old")
    );
    assert_eq!(count.get(), 1);
    assert_eq!(
        get!(fixture, cache, options, bring("new"))
            .await
            .unwrap()
            .unwrap(),
        b"new"
    );
}

/// However long the entry itself is kept.
pub async fn a_failure_beyond_the_window_is_answered_with_the_error(fixture: &dyn CacheFixture) {
    let cache = fixture.open().await;
    let writer = options().with_stale_while_revalidate(LONG);
    get!(fixture, cache, writer, bring("old")).await.unwrap();
    let window = Duration::from_millis(100);
    pass(fixture, TTL + window + SLACK).await;
    let failing = Box::pin(async { Err(Error::new(ErrorKind::Unavailable, "failed")) });
    let error = get!(fixture, cache, options().with_stale_if_error(window), failing)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

/// Of keys that were fetched together, some expire early and none late.
pub async fn jitter_only_shortens_the_ttl(fixture: &dyn CacheFixture) {
    let cache = fixture.open().await;
    // In truth so long that a busy machine is no jitter.
    let ttl = match fixture.clock() {
        Some(_) => Duration::from_secs(1),
        None => Duration::from_secs(4),
    };
    let options = FetchOptions::ttl(ttl).with_jitter_percent(100);
    let keys: Vec<_> = (0..100).map(|number| key(&format!("jitter-{number}"))).collect();
    let count = Count::default();
    for key in &keys {
        fixture
            .get_or_fetch(Arc::clone(&cache), key.clone(), options, bring("v"))
            .await
            .unwrap();
    }
    pass(fixture, ttl / 2).await;
    for key in &keys {
        let fetch = count.of(bring("v"));
        fixture
            .get_or_fetch(Arc::clone(&cache), key.clone(), FetchOptions::ttl(ttl), fetch)
            .await
            .unwrap();
    }
    // Half of them, give or take: outside of this range less than once in a billion runs.
    assert!(
        (20..=80).contains(&count.get()),
        "{} of 100 had expired",
        count.get()
    );
}

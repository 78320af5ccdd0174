//! Leases: of all processes that share a cache, one fetches.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{Either, select};
use kaireon_core::cache::{CacheKey, CacheStore, CacheStoreExt, FetchLeases, FetchOptions, Lease};
use kaireon_core::{Error, ErrorKind};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::fixture::{CacheFixture, Count, Fetch, bring, customer, key, never, pass, tenant};
use super::shared::both;
use crate::suite::declared_away;

/// Longer than a case takes.
const LONG: Duration = Duration::from_secs(600);
/// Over before long.
const SHORT: Duration = Duration::from_millis(300);

const SOON: Duration = Duration::from_secs(60);

const OLD: Bytes = Bytes::from_static(b"old");
const NEW: Bytes = Bytes::from_static(b"new");

fn options() -> FetchOptions {
    FetchOptions::ttl(LONG).with_jitter_percent(0).with_lease(LONG)
}

struct Process {
    cache: Arc<dyn CacheStore>,
    leases: Arc<dyn FetchLeases>,
}

/// Two processes that share a cache with leases.
async fn two(fixture: &dyn CacheFixture) -> Option<[Process; 2]> {
    let caches = both(fixture).await?;
    if caches[0].leases().is_none() {
        declared_away(&caches[0].capabilities().backend, "leases");
        return None;
    }
    Some(caches.map(|cache| Process {
        leases: cache.leases().expect("both have them"),
        cache,
    }))
}

/// One of no customer, and one of a customer.
fn keys(name: &str) -> [CacheKey; 2] {
    let of_customer = CacheKey::of_customer(&tenant("a"), &customer("anna"), name);
    [key(name), of_customer.unwrap()]
}

async fn granted(leases: &dyn FetchLeases, key: &CacheKey, lasting: Duration) -> (u64, Option<Bytes>) {
    match leases.take(key, lasting).await.unwrap() {
        Lease::Granted { token, found } => (token, found),
        Lease::Held(left) => panic!("another has it for {left:?}"),
    }
}

/// By a release, by what it brought, or by time; whoever has it next has a higher token, and is told what is there.
pub async fn a_lease_is_one_process_s_until_it_is_released_or_ends(fixture: &dyn CacheFixture) {
    let Some([here, there]) = two(fixture).await else {
        return;
    };
    for key in keys("taken") {
        let (first, found) = granted(&*here.leases, &key, LONG).await;
        assert_eq!(found, None);
        for process in [&here, &there] {
            let Lease::Held(left) = process.leases.take(&key, LONG).await.unwrap() else {
                panic!("it was granted twice");
            };
            assert!(left <= LONG && left > LONG / 2, "{left:?}");
        }
        here.leases.release(&key, first).await.unwrap();
        let (second, _) = granted(&*there.leases, &key, LONG).await;
        // Of a lease that is over.
        here.leases.release(&key, first).await.unwrap();
        assert!(matches!(
            here.leases.take(&key, LONG).await.unwrap(),
            Lease::Held(_)
        ));
        assert!(there.leases.keep(&key, NEW, LONG, second).await.unwrap());
        assert_eq!(here.cache.get(&key).await.unwrap(), Some(NEW));
        let (third, found) = granted(&*here.leases, &key, SHORT).await;
        assert_eq!(found, Some(NEW));
        pass(fixture, SHORT + Duration::from_millis(30)).await;
        let (fourth, _) = granted(&*there.leases, &key, LONG).await;
        assert!(first < second && second < third && third < fourth);
    }
}

/// However late: the lease has ended, and was granted again.
pub async fn who_comes_late_with_a_lease_that_another_has_keeps_nothing(fixture: &dyn CacheFixture) {
    let Some([here, there]) = two(fixture).await else {
        return;
    };
    for key in keys("late") {
        let (late, _) = granted(&*here.leases, &key, SHORT).await;
        pass(fixture, SHORT + Duration::from_millis(30)).await;
        let (timely, _) = granted(&*there.leases, &key, LONG).await;
        assert!(!here.leases.keep(&key, OLD, LONG, late).await.unwrap());
        assert_eq!(here.cache.get(&key).await.unwrap(), None);
        assert!(there.leases.keep(&key, NEW, LONG, timely).await.unwrap());
        assert!(!here.leases.keep(&key, OLD, LONG, late).await.unwrap());
        assert!(
            !there.leases.keep(&key, OLD, LONG, timely).await.unwrap(),
            "it is used up"
        );
        assert_eq!(here.cache.get(&key).await.unwrap(), Some(NEW));
        // One that has ended and that nobody else was granted is as good as before.
        let (slow, _) = granted(&*here.leases, &key, SHORT).await;
        pass(fixture, SHORT + Duration::from_millis(30)).await;
        assert!(here.leases.keep(&key, OLD, LONG, slow).await.unwrap());
    }
}

/// All get what it got.
pub async fn with_a_lease_one_of_all_processes_fetches(fixture: &dyn CacheFixture) {
    let Some(processes) = two(fixture).await else {
        return;
    };
    for key in keys("stampede") {
        let count = Count::default();
        let calls = (0..100).map(|caller: usize| {
            let slow = Box::pin(async {
                tokio::time::sleep(Duration::from_millis(50)).await;
                Ok(Some(b"v".to_vec()))
            });
            let cache = Arc::clone(&processes[caller % 2].cache);
            fixture.get_or_fetch(cache, key.clone(), options(), count.of(slow))
        });
        let answers = timeout(SOON, futures_util::future::join_all(calls)).await;
        for fetched in answers.expect("all must be answered") {
            assert_eq!(fetched.unwrap().unwrap(), b"v");
        }
        assert_eq!(count.get(), 1);
    }
}

/// At once, not when the lease would have ended.
pub async fn a_fetch_that_fails_under_a_lease_hands_over_to_another_process(fixture: &dyn CacheFixture) {
    let Some([here, there]) = two(fixture).await else {
        return;
    };
    for key in keys("failing") {
        let failing = Box::pin(async { Err(Error::new(ErrorKind::Internal, "it fails")) });
        let get = |process: &Process, fetch| {
            fixture.get_or_fetch(Arc::clone(&process.cache), key.clone(), options(), fetch)
        };
        assert!(get(&here, failing).await.is_err());
        let fetched = timeout(SOON, get(&there, bring("v"))).await;
        assert_eq!(fetched.expect("the lease was released").unwrap().unwrap(), b"v");
        assert_eq!(get(&here, never()).await.unwrap().unwrap(), b"v");
    }
}

/// While another process fetches it anew.
pub async fn whoever_may_see_a_stale_value_does_not_wait_for_another_process(fixture: &dyn CacheFixture) {
    let Some([here, there]) = two(fixture).await else {
        return;
    };
    let key = key("stale");
    let options = FetchOptions::ttl(SHORT)
        .with_jitter_percent(0)
        .with_stale_while_revalidate(LONG)
        .with_lease(LONG);
    let get = |process: &Process, fetch| {
        fixture.get_or_fetch(Arc::clone(&process.cache), key.clone(), options, fetch)
    };
    get(&here, bring("one")).await.unwrap();
    pass(fixture, SHORT + Duration::from_millis(30)).await;
    let (begun, has_begun) = oneshot::channel();
    let (go_on, going_on) = oneshot::channel();
    let anew = get(
        &here,
        Box::pin(async move {
            begun.send(()).unwrap();
            going_on.await.unwrap();
            Ok(Some(b"two".to_vec()))
        }),
    );
    let meanwhile = async {
        has_begun.await.unwrap();
        let shown = timeout(SOON, get(&there, never())).await;
        assert_eq!(shown.expect("it does not wait").unwrap().unwrap(), b"one");
        go_on.send(()).unwrap();
    };
    let (anew, ()) = futures_util::future::join(anew, meanwhile).await;
    assert_eq!(anew.unwrap().unwrap(), b"two");
}

/// `get_or_fetch` of a process, under a lease.
async fn get(fixture: &dyn CacheFixture, process: &Process, key: &CacheKey, fetch: Fetch) -> Vec<u8> {
    let cache = Arc::clone(&process.cache);
    let fetched = timeout(SOON, fixture.get_or_fetch(cache, key.clone(), options(), fetch)).await;
    fetched.expect("no lease is in the way").unwrap().unwrap()
}

/// A fetch under a lease, which brings `old`, and what is done while it is under way. It is answered all the same.
async fn while_fetching(
    fixture: &dyn CacheFixture,
    process: &Process,
    key: &CacheKey,
    done: impl Future<Output = ()>,
) {
    let (begun, has_begun) = oneshot::channel();
    let (go_on, going_on) = oneshot::channel();
    let slow = Box::pin(async move {
        begun.send(()).unwrap();
        going_on.await.unwrap();
        Ok(Some(b"old".to_vec()))
    });
    let meanwhile = async {
        has_begun.await.unwrap();
        done.await;
        go_on.send(()).unwrap();
    };
    let (fetched, ()) = futures_util::future::join(get(fixture, process, key, slow), meanwhile).await;
    assert_eq!(fetched, b"old");
}

/// It may have read what the invalidation was for.
pub async fn what_is_fetched_under_a_lease_is_not_kept_behind_an_invalidation_elsewhere(
    fixture: &dyn CacheFixture,
) {
    let Some([here, there]) = two(fixture).await else {
        return;
    };
    for key in keys("invalidated") {
        let invalidate = async {
            assert!(!there.cache.invalidate(&key).await.unwrap(), "nothing was there");
        };
        while_fetching(fixture, &here, &key, invalidate).await;
        assert_eq!(get(fixture, &there, &key, bring("new")).await, b"new");
        assert_eq!(get(fixture, &here, &key, never()).await, b"new");
    }
}

/// What it brings was read before the erasure. The customer's next fetch need not wait for the end of the lease.
pub async fn what_is_fetched_under_a_lease_is_not_kept_behind_an_erasure_elsewhere(
    fixture: &dyn CacheFixture,
) {
    let Some([here, there]) = two(fixture).await else {
        return;
    };
    let capabilities = here.cache.capabilities();
    if !capabilities.erasure {
        declared_away(&capabilities.backend, "erasure");
        return;
    }
    let [_, key] = keys("erased");
    let erase = async {
        let (tenant, customer) = (tenant("a"), customer("anna"));
        let erased = there.cache.erase_customer(&tenant, &customer).await;
        erased.unwrap();
    };
    while_fetching(fixture, &here, &key, erase).await;
    for process in [&here, &there] {
        assert_eq!(get(fixture, process, &key, bring("new")).await, b"new");
    }
}

/// At once, to one of the same process and to one of another, not when the lease would have ended.
pub async fn a_fetcher_that_is_cancelled_under_a_lease_hands_over(fixture: &dyn CacheFixture) {
    let Some([here, there]) = two(fixture).await else {
        return;
    };
    for (name, next) in [("here", &here), ("there", &there)] {
        let key = key(&format!("cancelled-{name}"));
        let get = |process: &Process, fetch| {
            fixture.get_or_fetch(Arc::clone(&process.cache), key.clone(), options(), fetch)
        };
        let (begun, has_begun) = oneshot::channel();
        let cancelled = get(
            &here,
            Box::pin(async move {
                begun.send(()).unwrap();
                std::future::pending().await
            }),
        );
        match timeout(SOON, select(cancelled, has_begun)).await {
            Ok(Either::Right((begun, cancelled))) => {
                begun.unwrap();
                drop(cancelled);
            }
            _ => panic!("it was to fetch"),
        }
        let fetched = timeout(SOON, get(next, bring("v"))).await;
        assert_eq!(fetched.expect("the lease was released").unwrap().unwrap(), b"v");
    }
}

/// Nothing is kept; the next one need not wait for the end of the lease.
pub async fn what_cannot_be_kept_under_a_lease_holds_up_nobody(fixture: &dyn CacheFixture) {
    let Some([here, there]) = two(fixture).await else {
        return;
    };
    let large = vec![7; here.cache.capabilities().max_value_bytes];
    for key in keys("large") {
        for process in [&here, &there] {
            let large = large.clone();
            let cache = Arc::clone(&process.cache);
            // With its frame it is larger than the cache takes.
            let fetch = Box::pin(async move { Ok(Some(large)) });
            let fetched = timeout(SOON, fixture.get_or_fetch(cache, key.clone(), options(), fetch)).await;
            let fetched = fetched.expect("the lease was released").unwrap().unwrap();
            assert_eq!(fetched.len(), here.cache.capabilities().max_value_bytes);
        }
    }
}

/// Whoever has waited so long fetches for itself, and leaves what it brought to itself.
pub async fn nobody_waits_for_longer_than_a_lease_lasts(fixture: &dyn CacheFixture) {
    let Some([here, there]) = two(fixture).await else {
        return;
    };
    let key = key("held");
    // As long as in truth it takes: it is the waiting that is bounded.
    let options = options().with_lease(Duration::from_millis(200));
    let get = |process: &Process, fetch| {
        fixture.get_or_fetch(Arc::clone(&process.cache), key.clone(), options, fetch)
    };
    let (begun, has_begun) = oneshot::channel();
    let (go_on, going_on) = oneshot::channel();
    let slow = get(
        &here,
        Box::pin(async move {
            begun.send(()).unwrap();
            going_on.await.unwrap();
            Ok(Some(b"theirs".to_vec()))
        }),
    );
    let other = async {
        has_begun.await.unwrap();
        let fetched = timeout(SOON, get(&there, bring("own"))).await;
        assert_eq!(fetched.expect("it waits no longer").unwrap().unwrap(), b"own");
        go_on.send(()).unwrap();
    };
    let (fetched, ()) = futures_util::future::join(slow, other).await;
    assert_eq!(fetched.unwrap().unwrap(), b"theirs");
}

/// Naming the field.
pub async fn leases_out_of_bounds_are_invalid_input(fixture: &dyn CacheFixture) {
    let Some([here, _]) = two(fixture).await else {
        return;
    };
    let key = key("bounds");
    let error = here.leases.take(&key, Duration::ZERO).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.field()),
        (ErrorKind::InvalidInput, Some("ttl"))
    );
    let (token, _) = granted(&*here.leases, &key, LONG).await;
    let error = here
        .leases
        .keep(&key, NEW, Duration::ZERO, token)
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.field()),
        (ErrorKind::InvalidInput, Some("ttl"))
    );
    let large = Bytes::from(vec![7; here.cache.capabilities().max_value_bytes + 1]);
    let error = here.leases.keep(&key, large, LONG, token).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.field()),
        (ErrorKind::InvalidInput, Some("value"))
    );
    // It is this process's still.
    assert!(here.leases.keep(&key, NEW, LONG, token).await.unwrap());
}

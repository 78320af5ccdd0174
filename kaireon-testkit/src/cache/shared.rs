//! What several processes share: where the capabilities say that others see what is set here.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kaireon_core::cache::{CacheKey, CacheStore, FetchOptions, SetCondition, SetOptions};
use tokio::sync::oneshot;

use super::fixture::{CacheFixture, bring, customer, key, never, pass, tenant};
use crate::suite::declared_away;
use crate::world::together;

const KEEP: SetOptions = SetOptions {
    ttl: None,
    condition: SetCondition::Always,
};
const ONE: Bytes = Bytes::from_static(b"one");
const TWO: Bytes = Bytes::from_static(b"two");

fn options() -> FetchOptions {
    FetchOptions::ttl(Duration::from_secs(60))
}

/// A handle, and one as another process has it.
pub(super) async fn both(fixture: &dyn CacheFixture) -> Option<[Arc<dyn CacheStore>; 2]> {
    let here = fixture.open().await;
    let capabilities = here.capabilities();
    if !capabilities.shared {
        declared_away(&capabilities.backend, "sharing between processes");
        return None;
    }
    let there = fixture.open_elsewhere().await;
    Some([
        here,
        there.expect("a cache that is shared can be opened elsewhere"),
    ])
}

/// In either direction, at once.
pub async fn what_one_process_sets_another_reads_replaces_and_deletes(fixture: &dyn CacheFixture) {
    let Some([here, there]) = both(fixture).await else {
        return;
    };
    let of_customer = CacheKey::of_customer(&tenant("a"), &customer("anna"), "k").unwrap();
    for key in [key("k"), of_customer] {
        here.set(&key, ONE, KEEP).await.unwrap();
        assert_eq!(there.get(&key).await.unwrap(), Some(ONE));
        there.set(&key, TWO, KEEP).await.unwrap();
        assert_eq!(here.get(&key).await.unwrap(), Some(TWO));
        assert!(here.peek(&key).is_none_or(|value| value == TWO));
        assert!(there.del(&key).await.unwrap());
        assert_eq!(here.get(&key).await.unwrap(), None);
        assert!(!here.del(&key).await.unwrap());
    }
}

/// A value's end is the same for all.
pub async fn a_value_ends_for_every_process(fixture: &dyn CacheFixture) {
    let Some([here, there]) = both(fixture).await else {
        return;
    };
    let ttl = Duration::from_millis(300);
    let of_customer = CacheKey::of_customer(&tenant("a"), &customer("anna"), "k").unwrap();
    for key in [key("k"), of_customer] {
        here.set(&key, ONE, SetOptions::ttl(ttl)).await.unwrap();
        assert_eq!(there.get(&key).await.unwrap(), Some(ONE));
        pass(fixture, ttl * 2).await;
        assert_eq!(there.get(&key).await.unwrap(), None);
        let again = SetOptions::default().when(SetCondition::IfAbsent);
        assert!(there.set(&key, TWO, again).await.unwrap());
    }
}

/// As of concurrent callers of one.
pub async fn of_concurrent_processes_if_absent_one_sets(fixture: &dyn CacheFixture) {
    let Some(handles) = both(fixture).await else {
        return;
    };
    for round in 0..20 {
        let key = key(&format!("processes-{round}"));
        let callers = (0..8_u8).map(|caller| {
            let (cache, key) = (Arc::clone(&handles[usize::from(caller % 2)]), key.clone());
            async move {
                let options = SetOptions::default().when(SetCondition::IfAbsent);
                let value = Bytes::copy_from_slice(&[caller]);
                cache
                    .set(&key, value.clone(), options)
                    .await
                    .unwrap()
                    .then_some(value)
            }
        });
        let set: Vec<_> = together(callers).await.into_iter().flatten().collect();
        assert_eq!(set.len(), 1, "in round {round}");
        for cache in &handles {
            assert_eq!(cache.get(&key).await.unwrap().as_ref(), set.first());
        }
    }
}

/// It lies where all find it.
pub async fn what_one_process_fetched_another_does_not_fetch_again(fixture: &dyn CacheFixture) {
    let Some([here, there]) = both(fixture).await else {
        return;
    };
    let of_customer = CacheKey::of_customer(&tenant("a"), &customer("anna"), "k").unwrap();
    for key in [key("k"), of_customer] {
        let get = |cache, fetch| fixture.get_or_fetch(cache, key.clone(), options(), fetch);
        get(Arc::clone(&here), bring("v")).await.unwrap();
        assert_eq!(get(Arc::clone(&there), never()).await.unwrap().unwrap(), b"v");
    }
}

/// Set or fetched, whoever did it.
pub async fn an_erasure_reaches_what_other_processes_keep(fixture: &dyn CacheFixture) {
    let Some([here, there]) = both(fixture).await else {
        return;
    };
    if !here.capabilities().erasure {
        declared_away(&here.capabilities().backend, "erasure");
        return;
    }
    let anna = |name: &str| CacheKey::of_customer(&tenant("a"), &customer("anna"), name).unwrap();
    for number in 0..50 {
        there
            .set(&anna(&format!("set-{number}")), ONE, KEEP)
            .await
            .unwrap();
    }
    let get = |cache, fetch| fixture.get_or_fetch(cache, anna("fetched"), options(), fetch);
    get(Arc::clone(&there), bring("old")).await.unwrap();
    let erased = here
        .erase_customer(&tenant("a"), &customer("anna"))
        .await
        .unwrap();
    assert_eq!(erased, 51);
    for number in 0..50 {
        assert_eq!(there.get(&anna(&format!("set-{number}"))).await.unwrap(), None);
    }
    assert_eq!(
        get(Arc::clone(&there), bring("new")).await.unwrap().unwrap(),
        b"new"
    );
    // What a host sets afterwards is of a new acquaintance.
    assert!(there.set(&anna("set-0"), TWO, KEEP).await.unwrap());
    assert_eq!(here.get(&anna("set-0")).await.unwrap(), Some(TWO));
}

/// What it brings was read before the erasure. Whoever asked is answered, and nothing is left behind.
pub async fn a_fetch_under_way_elsewhere_is_not_kept_behind_an_erasure(fixture: &dyn CacheFixture) {
    let Some([here, there]) = both(fixture).await else {
        return;
    };
    if !here.capabilities().erasure {
        declared_away(&here.capabilities().backend, "erasure");
        return;
    }
    let key = CacheKey::of_customer(&tenant("a"), &customer("anna"), "profile").unwrap();
    let get = |cache, fetch| fixture.get_or_fetch(cache, key.clone(), options(), fetch);
    let (begun, has_begun) = oneshot::channel();
    let (go_on, going_on) = oneshot::channel();
    let slow = get(
        Arc::clone(&there),
        Box::pin(async move {
            begun.send(()).unwrap();
            going_on.await.unwrap();
            Ok(Some(b"old".to_vec()))
        }),
    );
    let erase = async {
        has_begun.await.unwrap();
        here.erase_customer(&tenant("a"), &customer("anna"))
            .await
            .unwrap();
        go_on.send(()).unwrap();
    };
    let (fetched, ()) = futures_util::future::join(slow, erase).await;
    assert_eq!(fetched.unwrap().unwrap(), b"old");
    for cache in [here, there] {
        assert_eq!(get(cache, bring("new")).await.unwrap().unwrap(), b"new");
    }
}

/// And loses nothing.
pub async fn a_process_that_disconnects_leaves_the_others_at_work(fixture: &dyn CacheFixture) {
    let Some([here, there]) = both(fixture).await else {
        return;
    };
    here.set(&key("k"), ONE, KEEP).await.unwrap();
    here.disconnect().await.unwrap();
    assert_eq!(there.get(&key("k")).await.unwrap(), Some(ONE));
    assert!(there.set(&key("k"), TWO, KEEP).await.unwrap());
    assert_eq!(there.get(&key("k")).await.unwrap(), Some(TWO));
}

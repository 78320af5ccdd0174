//! The erasure of a customer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kaireon_core::ErrorKind;
use kaireon_core::cache::{CacheKey, CacheStore, FetchOptions, SetOptions};
use tokio::sync::oneshot;

use super::fixture::{CacheFixture, bring, customer, never, tenant};
use crate::suite::declared_away;

const VALUE: Bytes = Bytes::from_static(b"v");

fn can(cache: &dyn CacheStore) -> bool {
    let capabilities = cache.capabilities();
    if !capabilities.erasure {
        declared_away(&capabilities.backend, "erasure");
    }
    capabilities.erasure
}

fn options() -> FetchOptions {
    FetchOptions::ttl(Duration::from_secs(60))
}

/// Not of customers with a name that begins alike, not of other tenants, not what belongs to none.
pub async fn erasing_a_customer_removes_what_carries_the_customer_and_nothing_else(
    fixture: &dyn CacheFixture,
) {
    let cache = fixture.open().await;
    if !can(&*cache) {
        return;
    }
    let of = |whose: &str, who: &str, name: &str| {
        CacheKey::of_customer(&tenant(whose), &customer(who), name).unwrap()
    };
    let gone = [of("a", "anna", "one"), of("a", "anna", "two")];
    let kept = [
        of("a", "annabel", "one"),
        of("a", "ann", "one"),
        of("b", "anna", "one"),
        CacheKey::new(&tenant("a"), customer("anna").as_str()).unwrap(),
    ];
    for key in gone.iter().chain(&kept) {
        cache.set(key, VALUE, SetOptions::default()).await.unwrap();
    }
    assert_eq!(
        cache
            .erase_customer(&tenant("a"), &customer("anna"))
            .await
            .unwrap(),
        2
    );
    assert_eq!(cache.get_many(&gone).await.unwrap(), vec![None; 2]);
    assert_eq!(cache.get_many(&kept).await.unwrap(), vec![Some(VALUE); 4]);
    assert_eq!(
        cache
            .erase_customer(&tenant("a"), &customer("anna"))
            .await
            .unwrap(),
        0
    );
}

/// It lies under keys of its own.
pub async fn erasing_a_customer_removes_what_was_fetched(fixture: &dyn CacheFixture) {
    let cache = fixture.open().await;
    if !can(&*cache) {
        return;
    }
    let get = |who: &str, fetch| {
        let key = CacheKey::of_customer(&tenant("a"), &customer(who), "profile").unwrap();
        fixture.get_or_fetch(Arc::clone(&cache), key, options(), fetch)
    };
    for who in ["anna", "bert"] {
        get(who, bring("old")).await.unwrap();
    }
    assert_eq!(
        cache
            .erase_customer(&tenant("a"), &customer("anna"))
            .await
            .unwrap(),
        1
    );
    assert_eq!(get("anna", bring("new")).await.unwrap().unwrap(), b"new");
    assert_eq!(get("bert", never()).await.unwrap().unwrap(), b"old");
}

/// Whoever asked before is answered, and nothing is left behind.
pub async fn a_fetch_under_way_is_not_kept_behind_an_erasure(fixture: &dyn CacheFixture) {
    let cache = fixture.open().await;
    if !can(&*cache) {
        return;
    }
    let key = CacheKey::of_customer(&tenant("a"), &customer("anna"), "profile").unwrap();
    let get = |fetch| fixture.get_or_fetch(Arc::clone(&cache), key.clone(), options(), fetch);
    let (begun, has_begun) = oneshot::channel();
    let (go_on, going_on) = oneshot::channel();
    let slow = get(Box::pin(async move {
        begun.send(()).unwrap();
        going_on.await.unwrap();
        Ok(Some(b"old".to_vec()))
    }));
    let erase = async {
        has_begun.await.unwrap();
        cache
            .erase_customer(&tenant("a"), &customer("anna"))
            .await
            .unwrap();
        go_on.send(()).unwrap();
    };
    let (fetched, ()) = futures_util::future::join(slow, erase).await;
    assert_eq!(fetched.unwrap().unwrap(), b"old");
    assert_eq!(get(bring("new")).await.unwrap().unwrap(), b"new");
}

/// Supported or not.
pub async fn erasure_agrees_with_the_capabilities(fixture: &dyn CacheFixture) {
    let cache = fixture.open().await;
    match cache.erase_customer(&tenant("a"), &customer("nobody")).await {
        Ok(erased) => assert!(cache.capabilities().erasure && erased == 0),
        Err(error) => {
            assert!(!cache.capabilities().erasure);
            assert_eq!(error.kind(), ErrorKind::Unsupported);
        }
    }
}

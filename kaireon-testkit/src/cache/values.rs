//! What is set is read, until it is replaced or deleted.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kaireon_core::cache::{CacheKey, CacheStoreExt, FetchOptions, SetOptions};
use kaireon_core::{Effect, ErrorKind};

use super::fixture::{CacheFixture, bring, customer, key, never, tenant};

const KEEP: SetOptions = SetOptions {
    ttl: None,
    condition: kaireon_core::cache::SetCondition::Always,
};

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// Also when it is empty, or no text.
pub async fn a_value_reads_as_it_was_set(fixture: &dyn CacheFixture) {
    let cache = fixture.open().await;
    assert_eq!(cache.get(&key("nothing")).await.unwrap(), None);
    for (name, value) in [
        ("empty", bytes("")),
        ("text", bytes("größe")),
        ("bytes", Bytes::from_static(&[0, 255, 1])),
    ] {
        assert!(cache.set(&key(name), value.clone(), KEEP).await.unwrap());
        assert_eq!(cache.get(&key(name)).await.unwrap(), Some(value));
    }
}

/// The last one set.
pub async fn a_later_value_replaces_an_earlier_one(fixture: &dyn CacheFixture) {
    let cache = fixture.open().await;
    for text in ["one", "a longer one", "two"] {
        assert!(cache.set(&key("k"), bytes(text), KEEP).await.unwrap());
        assert_eq!(cache.get(&key("k")).await.unwrap(), Some(bytes(text)));
    }
}

/// The second deletion finds nothing.
pub async fn a_deleted_value_is_gone_and_counted_once(fixture: &dyn CacheFixture) {
    let cache = fixture.open().await;
    cache.set(&key("k"), bytes("v"), KEEP).await.unwrap();
    assert!(cache.del(&key("k")).await.unwrap());
    assert_eq!(cache.get(&key("k")).await.unwrap(), None);
    assert!(!cache.del(&key("k")).await.unwrap());
}

/// As one by one.
pub async fn many_values_are_read_set_and_deleted_in_the_order_of_the_keys(fixture: &dyn CacheFixture) {
    let cache = fixture.open().await;
    let keys: Vec<_> = (0..20).map(|number| key(&format!("many-{number}"))).collect();
    let entries = keys.iter().enumerate().filter(|(at, _)| at % 2 == 0);
    let entries: Vec<_> = entries
        .map(|(at, key)| (key.clone(), bytes(&at.to_string())))
        .collect();
    assert_eq!(cache.set_many(entries, KEEP).await.unwrap(), [true; 10]);
    let expected: Vec<_> = (0..20)
        .map(|at| (at % 2 == 0).then(|| bytes(&at.to_string())))
        .collect();
    assert_eq!(cache.get_many(&keys).await.unwrap(), expected);
    assert_eq!(cache.del_many(&keys).await.unwrap(), 10);
    assert_eq!(cache.get_many(&keys).await.unwrap(), vec![None; 20]);
    assert!(cache.get_many(&[]).await.unwrap().is_empty());
    assert_eq!(cache.del_many(&[]).await.unwrap(), 0);
}

/// However alike their names are.
pub async fn tenants_and_customers_do_not_share_keys(fixture: &dyn CacheFixture) {
    let cache = fixture.open().await;
    let keys = [
        CacheKey::new(&tenant("a"), "same").unwrap(),
        CacheKey::new(&tenant("b"), "same").unwrap(),
        CacheKey::of_customer(&tenant("a"), &customer("one"), "same").unwrap(),
        CacheKey::of_customer(&tenant("a"), &customer("two"), "same").unwrap(),
        CacheKey::of_customer(&tenant("b"), &customer("one"), "same").unwrap(),
    ];
    for (at, key) in keys.iter().enumerate() {
        assert_eq!(cache.get(key).await.unwrap(), None, "key {at}");
        cache.set(key, bytes(&at.to_string()), KEEP).await.unwrap();
    }
    for (at, key) in keys.iter().enumerate() {
        assert_eq!(cache.get(key).await.unwrap(), Some(bytes(&at.to_string())));
    }
}

/// One at the bound is taken.
pub async fn a_value_above_the_bound_is_invalid_input_naming_value(fixture: &dyn CacheFixture) {
    let cache = fixture.open().await;
    let most = cache.capabilities().max_value_bytes;
    let at_the_bound = Bytes::from(vec![7; most]);
    assert!(
        cache
            .set(&key("large"), at_the_bound.clone(), KEEP)
            .await
            .unwrap()
    );
    assert!(cache.get(&key("large")).await.unwrap() == Some(at_the_bound));
    let error = cache
        .set(&key("large"), Bytes::from(vec![7; most + 1]), KEEP)
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.field()),
        (ErrorKind::InvalidInput, Some("value"))
    );
}

/// It may know nothing, but never anything else.
pub async fn peek_agrees_with_get(fixture: &dyn CacheFixture) {
    let cache = fixture.open().await;
    assert_eq!(cache.peek(&key("k")), None);
    cache.set(&key("k"), bytes("one"), KEEP).await.unwrap();
    assert!(cache.peek(&key("k")).is_none_or(|value| value == "one"));
    cache.set(&key("k"), bytes("two"), KEEP).await.unwrap();
    assert!(cache.peek(&key("k")).is_none_or(|value| value == "two"));
    cache.del(&key("k")).await.unwrap();
    assert_eq!(cache.peek(&key("k")), None);
}

/// It may know nothing, but never what was set, what was invalidated or what an earlier fetch brought.
pub async fn peek_fetched_shows_what_was_fetched_and_nothing_else(fixture: &dyn CacheFixture) {
    let cache = fixture.open().await;
    let (fetched, options) = (key("fetched"), FetchOptions::ttl(Duration::from_secs(60)));
    cache.set(&fetched, bytes("set"), KEEP).await.unwrap();
    assert_eq!(cache.peek_fetched(&fetched), None, "it was set, not fetched");
    for text in ["one", "two"] {
        let brought = fixture
            .get_or_fetch(Arc::clone(&cache), fetched.clone(), options, bring(text))
            .await;
        assert_eq!(brought.unwrap().unwrap(), text.as_bytes());
        // What it shows can be read by `get_or_fetch` alone, so that is asked, and must not fetch.
        let kept = fixture
            .get_or_fetch(Arc::clone(&cache), fetched.clone(), options, never())
            .await;
        assert_eq!(kept.unwrap().unwrap(), text.as_bytes());
        assert!(cache.peek(&fetched).is_none_or(|value| value == "set"));
        cache.invalidate(&fetched).await.unwrap();
        assert_eq!(cache.peek_fetched(&fetched), None, "it was invalidated");
    }
    fixture
        .get_or_fetch(Arc::clone(&cache), fetched.clone(), options, bring("v"))
        .await
        .unwrap();
    cache.disconnect().await.unwrap();
    assert_eq!(cache.peek_fetched(&fetched), None, "the handle is closed");
}

/// And its error quotes nothing of the value.
pub async fn json_reads_as_it_was_set_and_other_json_is_corrupt(fixture: &dyn CacheFixture) {
    let cache = fixture.open().await;
    assert!(cache.set_json(&key("json"), &("anna", 7), KEEP).await.unwrap());
    let read: Option<(String, u32)> = cache.get_json(&key("json")).await.unwrap();
    assert_eq!(read, Some(("anna".to_owned(), 7)));
    assert_eq!(cache.get_json::<u32>(&key("nothing")).await.unwrap(), None);
    let error = cache.get_json::<u32>(&key("json")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(!format!("{error} {error:?}").contains("anna"));
}

/// Also twice.
pub async fn after_disconnect_calls_are_unavailable_and_not_applied(fixture: &dyn CacheFixture) {
    let cache = fixture.open().await;
    cache.set(&key("k"), bytes("v"), KEEP).await.unwrap();
    cache.disconnect().await.unwrap();
    cache.disconnect().await.unwrap();
    let errors = [
        cache.get(&key("k")).await.unwrap_err(),
        cache.set(&key("k"), bytes("v"), KEEP).await.unwrap_err(),
        cache.del(&key("k")).await.unwrap_err(),
        cache.get_many(&[key("k")]).await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(
            (error.kind(), error.effect()),
            (ErrorKind::Unavailable, Effect::NotApplied)
        );
    }
    assert_eq!(cache.peek(&key("k")), None);
}

/// Supported or not.
pub async fn ping_agrees_with_the_capabilities(fixture: &dyn CacheFixture) {
    let cache = fixture.open().await;
    match cache.ping().await {
        Ok(()) => assert!(cache.capabilities().ping),
        Err(error) => {
            assert!(!cache.capabilities().ping);
            assert_eq!(error.kind(), ErrorKind::Unsupported);
        }
    }
}

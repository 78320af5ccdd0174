//! A set under a condition.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kaireon_core::cache::{CacheKey, SetCondition, SetOptions};

use super::fixture::{CacheFixture, customer, key, pass, tenant};
use crate::world::together;

const IF_ABSENT: SetOptions = SetOptions {
    ttl: None,
    condition: SetCondition::IfAbsent,
};
const IF_PRESENT: SetOptions = SetOptions {
    ttl: None,
    condition: SetCondition::IfPresent,
};
const TTL: Duration = Duration::from_millis(100);
const ONE: Bytes = Bytes::from_static(b"one");
const TWO: Bytes = Bytes::from_static(b"two");

/// And leaves what is there.
pub async fn if_absent_sets_once(fixture: &dyn CacheFixture) {
    let cache = fixture.open().await;
    assert!(cache.set(&key("k"), ONE, IF_ABSENT).await.unwrap());
    assert!(!cache.set(&key("k"), TWO, IF_ABSENT).await.unwrap());
    assert_eq!(cache.get(&key("k")).await.unwrap(), Some(ONE));
    cache.del(&key("k")).await.unwrap();
    assert!(cache.set(&key("k"), TWO, IF_ABSENT).await.unwrap());
}

/// A lock that was not given back can be taken again.
pub async fn if_absent_counts_what_has_expired_as_absent(fixture: &dyn CacheFixture) {
    let cache = fixture.open().await;
    cache.set(&key("k"), ONE, SetOptions::ttl(TTL)).await.unwrap();
    pass(fixture, TTL * 2).await;
    assert!(cache.set(&key("k"), TWO, IF_ABSENT).await.unwrap());
    assert_eq!(cache.get(&key("k")).await.unwrap(), Some(TWO));
}

/// With what it is replaced by.
pub async fn if_present_replaces_only_what_is_there(fixture: &dyn CacheFixture) {
    let cache = fixture.open().await;
    assert!(!cache.set(&key("k"), ONE, IF_PRESENT).await.unwrap());
    assert_eq!(cache.get(&key("k")).await.unwrap(), None);
    cache.set(&key("k"), ONE, SetOptions::default()).await.unwrap();
    assert!(cache.set(&key("k"), TWO, IF_PRESENT).await.unwrap());
    assert_eq!(cache.get(&key("k")).await.unwrap(), Some(TWO));
}

/// It does not come to life again.
pub async fn if_present_counts_what_has_expired_as_absent(fixture: &dyn CacheFixture) {
    let cache = fixture.open().await;
    cache.set(&key("k"), ONE, SetOptions::ttl(TTL)).await.unwrap();
    pass(fixture, TTL * 2).await;
    assert!(!cache.set(&key("k"), TWO, IF_PRESENT).await.unwrap());
    assert_eq!(cache.get(&key("k")).await.unwrap(), None);
}

/// To every operation: what else the customer has is no reason to keep it alive.
pub async fn what_has_expired_of_a_customer_who_has_more_counts_as_absent(fixture: &dyn CacheFixture) {
    let cache = fixture.open().await;
    let anna = |name: &str| CacheKey::of_customer(&tenant("a"), &customer("anna"), name).unwrap();
    cache
        .set(&anna("more"), ONE, SetOptions::default())
        .await
        .unwrap();
    for name in ["if-present", "if-absent", "deleted", "erased"] {
        cache.set(&anna(name), ONE, SetOptions::ttl(TTL)).await.unwrap();
    }
    pass(fixture, TTL * 2).await;
    for name in ["if-present", "if-absent", "deleted", "erased"] {
        assert_eq!(cache.get(&anna(name)).await.unwrap(), None, "{name}");
    }
    assert!(!cache.set(&anna("if-present"), TWO, IF_PRESENT).await.unwrap());
    assert_eq!(cache.get(&anna("if-present")).await.unwrap(), None);
    assert!(cache.set(&anna("if-absent"), TWO, IF_ABSENT).await.unwrap());
    assert_eq!(cache.get(&anna("if-absent")).await.unwrap(), Some(TWO));
    assert!(!cache.del(&anna("deleted")).await.unwrap());
    if cache.capabilities().erasure {
        let erased = cache.erase_customer(&tenant("a"), &customer("anna")).await;
        assert_eq!(erased.unwrap(), 2, "two are alive");
    }
}

/// And its value stays; over and over, also where an expired value lies in the way.
pub async fn of_concurrent_callers_if_absent_one_sets(fixture: &dyn CacheFixture) {
    let cache = fixture.open().await;
    let other = fixture.open().await;
    for round in 0..40 {
        let key = key(&format!("race-{round}"));
        if round % 2 == 1 {
            cache
                .set(&key, ONE, SetOptions::ttl(Duration::from_millis(5)))
                .await
                .unwrap();
            pass(fixture, Duration::from_millis(20)).await;
        }
        let callers = (0..16_u8).map(|caller| {
            let (cache, key) = (
                Arc::clone(if caller % 2 == 0 { &cache } else { &other }),
                key.clone(),
            );
            async move {
                let value = Bytes::copy_from_slice(&[caller]);
                cache
                    .set(&key, value.clone(), IF_ABSENT)
                    .await
                    .unwrap()
                    .then_some(value)
            }
        });
        let set: Vec<_> = together(callers).await.into_iter().flatten().collect();
        assert_eq!(set.len(), 1, "in round {round}");
        assert_eq!(cache.get(&key).await.unwrap().as_ref(), set.first());
    }
}

/// Not even what is set between the look and the write.
pub async fn if_absent_never_replaces_what_is_set_meanwhile(fixture: &dyn CacheFixture) {
    let cache = fixture.open().await;
    for round in 0..200 {
        let key = key(&format!("meanwhile-{round}"));
        let sets = [SetCondition::IfAbsent, SetCondition::Always].map(|condition| {
            let (cache, key) = (Arc::clone(&cache), key.clone());
            async move {
                let value = if condition == SetCondition::Always {
                    TWO
                } else {
                    ONE
                };
                cache
                    .set(&key, value, SetOptions { ttl: None, condition })
                    .await
                    .unwrap()
            }
        });
        together(sets).await;
        // Whichever came first: what was set unconditionally is there, or replaced what was set before it.
        assert_eq!(cache.get(&key).await.unwrap(), Some(TWO), "in round {round}");
    }
}

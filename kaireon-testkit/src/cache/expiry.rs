//! A value is kept no longer than its time to live.

use std::time::Duration;

use bytes::Bytes;
use kaireon_core::ErrorKind;
use kaireon_core::cache::SetOptions;

use super::fixture::{CacheFixture, key, pass};

const TTL: Duration = Duration::from_millis(300);
/// How far off a cache's clock may be, and a little for the machine.
const SLACK: Duration = Duration::from_millis(30);
const VALUE: Bytes = Bytes::from_static(b"v");

/// By no more than the clock is off.
pub async fn a_value_is_gone_after_its_ttl_and_not_before(fixture: &dyn CacheFixture) {
    let cache = fixture.open().await;
    cache.set(&key("k"), VALUE, SetOptions::ttl(TTL)).await.unwrap();
    // Half of it: a machine that is busy sleeps longer than it was asked to.
    pass(fixture, TTL / 2).await;
    assert_eq!(cache.get(&key("k")).await.unwrap(), Some(VALUE));
    pass(fixture, TTL / 2 + SLACK).await;
    assert_eq!(cache.get(&key("k")).await.unwrap(), None);
    assert_eq!(cache.peek(&key("k")), None);
    assert_eq!(cache.get_many(&[key("k")]).await.unwrap(), [None]);
}

/// While there is room.
pub async fn a_value_without_a_ttl_stays(fixture: &dyn CacheFixture) {
    let cache = fixture.open().await;
    cache.set(&key("k"), VALUE, SetOptions::default()).await.unwrap();
    pass(fixture, TTL * 2).await;
    assert_eq!(cache.get(&key("k")).await.unwrap(), Some(VALUE));
}

/// Also a longer one, or none.
pub async fn setting_again_begins_a_new_ttl(fixture: &dyn CacheFixture) {
    let cache = fixture.open().await;
    for name in ["longer", "none"] {
        cache.set(&key(name), VALUE, SetOptions::ttl(TTL)).await.unwrap();
    }
    cache
        .set(&key("shorter"), VALUE, SetOptions::default())
        .await
        .unwrap();
    cache
        .set(&key("longer"), VALUE, SetOptions::ttl(TTL * 10))
        .await
        .unwrap();
    cache
        .set(&key("none"), VALUE, SetOptions::default())
        .await
        .unwrap();
    cache
        .set(&key("shorter"), VALUE, SetOptions::ttl(TTL))
        .await
        .unwrap();
    pass(fixture, TTL + SLACK).await;
    assert_eq!(cache.get(&key("longer")).await.unwrap(), Some(VALUE));
    assert_eq!(cache.get(&key("none")).await.unwrap(), Some(VALUE));
    assert_eq!(cache.get(&key("shorter")).await.unwrap(), None);
}

/// Before anything is set.
pub async fn a_ttl_of_zero_is_invalid_input_naming_ttl(fixture: &dyn CacheFixture) {
    let cache = fixture.open().await;
    let error = cache
        .set(&key("k"), VALUE, SetOptions::ttl(Duration::ZERO))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.field()),
        (ErrorKind::InvalidInput, Some("ttl"))
    );
    assert_eq!(cache.get(&key("k")).await.unwrap(), None);
}

/// It was not there any more.
pub async fn an_expired_value_does_not_count_as_deleted(fixture: &dyn CacheFixture) {
    let cache = fixture.open().await;
    cache.set(&key("k"), VALUE, SetOptions::ttl(TTL)).await.unwrap();
    pass(fixture, TTL + SLACK).await;
    assert!(!cache.del(&key("k")).await.unwrap());
}

//! How much a server keeps, and what becomes of what has no room.

use std::time::Duration;

use bytes::Bytes;
use kaireon_cache::RedisCache;
use kaireon_core::cache::{CacheKey, CacheStore, SetOptions};
use kaireon_core::{CustomerId, Effect, ErrorKind, TenantId};
use kaireon_testkit::server::RedisServer;

use crate::fixture::{patient, programs};

const MEMORY: u64 = 8 << 20;

fn tenant() -> TenantId {
    TenantId::new("t").unwrap()
}

fn customer() -> CustomerId {
    CustomerId::new("anna").unwrap()
}

fn large() -> Bytes {
    Bytes::from(vec![7; 10_000])
}

#[tokio::test]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn a_full_server_that_evicts_takes_everything_and_forgets_what_was_not_used() {
    let limit = format!("maxmemory {MEMORY}");
    let server = RedisServer::start(programs(), &[&limit, "maxmemory-policy allkeys-lru"])
        .await
        .unwrap();
    let cache = RedisCache::connect(patient(server.url())).await.unwrap();
    let key = |at: usize| match at % 2 {
        0 => CacheKey::new(&tenant(), at.to_string()).unwrap(),
        _ => {
            let one_of_many = CustomerId::new(format!("c{at}")).unwrap();
            CacheKey::of_customer(&tenant(), &one_of_many, "k").unwrap()
        }
    };
    for at in 0..2_000 {
        assert!(
            cache.set(&key(at), large(), SetOptions::default()).await.unwrap(),
            "value {at}"
        );
    }
    let keys: Vec<_> = (0..2_000).map(key).collect();
    let kept = cache.get_many(&keys).await.unwrap();
    let there: Vec<_> = kept.iter().map(Option::is_some).collect();
    let count = there.iter().filter(|there| **there).count();
    assert!((1..1_000).contains(&count), "{count} of 2,000 are there");
    // What is there is whole.
    assert!(kept.into_iter().flatten().all(|value| value == large()));
}

#[tokio::test]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn a_full_server_that_does_not_evict_has_no_room_and_still_deletes() {
    let server = RedisServer::start(programs(), &["maxmemory-policy noeviction"])
        .await
        .unwrap();
    let cache = RedisCache::connect(patient(server.url())).await.unwrap();
    let plain = CacheKey::new(&tenant(), "k").unwrap();
    let of_customer = CacheKey::of_customer(&tenant(), &customer(), "k").unwrap();
    for key in [&plain, &of_customer] {
        cache.set(key, large(), SetOptions::default()).await.unwrap();
    }
    server.ask(&["CONFIG", "SET", "maxmemory", "1"]).await.unwrap();
    for key in [&plain, &of_customer] {
        let error = cache.set(key, large(), SetOptions::default()).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.effect()),
            (ErrorKind::StorageFull, Effect::NotApplied)
        );
        assert_eq!(cache.get(key).await.unwrap(), Some(large()));
    }
    // Who is full can still be relieved, and erased from.
    assert!(cache.del(&plain).await.unwrap());
    assert_eq!(cache.erase_customer(&tenant(), &customer()).await.unwrap(), 1);
    assert_eq!(cache.get(&of_customer).await.unwrap(), None);
}

#[tokio::test]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn what_has_expired_of_a_customer_does_not_pile_up() {
    let server = RedisServer::start(programs(), &[]).await.unwrap();
    let cache = RedisCache::connect(patient(server.url())).await.unwrap();
    let key = |name: String| CacheKey::of_customer(&tenant(), &customer(), name).unwrap();
    // One that stays, so that the customer's key as a whole does.
    cache
        .set(&key("stays".to_owned()), large(), SetOptions::default())
        .await
        .unwrap();
    for at in 0..2_000 {
        let short = SetOptions::ttl(Duration::from_millis(1));
        cache
            .set(&key(at.to_string()), Bytes::new(), short)
            .await
            .unwrap();
    }
    let keys = server.ask(&["KEYS", "*"]).await.unwrap();
    let fields: usize = server.ask(&["HLEN", &keys]).await.unwrap().parse().unwrap();
    assert!(fields < 400, "{fields} fields are there of 4,001 that were set");
    assert_eq!(cache.get(&key("stays".to_owned())).await.unwrap(), Some(large()));
}

#[tokio::test]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn a_customers_key_goes_with_the_last_of_its_values() {
    let server = RedisServer::start(programs(), &[]).await.unwrap();
    let cache = RedisCache::connect(patient(server.url())).await.unwrap();
    let key = |name: &str| CacheKey::of_customer(&tenant(), &customer(), name).unwrap();
    let left = async || {
        let name = server.ask(&["KEYS", "*"]).await.unwrap();
        server
            .ask(&["PTTL", &name])
            .await
            .unwrap()
            .parse::<i64>()
            .unwrap()
    };
    cache
        .set(
            &key("short"),
            Bytes::new(),
            SetOptions::ttl(Duration::from_secs(100)),
        )
        .await
        .unwrap();
    assert!((1..=100_000).contains(&left().await));
    cache
        .set(
            &key("long"),
            Bytes::new(),
            SetOptions::ttl(Duration::from_secs(1_000)),
        )
        .await
        .unwrap();
    assert!((100_001..=1_000_000).contains(&left().await));
    cache
        .set(
            &key("short"),
            Bytes::new(),
            SetOptions::ttl(Duration::from_secs(10)),
        )
        .await
        .unwrap();
    assert!(
        (100_001..=1_000_000).contains(&left().await),
        "the longer one is still there"
    );
    cache
        .set(&key("ever"), Bytes::new(), SetOptions::default())
        .await
        .unwrap();
    assert_eq!(left().await, -1);
    assert_eq!(
        cache
            .del_many(&[key("short"), key("long"), key("ever")])
            .await
            .unwrap(),
        3
    );
    assert_eq!(server.ask(&["DBSIZE"]).await.unwrap(), "0");
}

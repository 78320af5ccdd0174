//! What the in-process backend promises beyond the contracts.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use kaireon_cache::{InProcessCache, InProcessCacheConfig};
use kaireon_core::cache::{CacheKey, CacheStore, FetchOptions, SetOptions};
use kaireon_core::{CacheStoreExt, CustomerId, TenantId};

fn tenant() -> TenantId {
    TenantId::new("t").unwrap()
}

fn key(number: usize) -> CacheKey {
    CacheKey::new(&tenant(), format!("key-{number}")).unwrap()
}

#[tokio::test]
async fn all_entries_together_stay_within_the_bound() {
    let config = InProcessCacheConfig::default()
        .with_max_bytes(1 << 20)
        .with_max_value_bytes(16 << 10);
    let cache = InProcessCache::new(config).unwrap();
    for number in 0..5_000 {
        let value = Bytes::from(vec![7; 1 + number * 37 % (16 << 10)]);
        assert!(
            cache
                .set(&key(number), value, SetOptions::default())
                .await
                .unwrap()
        );
        assert!(
            cache.weight() <= 1 << 20,
            "{} bytes after {number}",
            cache.weight()
        );
    }
    assert!(
        cache.weight() > 1 << 19,
        "the room is not used: {}",
        cache.weight()
    );
}

#[tokio::test]
async fn keys_count_against_the_bound() {
    let config = InProcessCacheConfig::default()
        .with_max_bytes(1 << 18)
        .with_max_value_bytes(1);
    let cache = InProcessCache::new(config).unwrap();
    for number in 0..2_000 {
        let long = CacheKey::new(&tenant(), format!("{number:01000}")).unwrap();
        cache
            .set(&long, Bytes::new(), SetOptions::default())
            .await
            .unwrap();
    }
    assert!(cache.weight() <= 1 << 18);
    let mut present = 0;
    for number in 0..2_000 {
        let long = CacheKey::new(&tenant(), format!("{number:01000}")).unwrap();
        present += u64::from(cache.get(&long).await.unwrap().is_some());
    }
    assert!((1..=(1 << 18) / 1_128).contains(&present), "{present}");
}

#[tokio::test]
async fn the_largest_value_is_kept_in_the_smallest_cache() {
    let least = 2 * ((64 << 10) + 2_000);
    let config = InProcessCacheConfig::default()
        .with_max_bytes(least)
        .with_max_value_bytes(64 << 10);
    let cache = InProcessCache::new(config).unwrap();
    for number in 0..20 {
        let value = Bytes::from(vec![7; 64 << 10]);
        cache
            .set(&key(number), value, SetOptions::default())
            .await
            .unwrap();
        assert!(cache.peek(&key(number)).is_some(), "{number}");
    }
}

#[tokio::test]
async fn a_value_that_was_a_part_of_a_large_buffer_does_not_keep_the_buffer() {
    let cache = InProcessCache::new(InProcessCacheConfig::default()).unwrap();
    let buffer = Bytes::from(vec![7; 1 << 20]);
    cache
        .set(&key(1), buffer.slice(10..20), SetOptions::default())
        .await
        .unwrap();
    assert!(buffer.try_into_mut().is_ok(), "the cache holds the buffer");
    assert_eq!(cache.get(&key(1)).await.unwrap().unwrap().len(), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_tasks_on_several_threads_fetch_once() {
    for round in 0..20 {
        let cache: Arc<dyn CacheStore> =
            Arc::new(InProcessCache::new(InProcessCacheConfig::default()).unwrap());
        let fetches = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..1_000)
            .map(|_| {
                let (cache, fetches) = (Arc::clone(&cache), Arc::clone(&fetches));
                tokio::spawn(async move {
                    let fetch = || async {
                        fetches.fetch_add(1, Ordering::SeqCst);
                        tokio::task::yield_now().await;
                        Ok(Some(Bytes::from_static(b"v")))
                    };
                    let options = FetchOptions::ttl(Duration::from_secs(60));
                    cache.get_or_fetch(&key(round), options, fetch).await
                })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.unwrap().unwrap().as_deref(), Some(&b"v"[..]));
        }
        assert_eq!(fetches.load(Ordering::SeqCst), 1, "in round {round}");
        assert_eq!(cache.flights().in_flight(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_that_was_set_before_an_erasure_is_there_after_it() {
    let cache = Arc::new(InProcessCache::new(InProcessCacheConfig::default()).unwrap());
    let customer = CustomerId::new("c").unwrap();
    for round in 0..50 {
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let (cache, customer) = (Arc::clone(&cache), customer.clone());
                tokio::spawn(async move {
                    for number in 0..50 {
                        let name = format!("{writer}-{number}");
                        let key = CacheKey::of_customer(&tenant(), &customer, name).unwrap();
                        cache
                            .set(&key, Bytes::new(), SetOptions::default())
                            .await
                            .unwrap();
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
        assert_eq!(
            cache.erase_customer(&tenant(), &customer).await.unwrap(),
            200,
            "in round {round}"
        );
        assert_eq!(cache.weight(), 0);
    }
}

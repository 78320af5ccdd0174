//! Servers that are killed while callers use the cache.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use kaireon_cache::RedisCache;
use kaireon_core::cache::{CacheKey, CacheStore, FetchOptions, SetOptions};
use kaireon_core::{CacheStoreExt, CustomerId, Effect, ErrorKind, TenantId};
use kaireon_testkit::proxy::Direction::ToClient;
use kaireon_testkit::proxy::{Cut, Proxy, Rule, Unframed};
use kaireon_testkit::server::{RedisCluster, RedisSentinel, RedisServer};
use tokio::task::JoinSet;

use crate::fixture::{patient, programs, soon};

fn key(name: &str) -> CacheKey {
    CacheKey::new(&TenantId::new("t").unwrap(), name).unwrap()
}

fn of_customer(name: &str) -> CacheKey {
    let customer = CustomerId::new(format!("customer-of-{name}")).unwrap();
    CacheKey::of_customer(&TenantId::new("t").unwrap(), &customer, name).unwrap()
}

/// Callers of `get_or_fetch`, each of which is answered with the right value whatever becomes of the server.
struct Callers {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    tasks: JoinSet<()>,
}

impl Callers {
    fn start(cache: &RedisCache) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut tasks = JoinSet::new();
        for caller in 0..64 {
            let (cache, stop, answered) = (cache.clone(), Arc::clone(&stop), Arc::clone(&answered));
            tasks.spawn(async move {
                let name = format!("k{}", caller % 16);
                let keys = [key(&name), of_customer(&name)];
                let options = FetchOptions::ttl(Duration::from_millis(20));
                while !stop.load(Ordering::Relaxed) {
                    for key in &keys {
                        let value = Bytes::copy_from_slice(name.as_bytes());
                        let fetch = || async { Ok(Some(value.clone())) };
                        let got = soon(cache.get_or_fetch(key, options, fetch)).await;
                        assert_eq!(got.unwrap(), Some(value));
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                    tokio::task::yield_now().await;
                }
            });
        }
        Self {
            stop,
            answered,
            tasks,
        }
    }

    /// Waits for so many more answers.
    async fn more(&self, answers: u64) {
        let wanted = self.answered.load(Ordering::Relaxed) + answers;
        soon(async {
            while self.answered.load(Ordering::Relaxed) < wanted {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
    }

    async fn end(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = soon(self.tasks.join_next()).await {
            ended.unwrap();
        }
    }
}

/// Sets until it succeeds.
async fn until_set(cache: &RedisCache, key: &CacheKey) {
    let value = Bytes::from_static(b"after");
    soon(async {
        while let Err(error) = cache.set(key, value.clone(), SetOptions::default()).await {
            assert!(error.is_transient(), "{error:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert_eq!(cache.get(key).await.unwrap(), Some(value));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn who_fetches_is_answered_while_the_server_is_killed_away_and_back() {
    let mut server = RedisServer::start(programs(), &[]).await.unwrap();
    let cache = RedisCache::connect(patient(server.url())).await.unwrap();
    let callers = Callers::start(&cache);
    callers.more(1_000).await;
    server.kill().await.unwrap();
    callers.more(1_000).await;
    assert!(cache.ping().await.unwrap_err().is_transient());
    server.restart().await.unwrap();
    until_set(&cache, &key("after")).await;
    until_set(&cache, &of_customer("after")).await;
    callers.more(1_000).await;
    callers.end().await;
    cache.ping().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn who_fetches_is_answered_while_a_primary_of_the_cluster_is_killed() {
    let mut cluster = RedisCluster::start(programs()).await.unwrap();
    let cache = RedisCache::connect(patient(cluster.url())).await.unwrap();
    let callers = Callers::start(&cache);
    callers.more(1_000).await;
    let name = "kaireon:t\0\0after";
    let slot = cluster.nodes()[0]
        .ask(&["CLUSTER", "KEYSLOT", name])
        .await
        .unwrap();
    let owner = cluster.owner_of(slot.parse().unwrap()).await.unwrap();
    cluster.kill(owner).await.unwrap();
    until_set(&cache, &key("after")).await;
    callers.more(1_000).await;
    callers.end().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn who_fetches_is_answered_while_sentinels_choose_another_primary() {
    let mut group = RedisSentinel::start(programs()).await.unwrap();
    let cache = RedisCache::connect(patient(group.url())).await.unwrap();
    let callers = Callers::start(&cache);
    callers.more(1_000).await;
    group.servers()[0].kill().await.unwrap();
    until_set(&cache, &key("after")).await;
    until_set(&cache, &of_customer("after")).await;
    callers.more(1_000).await;
    callers.end().await;
}

#[tokio::test]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn a_set_whose_answer_is_cut_is_unknown_and_a_get_is_not_applied() {
    let server = RedisServer::start(programs(), &[]).await.unwrap();
    let proxy = Proxy::start::<Unframed>(server.address()).await.unwrap();
    let cache = RedisCache::connect(patient(proxy.in_url(&server.url())))
        .await
        .unwrap();
    for key in [key("k"), of_customer("k")] {
        until_set(&cache, &key).await;
        let cut = || proxy.arm(Rule::after_bytes(ToClient, 1).cut_after(Cut::Fin));
        let armed = cut();
        let error = cache
            .set(&key, Bytes::new(), SetOptions::default())
            .await
            .unwrap_err();
        soon(armed.fired()).await;
        assert_eq!(
            (error.kind(), error.effect()),
            (ErrorKind::Unavailable, Effect::Unknown)
        );
        assert!(error.is_transient());
        until_set(&cache, &key).await;
        let armed = cut();
        let error = cache.get(&key).await.unwrap_err();
        soon(armed.fired()).await;
        assert_eq!(
            (error.kind(), error.effect()),
            (ErrorKind::Unavailable, Effect::NotApplied)
        );
        until_set(&cache, &key).await;
    }
}

//! Caches on the servers that suites share, each case under a prefix of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use kaireon_cache::{RedisCache, RedisCacheConfig, RedisConnectConfig, RedisMode};
use kaireon_connect::redis::{RedisClient, RedisCommand, RedisReply};
use kaireon_core::CacheStore;
use kaireon_core::breaker::{BreakerConfig, CircuitBreaker};
use kaireon_core::limiter::RateLimiter;
use kaireon_core::wrap::{ConcurrencyLimit, Retry, RetryPolicy, Timeout, Trace};
use kaireon_testkit::breaker::BreakerFixture;
use kaireon_testkit::cache::CacheFixture;
use kaireon_testkit::limiter::LimiterFixture;

const LONG: Duration = Duration::from_secs(120);

/// What `cargo xtask services up` tells.
pub(crate) fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("set {name}"))
}

pub(crate) fn programs() -> String {
    variable("KAIREON_TEST_REDIS_BINDIR")
}

/// Waits for what has no end but in a defect.
pub(crate) async fn soon<T>(call: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONG, call).await.expect("it ends")
}

/// A configuration whose calls may take as long as a busy machine needs.
pub(crate) fn patient(url: impl Into<String>) -> RedisCacheConfig {
    let connect = RedisConnectConfig::from_url(url)
        .with_command_timeout(Duration::from_secs(60))
        .with_connect_timeout(Duration::from_secs(60));
    RedisCacheConfig::default().with_connect(connect)
}

/// A cache that others share, under a prefix that is this case's alone.
pub(crate) struct OnRedis {
    config: RedisCacheConfig,
    cache: RedisCache,
    /// The servers with every right, by which what is below the prefix is deleted.
    admin: String,
}

impl OnRedis {
    async fn open(config: RedisCacheConfig, admin: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let config = config.with_key_prefix(format!("kt:cache:{}:{count}:", std::process::id()));
        Self {
            cache: RedisCache::connect(config.clone()).await.unwrap(),
            config,
            admin: variable(admin),
        }
    }

    pub(crate) async fn server() -> Self {
        let config = patient(variable("KAIREON_TEST_REDIS_URL"));
        Self::open(config, "KAIREON_TEST_REDIS_ADMIN_URL").await
    }

    pub(crate) async fn tls() -> Self {
        let config = patient(variable("KAIREON_TEST_REDIS_TLS_URL"));
        let connect = config
            .connect
            .clone()
            .with_ca_file(variable("KAIREON_TEST_REDIS_CA"));
        Self::open(config.with_connect(connect), "KAIREON_TEST_REDIS_ADMIN_URL").await
    }

    pub(crate) async fn restricted() -> Self {
        let config = patient(variable("KAIREON_TEST_REDIS_RESTRICTED_URL"));
        Self::open(config, "KAIREON_TEST_REDIS_ADMIN_URL").await
    }

    pub(crate) async fn cluster() -> Self {
        let config = patient(variable("KAIREON_TEST_REDIS_CLUSTER_URL"));
        Self::open(config, "KAIREON_TEST_REDIS_CLUSTER_ADMIN_URL").await
    }

    pub(crate) async fn sentinel() -> Self {
        let config = patient(variable("KAIREON_TEST_REDIS_SENTINEL_URL"));
        Self::open(config, "KAIREON_TEST_REDIS_SENTINEL_ADMIN_URL").await
    }
}

#[async_trait]
impl CacheFixture for OnRedis {
    async fn open(&self) -> Arc<dyn CacheStore> {
        Arc::new(self.cache.clone())
    }

    async fn open_elsewhere(&self) -> Option<Arc<dyn CacheStore>> {
        Some(Arc::new(RedisCache::connect(self.config.clone()).await.unwrap()))
    }

    async fn close(&self) {
        self.clean().await;
    }
}

#[async_trait]
impl LimiterFixture for OnRedis {
    /// Over a connection of its own.
    async fn open(&self) -> Arc<dyn RateLimiter> {
        let cache = RedisCache::connect(self.config.clone()).await.unwrap();
        cache.limiter().unwrap()
    }

    async fn close(&self) {
        self.clean().await;
    }
}

#[async_trait]
impl BreakerFixture for OnRedis {
    /// Over a connection of its own.
    async fn open(&self, config: BreakerConfig) -> Arc<dyn CircuitBreaker> {
        let cache = RedisCache::connect(self.config.clone()).await.unwrap();
        cache.breaker(config).unwrap().unwrap()
    }

    async fn close(&self) {
        self.clean().await;
    }

    /// As if the server's clock had gone on.
    async fn pass(&self, time: Duration) {
        let by = time.as_millis().to_string();
        for (client, key) in self.keys().await {
            let moved = RedisCommand::write("HINCRBY", key).arg("ahead").arg(by.clone());
            client.call(moved).await.unwrap();
        }
    }

    fn unit(&self) -> Duration {
        Duration::from_secs(60)
    }
}

impl OnRedis {
    async fn clean(&self) {
        for (client, key) in self.keys().await {
            let deleted = client.call(RedisCommand::write("UNLINK", key)).await;
            // It may have expired meanwhile.
            assert!(matches!(deleted.unwrap(), RedisReply::Int(0 | 1)));
        }
    }

    /// What is below the prefix, each with a client of the primary that has it.
    async fn keys(&self) -> Vec<(RedisClient, Bytes)> {
        let (login, nodes) = self.admin.rsplit_once('@').unwrap();
        let mut found = Vec::new();
        for node in nodes.split(',') {
            found.extend(keys(&format!("{login}@{node}"), &self.config.key_prefix).await);
        }
        found
    }
}

/// What begins so, where the server is a primary.
async fn keys(url: &str, prefix: &str) -> Vec<(RedisClient, Bytes)> {
    let config = patient(url).connect.with_mode(RedisMode::Standalone);
    let client = RedisClient::connect(config).await.unwrap();
    let replication = client
        .call(RedisCommand::keyless("INFO").arg("replication"))
        .await
        .unwrap();
    let mut found = Vec::new();
    if !replication.as_text().unwrap().contains("role:master") {
        return found;
    }
    let mut cursor = "0".to_owned();
    loop {
        let scan = RedisCommand::keyless("SCAN").arg(cursor.clone());
        let scan = scan
            .arg("MATCH")
            .arg(format!("{prefix}*"))
            .arg("COUNT")
            .arg("1000");
        let answer = client.call(scan).await.unwrap().into_list().unwrap();
        answer[0].as_text().unwrap().clone_into(&mut cursor);
        for key in answer[1].clone().into_list().unwrap() {
            found.push((client.clone(), key.into_bytes().unwrap()));
        }
        if cursor == "0" {
            return found;
        }
    }
}

pub(crate) fn wrapped(cache: Arc<dyn CacheStore>) -> Arc<dyn CacheStore> {
    let limited = Timeout::new(ConcurrencyLimit::new(cache, 2_000), LONG);
    Arc::new(Trace::new(Retry::new(limited, RetryPolicy::default())))
}

pub(crate) fn wrapped_limiter(limiter: Arc<dyn RateLimiter>) -> Arc<dyn RateLimiter> {
    let limited = Timeout::new(ConcurrencyLimit::new(limiter, 64), LONG);
    Arc::new(Trace::new(Retry::new(limited, RetryPolicy::default())))
}

pub(crate) fn wrapped_breaker(breaker: Arc<dyn CircuitBreaker>) -> Arc<dyn CircuitBreaker> {
    let limited = Timeout::new(ConcurrencyLimit::new(breaker, 64), LONG);
    Arc::new(Trace::new(Retry::new(limited, RetryPolicy::default())))
}

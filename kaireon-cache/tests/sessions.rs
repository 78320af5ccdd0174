//! Sessions over a cache whose clock is moved, and over Redis.
#![cfg(all(feature = "sessions", feature = "redis"))]
#![allow(clippy::unwrap_used, reason = "a panic in a test is the report")]

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use kaireon_cache::{CacheSessions, RedisCache, RedisCacheConfig, RedisConnectConfig};
use kaireon_core::TenantId;
use kaireon_core::cache::CacheStore;
use kaireon_core::memory::MemoryCache;
use kaireon_core::time::{Clock, ManualClock, SystemClock};
use kaireon_testkit::server::RedisServer;
use tower_sessions_core::session::{Id, Record};
use tower_sessions_core::session_store::Error;
use tower_sessions_core::{Session, SessionStore};

fn tenant() -> TenantId {
    TenantId::new("t").unwrap()
}

/// A cache that forgets by a clock, and sessions that expire by it.
fn by_clock() -> (ManualClock, Arc<CacheSessions>) {
    let clock = ManualClock::at(SystemClock.now());
    let cache = MemoryCache::with_clock(Arc::new(clock.clone()));
    let sessions = CacheSessions::new(Arc::new(cache), tenant());
    (clock.clone(), Arc::new(sessions.with_clock(Arc::new(clock))))
}

/// One that a layer made, which holds a number.
async fn record(sessions: &Arc<CacheSessions>, number: u64) -> Record {
    let session = Session::new(None, Arc::<CacheSessions>::clone(sessions), None);
    session.insert("number", number).await.unwrap();
    session.save().await.unwrap();
    sessions.load(&session.id().unwrap()).await.unwrap().unwrap()
}

fn number(record: &Record) -> u64 {
    record.data["number"].as_u64().unwrap()
}

async fn stays(sessions: &Arc<CacheSessions>) {
    let first = record(sessions, 1).await;
    // Another one that comes by the same id.
    let mut second = Record {
        data: record(sessions, 2).await.data,
        ..first.clone()
    };
    sessions.create(&mut second).await.unwrap();
    assert_ne!(second.id, first.id);
    assert_eq!(number(&sessions.load(&first.id).await.unwrap().unwrap()), 1);
    assert_eq!(sessions.load(&second.id).await.unwrap().unwrap(), second);
    sessions
        .save(&Record {
            id: first.id,
            ..second.clone()
        })
        .await
        .unwrap();
    assert_eq!(number(&sessions.load(&first.id).await.unwrap().unwrap()), 2);
    assert_eq!(sessions.load(&Id::default()).await.unwrap(), None);
    // A slow request saves what a logout has deleted.
    sessions.delete(&first.id).await.unwrap();
    sessions.delete(&first.id).await.unwrap();
    sessions.save(&first).await.unwrap();
    assert_eq!(sessions.load(&first.id).await.unwrap(), None);
}

#[tokio::test]
async fn a_session_is_never_overwritten_and_never_brought_back() {
    stays(&by_clock().1).await;
}

#[tokio::test]
async fn what_has_expired_is_not_loaded() {
    let (clock, sessions) = by_clock();
    let record = record(&sessions, 1).await;
    let left = record.expiry_date.unix_timestamp() - clock.now().timestamp();
    clock.advance(TimeDelta::seconds(left - 1));
    assert!(sessions.load(&record.id).await.unwrap().is_some());
    clock.advance(TimeDelta::seconds(2));
    assert_eq!(sessions.load(&record.id).await.unwrap(), None);
    // Neither is what another process's clock keeps for longer.
    let cache = Arc::new(MemoryCache::new());
    let here = CacheSessions::new(Arc::<MemoryCache>::clone(&cache), tenant());
    let mut kept = record;
    here.create(&mut kept).await.unwrap();
    let ahead = CacheSessions::new(cache, tenant()).with_clock(Arc::new(clock));
    assert!(here.load(&kept.id).await.unwrap().is_some());
    assert_eq!(ahead.load(&kept.id).await.unwrap(), None);
    // Saved when it is over, it is gone.
    ahead.save(&kept).await.unwrap();
    assert_eq!(here.load(&kept.id).await.unwrap(), None);
}

#[tokio::test]
async fn a_cache_that_is_away_is_an_error() {
    let cache = Arc::new(MemoryCache::new());
    let sessions = Arc::new(CacheSessions::new(Arc::<MemoryCache>::clone(&cache), tenant()));
    let record = record(&sessions, 1).await;
    cache.disconnect().await.unwrap();
    assert!(matches!(
        sessions.load(&record.id).await.unwrap_err(),
        Error::Backend(_)
    ));
    assert!(matches!(
        sessions.save(&record).await.unwrap_err(),
        Error::Backend(_)
    ));
}

#[tokio::test]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn on_redis_every_process_has_them_and_the_server_does_not_know_their_ids() {
    let programs = std::env::var("KAIREON_TEST_REDIS_BINDIR").unwrap();
    let server = RedisServer::start(programs, &[]).await.unwrap();
    let connected = async || {
        let connect =
            RedisConnectConfig::from_url(server.url()).with_command_timeout(Duration::from_secs(60));
        let cache = RedisCache::connect(RedisCacheConfig::default().with_connect(connect)).await;
        Arc::new(CacheSessions::new(Arc::new(cache.unwrap()), tenant()))
    };
    let (here, there) = (connected().await, connected().await);
    stays(&here).await;
    let record = record(&here, 7).await;
    assert_eq!(there.load(&record.id).await.unwrap().unwrap(), record);
    let mut keys = String::new();
    for key in server.ask(&["KEYS", "*"]).await.unwrap().lines() {
        keys.push_str(key);
        keys.push_str(&server.ask(&["GET", key]).await.unwrap());
    }
    assert!(keys.contains("session:"));
    for secret in [record.id.to_string(), record.id.0.to_string()] {
        assert!(!keys.contains(&secret), "{keys}");
    }
}

//! The cache and the event stream on Redis, chosen by the environment. Each test has a server of its own, which it may
//! also stop.

use std::error::Error as _;
use std::time::Duration;

use bytes::Bytes;
use kaireon::core::breaker::{Admission, BreakerState, CallResult};
use kaireon::core::cache::{CacheKey, SetOptions};
use kaireon::core::limiter::{LimitKey, RateLimit};
use kaireon::core::publisher::Signal;
use kaireon::core::store::{Erasure, ErasureId};
use kaireon::core::{CustomerId, ErrorKind, TenantId};
use kaireon::{Config, Infra, Part, Problems, Status};
use kaireon_testkit::server::RedisServer;

use crate::support::{LONG, all_of, config, next_event, recorded_topic, shown, until};

async fn server() -> RedisServer {
    let programs =
        std::env::var("KAIREON_TEST_REDIS_BINDIR").expect("KAIREON_TEST_REDIS_BINDIR is set in service mode");
    RedisServer::start(programs, &[]).await.unwrap()
}

fn at(server: &RedisServer) -> Config {
    let mut config = config(&[("INTERACTION_STORE", "memory")]).with_redis_url(server.url());
    config.handover.grace = Duration::from_millis(20);
    config
}

fn key(name: &str) -> CacheKey {
    let (tenant, customer) = (TenantId::new("acme").unwrap(), CustomerId::new("anna").unwrap());
    CacheKey::of_customer(&tenant, &customer, name).unwrap()
}

const VALUE: Bytes = Bytes::from_static(b"v");

async fn is(infra: &Infra, part: Part, status: Status) -> bool {
    let health = infra.health().await;
    health.part(part).is_some_and(|part| part.status == status)
}

async fn cache_is(infra: &Infra, status: Status) -> bool {
    is(infra, Part::Cache, status).await
}

#[tokio::test]
async fn every_variable_of_redis_is_checked_with_the_rest_and_none_is_shown() {
    let wrong = [
        ("INTERACTION_STORE", "memory"),
        ("CACHE_STORE", "redis"),
        ("REDIS_URL", "redis://shop:hunter2@cache"),
        ("KAIREON_REDIS_MODE", "hunter2"),
        ("KAIREON_REDIS_COMMAND_TIMEOUT_MS", "hunter2"),
        ("KAIREON_CACHE_MAX_VALUE_BYTES", "hunter2"),
        ("KAIREON_EVENTS_MAX_BYTES", "hunter2"),
        ("SEARCH_INDEX", "solr"),
    ];
    let error = config(&wrong).start().await.unwrap_err();
    let problems = error
        .source()
        .and_then(|source| source.downcast_ref::<Problems>());
    let mut places: Vec<_> = problems
        .unwrap()
        .iter()
        .map(|problem| problem.place.as_str())
        .collect();
    places.sort_unstable();
    let expected = [
        "KAIREON_CACHE_MAX_VALUE_BYTES",
        "KAIREON_EVENTS_MAX_BYTES",
        "KAIREON_REDIS_COMMAND_TIMEOUT_MS",
        "KAIREON_REDIS_MODE",
        "SEARCH_INDEX",
    ];
    assert_eq!(places, expected);
    assert!(!all_of(&error).contains("hunter2"), "{}", all_of(&error));
}

#[tokio::test]
async fn without_its_url_redis_is_a_wrong_configuration() {
    let vars = [("INTERACTION_STORE", "memory"), ("CACHE_STORE", "redis")];
    let error = config(&vars).start().await.unwrap_err();
    assert!(error.to_string().contains("REDIS_URL"), "{error}");
}

#[tokio::test]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn hosts_with_one_redis_url_share_a_cache_and_an_erasure_reaches_it() {
    let server = server().await;
    let (one, two) = (
        at(&server).start().await.unwrap(),
        at(&server).start().await.unwrap(),
    );
    let startup = one.startup();
    assert_eq!(startup.cache.backend, "redis");
    assert!(startup.cache.why.contains("REDIS_URL is set"), "{startup}");
    one.cache()
        .set(&key("k"), VALUE, SetOptions::default())
        .await
        .unwrap();
    assert_eq!(two.cache().get(&key("k")).await.unwrap(), Some(VALUE));
    let erased = two
        .erase_customer(Erasure {
            tenant: TenantId::new("acme").unwrap(),
            customer: CustomerId::new("anna").unwrap(),
            id: ErasureId::new("ticket-1").unwrap(),
        })
        .await
        .unwrap();
    assert_eq!(erased.receipt.deleted["cache"], 1);
    assert_eq!(one.cache().get(&key("k")).await.unwrap(), None);
    for infra in [one, two] {
        assert!(infra.shutdown(LONG).await.is_clean());
    }
}

#[tokio::test]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn hosts_with_one_redis_url_share_rate_limits_over_resets_and_until_they_are_shut_down() {
    let server = server().await;
    let (one, two) = (
        at(&server).start().await.unwrap(),
        at(&server).start().await.unwrap(),
    );
    let startup = one.startup();
    assert_eq!(startup.limits.backend, "redis");
    assert!(!startup.to_string().contains("rate limits"), "{startup}");
    let key = LimitKey::new(&TenantId::new("acme").unwrap(), "offers").unwrap();
    let limit = RateLimit {
        limit: 3,
        window: Duration::from_secs(3_600),
    };
    let admitted = async |infra: &Infra| infra.limiter().acquire(&key, limit).await.unwrap().admitted;
    assert!(admitted(&one).await && admitted(&two).await && admitted(&one).await);
    assert!(!admitted(&two).await && !admitted(&one).await);
    assert!(one.reset(at(&server)).await.unwrap().is_clean());
    assert!(!admitted(&one).await);
    // Without the server it counts by itself, and says so.
    assert!(
        one.reset(config(&[("INTERACTION_STORE", "memory")]))
            .await
            .unwrap()
            .is_clean()
    );
    assert_eq!(one.startup().limits.backend, "in-process");
    assert!(admitted(&one).await);
    let held = two.limiter();
    for infra in [one, two] {
        assert!(infra.shutdown(LONG).await.is_clean());
    }
    let error = held.acquire(&key, limit).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.is_transient()),
        (ErrorKind::Unavailable, false)
    );
}

#[tokio::test]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn hosts_with_one_redis_url_share_breakers_and_stand_alone_while_it_is_away() {
    let mut server = server().await;
    // A stall of the machine is no outage.
    let patient = || {
        let mut config = at(&server).with_variable("KAIREON_REDIS_COMMAND_TIMEOUT_MS", "60000");
        config.calls.attempt_timeout = LONG;
        config
    };
    let (one, two) = (patient().start().await.unwrap(), patient().start().await.unwrap());
    let startup = one.startup();
    assert_eq!(startup.breakers.backend, "redis");
    assert!(!startup.to_string().contains("circuit breakers"), "{startup}");
    let fails = async |infra: &Infra| {
        let breaker = infra.breaker();
        if let Admission::Admitted(admission) = breaker.admit("model").await.unwrap() {
            breaker
                .report("model", admission, CallResult::Failure)
                .await
                .unwrap();
        }
    };
    let state = async |infra: &Infra| infra.breaker().state("model").await.unwrap();
    for infra in [&one, &two, &one, &two] {
        fails(infra).await;
        assert_eq!(state(&one).await, BreakerState::Closed);
    }
    fails(&one).await;
    assert_ne!(state(&two).await, BreakerState::Closed);
    server.kill().await.unwrap();
    // What it does not know of its own it takes for well.
    assert_eq!(state(&two).await, BreakerState::Closed);
    for _ in 0..5 {
        fails(&two).await;
    }
    assert_ne!(state(&two).await, BreakerState::Closed);
    assert_eq!(state(&one).await, BreakerState::Closed);
    server.restart().await.unwrap();
    for infra in [one, two] {
        assert!(infra.shutdown(LONG).await.is_clean());
    }
}

#[tokio::test]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn a_server_that_goes_away_is_told_by_health_and_found_again() {
    let mut server = server().await;
    let infra = at(&server).start().await.unwrap();
    assert!(cache_is(&infra, Status::Up).await);
    server.kill().await.unwrap();
    assert!(cache_is(&infra, Status::Down).await);
    server.restart().await.unwrap();
    until("the cache answers again", async || {
        cache_is(&infra, Status::Up).await
    })
    .await;
    infra
        .cache()
        .set(&key("k"), VALUE, SetOptions::default())
        .await
        .unwrap();
    assert!(infra.shutdown(LONG).await.is_clean());
}

#[tokio::test]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn a_reset_to_another_server_takes_the_cache_there_and_one_that_fails_leaves_it() {
    let (first, second) = (server().await, server().await);
    let infra = at(&first).start().await.unwrap();
    infra
        .cache()
        .set(&key("k"), VALUE, SetOptions::default())
        .await
        .unwrap();
    assert!(infra.reset(at(&first)).await.unwrap().is_clean());
    assert_eq!(infra.cache().get(&key("k")).await.unwrap(), Some(VALUE));
    let nowhere = config(&[("INTERACTION_STORE", "memory")]).with_redis_url("redis://127.0.0.1:1");
    infra.reset(nowhere).await.unwrap_err();
    assert_eq!(infra.cache().get(&key("k")).await.unwrap(), Some(VALUE));
    assert!(infra.reset(at(&second)).await.unwrap().is_clean());
    assert_eq!(infra.cache().get(&key("k")).await.unwrap(), None);
    assert!(infra.shutdown(LONG).await.is_clean());
    let error = infra.cache().get(&key("k")).await.unwrap_err();
    assert!(!error.is_transient());
}

#[tokio::test]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn what_one_host_records_another_one_with_the_same_redis_url_is_told() {
    let server = server().await;
    let (one, two) = (
        at(&server).start().await.unwrap(),
        at(&server).start().await.unwrap(),
    );
    let startup = one.startup();
    assert_eq!(startup.events.backend, "redis");
    assert!(startup.events.why.contains("REDIS_URL is set"), "{startup}");
    let mut events = two.events().subscribe(recorded_topic()).await.unwrap();
    let mut ids = Vec::new();
    for key in ["k1", "k2", "k3"] {
        let shown = shown("c", key);
        one.store().record_event(shown.clone()).await.unwrap();
        // A duplicate is no event.
        one.store().record_event(shown.clone()).await.unwrap();
        ids.push(shown.id.to_string());
    }
    for id in ids {
        assert_eq!(next_event(&mut events).await.id(), id);
    }
    assert!(one.shutdown(LONG).await.is_clean());
    assert!(two.shutdown(LONG).await.is_clean());
    assert!(events.next().await.is_none(), "a fourth event");
}

#[tokio::test]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn what_is_recorded_while_the_stream_is_away_is_published_when_it_is_back() {
    let mut server = server().await;
    let infra = at(&server).start().await.unwrap();
    assert!(is(&infra, Part::Events, Status::Up).await);
    let mut events = infra.events().subscribe(recorded_topic()).await.unwrap();
    server.kill().await.unwrap();
    assert!(is(&infra, Part::Events, Status::Down).await);
    let shown = shown("c", "k");
    infra.store().record_event(shown.clone()).await.unwrap();
    // Nothing is published before the subscription is there again.
    server.set("user default on nopass ~* &* +@all -publish").unwrap();
    server.restart().await.unwrap();
    let gap = tokio::time::timeout(LONG, events.next()).await.unwrap();
    assert!(matches!(gap, Some(Ok(Signal::Gap))), "{gap:?}");
    server
        .ask(&["ACL", "SETUSER", "default", "+publish"])
        .await
        .unwrap();
    assert_eq!(next_event(&mut events).await.id(), shown.id.as_str());
    until("the stream answers again", async || {
        is(&infra, Part::Events, Status::Up).await
    })
    .await;
    assert!(infra.shutdown(LONG).await.is_clean());
}

#[tokio::test]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn a_reset_to_another_server_takes_the_stream_there_and_ends_the_old_subscriptions() {
    let (first, second) = (server().await, server().await);
    let infra = at(&first).start().await.unwrap();
    let mut old = infra.events().subscribe(recorded_topic()).await.unwrap();
    infra.store().record_event(shown("c", "k1")).await.unwrap();
    next_event(&mut old).await;
    assert!(infra.reset(at(&second)).await.unwrap().is_clean());
    assert!(tokio::time::timeout(LONG, old.next()).await.unwrap().is_none());
    let mut new = infra.events().subscribe(recorded_topic()).await.unwrap();
    let shown = shown("c", "k2");
    infra.store().record_event(shown.clone()).await.unwrap();
    assert_eq!(next_event(&mut new).await.id(), shown.id.as_str());
    assert!(infra.shutdown(LONG).await.is_clean());
}

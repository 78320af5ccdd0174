//! The breaker on Redis: across processes, by a clock that is moved back, what is sent, and while the server is away.

use std::sync::Arc;
use std::time::Duration;

use kaireon_cache::{RedisBreaker, RedisCache};
use kaireon_core::breaker::{
    Admission, BreakerConfig, BreakerState, CallResult, CircuitBreaker, FallbackBreaker,
};
use kaireon_core::memory::MemoryBreaker;
use kaireon_core::{CacheStore, ErrorKind};
use kaireon_testkit::server::RedisServer;

use crate::commands::Monitor;
use crate::fixture::{patient, programs, soon};

const NAME: &str = "search";

/// As long as no test takes.
const LONG: BreakerConfig = BreakerConfig {
    failures: 2,
    open_for: Duration::from_secs(3_600),
    probes: 1,
    probe_timeout: Duration::from_secs(3_600),
};

async fn breaker(server: &RedisServer, config: BreakerConfig) -> RedisBreaker {
    let cache = RedisCache::connect(patient(server.url())).await.unwrap();
    cache.breakers(config).unwrap()
}

async fn admitted(breaker: &dyn CircuitBreaker) -> Option<u64> {
    match breaker.admit(NAME).await.unwrap() {
        Admission::Admitted(admission) => Some(admission),
        Admission::Refused(_) => None,
    }
}

async fn call(breaker: &dyn CircuitBreaker, result: CallResult) {
    let admission = admitted(breaker).await.unwrap();
    breaker.report(NAME, admission, result).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn instances_open_one_breaker_together_and_share_one_probe() {
    let server = RedisServer::start(programs(), &[]).await.unwrap();
    let short = BreakerConfig {
        open_for: Duration::from_millis(50),
        ..LONG
    };
    let mut instances = Vec::new();
    for _ in 0..8 {
        instances.push(Arc::new(breaker(&server, short).await));
    }
    call(&*instances[0], CallResult::Failure).await;
    call(&*instances[1], CallResult::Failure).await;
    soon(async {
        while instances[2].state(NAME).await.unwrap() != BreakerState::HalfOpen {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let mut asked = tokio::task::JoinSet::new();
    for instance in &instances {
        for _ in 0..16 {
            let instance = Arc::clone(instance);
            asked.spawn(async move { admitted(&*instance).await });
        }
    }
    let probes: Vec<_> = asked.join_all().await.into_iter().flatten().collect();
    assert_eq!(probes.len(), 1, "{probes:?}");
    // Whoever has its number may report.
    instances[7]
        .report(NAME, probes[0], CallResult::Success)
        .await
        .unwrap();
    for instance in &instances {
        assert_eq!(instance.state(NAME).await.unwrap(), BreakerState::Closed);
    }
}

#[tokio::test]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn a_clock_that_was_moved_back_prolongs_nothing() {
    let server = RedisServer::start(programs(), &[]).await.unwrap();
    let breaker = breaker(&server, LONG).await;
    for _ in 0..2 {
        call(&breaker, CallResult::Failure).await;
    }
    let name = server.ask(&["KEYS", "*"]).await.unwrap();
    let field = async |field: &str| {
        let number = server.ask(&["HGET", &name, field]).await.unwrap();
        number.parse::<i64>().unwrap()
    };
    // As if the server's clock had been ten hours ahead until now.
    const AHEAD_MS: i64 = 36_000_000;
    for (at, value) in [("last", field("last").await), ("until", field("until").await)] {
        let ahead = (value + AHEAD_MS).to_string();
        server.ask(&["HSET", &name, at, &ahead]).await.unwrap();
    }
    let Admission::Refused(wait) = breaker.admit(NAME).await.unwrap() else {
        panic!("an open breaker admitted a call");
    };
    assert!(wait <= LONG.open_for, "{wait:?}");
    // From there on its time runs.
    server.ask(&["HINCRBY", &name, "ahead", "3600000"]).await.unwrap();
    assert_eq!(breaker.state(NAME).await.unwrap(), BreakerState::HalfOpen);
    assert!(admitted(&breaker).await.is_some());
}

#[tokio::test]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn an_admission_from_before_a_key_was_lost_is_none_of_after_it() {
    let server = RedisServer::start(programs(), &[]).await.unwrap();
    let one = BreakerConfig { failures: 1, ..LONG };
    let breaker = breaker(&server, one).await;
    let before = admitted(&breaker).await.unwrap();
    server.ask(&["FLUSHALL"]).await.unwrap();
    assert_eq!(breaker.state(NAME).await.unwrap(), BreakerState::Closed);
    let after = admitted(&breaker).await.unwrap();
    breaker.report(NAME, before, CallResult::Failure).await.unwrap();
    assert_eq!(breaker.state(NAME).await.unwrap(), BreakerState::Closed);
    breaker.report(NAME, after, CallResult::Failure).await.unwrap();
    assert_eq!(breaker.state(NAME).await.unwrap(), BreakerState::Open);
}

#[tokio::test]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn each_call_is_one_command_that_touches_one_key_which_ends_when_nobody_asks() {
    let server = RedisServer::start(programs(), &[]).await.unwrap();
    let soon_half_open = BreakerConfig {
        open_for: Duration::from_millis(1),
        ..LONG
    };
    let breaker = breaker(&server, soon_half_open).await;
    // The scripts become known.
    call(&breaker, CallResult::Success).await;
    breaker.state(NAME).await.unwrap();
    let mut monitor = Monitor::of(&server).await;
    let mut calls = 0;
    for result in [CallResult::Success, CallResult::Failure].repeat(3) {
        call(&breaker, result).await;
        breaker.state(NAME).await.unwrap();
        calls += 3;
    }
    // It opens, and a probe closes it.
    call(&breaker, CallResult::Failure).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    call(&breaker, CallResult::Success).await;
    calls += 4;
    assert_eq!(monitor.sent_by_declared_keys().await, vec!["EVALSHA"; calls]);
    let name = server.ask(&["KEYS", "*"]).await.unwrap();
    // With all that it ever has: a probe is out.
    call(&breaker, CallResult::Failure).await;
    call(&breaker, CallResult::Failure).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    admitted(&breaker).await.unwrap();
    let left: i64 = server.ask(&["PTTL", &name]).await.unwrap().parse().unwrap();
    assert!((1..=86_400_000).contains(&left), "{left}");
    let bytes: u64 = server
        .ask(&["MEMORY", "USAGE", &name])
        .await
        .unwrap()
        .parse()
        .unwrap();
    println!("a breaker takes {bytes} bytes");
    assert!(bytes <= 400, "{bytes}");
}

#[tokio::test]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn while_the_server_is_away_breakers_of_the_process_stand_in() {
    let mut server = RedisServer::start(programs(), &[]).await.unwrap();
    let cache = RedisCache::connect(patient(server.url())).await.unwrap();
    let shared = cache.breaker(LONG).unwrap().unwrap();
    let own = Arc::new(MemoryBreaker::new(LONG).unwrap());
    let breaker = FallbackBreaker::new(Arc::clone(&shared), own);
    call(&breaker, CallResult::Failure).await;
    server.kill().await.unwrap();
    let mut last = admitted(&breaker).await;
    while let Some(admission) = last {
        breaker
            .report(NAME, admission, CallResult::Failure)
            .await
            .unwrap();
        last = admitted(&breaker).await;
    }
    assert_eq!(breaker.state(NAME).await.unwrap(), BreakerState::Open);
    server.restart().await.unwrap();
    // The shared one was left as it was, or is lost with the server; closed either way.
    soon(async {
        while breaker.state(NAME).await.unwrap() != BreakerState::Closed {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert!(admitted(&breaker).await.is_some());
    cache.disconnect().await.unwrap();
    let error = breaker.admit(NAME).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.is_transient()),
        (ErrorKind::Unavailable, false)
    );
}

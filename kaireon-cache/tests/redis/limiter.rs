//! The limiter on Redis: across processes, what is sent, what a key takes, and while the server is away.

use std::sync::Arc;
use std::time::Duration;

use kaireon_cache::{RedisCache, RedisLimiter};
use kaireon_core::limiter::{LimitKey, Outage, RateLimit, RateLimiter, RateLimiterExt};
use kaireon_core::{CacheStore, Effect, ErrorKind, TenantId};
use kaireon_testkit::limiter::check_windows;
use kaireon_testkit::server::RedisServer;

use crate::children::{DONE, go, together};
use crate::commands::Monitor;
use crate::fixture::{patient, programs, soon};

/// Where the server of a child is.
const URL: &str = "KAIREON_CACHE_LIMITER_CHILD_URL";

const PROCESSES: usize = 8;

/// So many calls each child makes at least, and goes on until so long after its first by the server's clock.
const CALLS: usize = 100;
const LENGTH_MS: i64 = 1_000;

const LIMIT: RateLimit = RateLimit {
    limit: 50,
    window: Duration::from_millis(200),
};

fn key(name: &str) -> LimitKey {
    LimitKey::new(&TenantId::new("t").unwrap(), name).unwrap()
}

async fn limiter(server: &RedisServer) -> RedisLimiter {
    RedisCache::connect(patient(server.url())).await.unwrap().limits()
}

async fn admitted(limiter: &RedisLimiter, key: &LimitKey, limit: RateLimit) -> bool {
    limiter.acquire(key, limit).await.unwrap().admitted
}

/// Calls at once with all others, and tells when it was admitted.
async fn call_as_a_child(url: String) {
    let limiter = RedisCache::connect(patient(url)).await.unwrap().limits();
    go();
    let mut first = None;
    for call in 0.. {
        let decision = limiter.acquire(&key("shared"), LIMIT).await.unwrap();
        let at = decision.at.timestamp_millis();
        if decision.admitted {
            println!("\nadmitted {at}");
        }
        if call >= CALLS && at - *first.get_or_insert(at) >= LENGTH_MS {
            break;
        }
        first.get_or_insert(at);
    }
    println!("\n{DONE}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn eight_processes_together_keep_to_the_limit() {
    if let Ok(url) = std::env::var(URL) {
        return call_as_a_child(url).await;
    }
    let server = RedisServer::start(programs(), &[]).await.unwrap();
    let url = server.url();
    let times = tokio::task::spawn_blocking(move || {
        let test = "limiter::eight_processes_together_keep_to_the_limit";
        let said = together(PROCESSES, test, &[(URL, url.as_str())]);
        let said = said.iter().flatten();
        let times = said.filter_map(|line| line.strip_prefix("admitted "));
        let mut times: Vec<i64> = times.map(|at| at.parse().unwrap()).collect();
        times.sort_unstable();
        times
    });
    let times = times.await.unwrap();
    // Each process goes on for several windows, of which the first at least is used in full.
    assert!(times.len() >= 50, "{}", times.len());
    println!("{} calls of {PROCESSES} processes were admitted", times.len());
    check_windows(&times, LIMIT);
}

#[tokio::test]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn each_call_is_one_command_that_touches_one_key_which_does_not_tell_the_name() {
    let server = RedisServer::start(programs(), &[]).await.unwrap();
    let limiter = limiter(&server).await;
    // The key is remembered for an hour, whatever the machine does meanwhile.
    let of_an_hour = |limit| RateLimit {
        limit,
        window: Duration::from_secs(3_600),
    };
    admitted(&limiter, &key("anna"), of_an_hour(50)).await;
    let mut monitor = Monitor::of(&server).await;
    for limit in [of_an_hour(50), of_an_hour(60), of_an_hour(50)] {
        for _ in 0..40 {
            limiter.acquire(&key("anna"), limit).await.unwrap();
        }
    }
    assert_eq!(monitor.sent_by_declared_keys().await, ["EVALSHA"; 120]);
    let keys = server.ask(&["KEYS", "*"]).await.unwrap();
    assert!(!keys.is_empty() && !keys.contains("anna"), "{keys}");
}

#[tokio::test]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn a_key_takes_six_bytes_for_each_of_its_largest_limit_and_ends_with_its_longest_window() {
    let server = RedisServer::start(programs(), &[]).await.unwrap();
    let limiter = limiter(&server).await;
    let short = |limit| RateLimit {
        limit,
        window: Duration::from_millis(1),
    };
    let long = RateLimit {
        limit: 4,
        window: Duration::from_secs(3_600),
    };
    let other = key("other");
    let key = key("k");
    // From now on the key is remembered for an hour.
    assert!(admitted(&limiter, &key, long).await);
    for _ in 0..500 {
        limiter.acquire(&key, short(20)).await.unwrap();
    }
    let name = server.ask(&["KEYS", "*"]).await.unwrap();
    let length = async || {
        let length = server.ask(&["STRLEN", &name]).await.unwrap();
        length.parse::<usize>().unwrap()
    };
    assert_eq!(length().await, 74 + 6 * 20);
    // What was remembered for the smaller limit still is.
    assert!(!admitted(&limiter, &key, long).await);
    for _ in 0..500 {
        limiter.acquire(&key, short(30)).await.unwrap();
    }
    assert_eq!(length().await, 74 + 6 * 30);
    assert!(!admitted(&limiter, &key, long).await);
    let left: i64 = server.ask(&["PTTL", &name]).await.unwrap().parse().unwrap();
    assert!((1..=3_600_001).contains(&left), "{left}");
    let large = RateLimit {
        limit: 1_000_001,
        ..long
    };
    let error = limiter.acquire(&key, large).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.field()),
        (ErrorKind::InvalidInput, Some("limit"))
    );
    // An idle key is gone.
    limiter.acquire(&other, short(1)).await.unwrap();
    soon(async {
        while server.ask(&["DBSIZE"]).await.unwrap() != "1" {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

#[tokio::test]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn a_clock_that_was_moved_back_neither_opens_a_limit_nor_closes_it_for_long() {
    let server = RedisServer::start(programs(), &[]).await.unwrap();
    let limiter = limiter(&server).await;
    let limit = RateLimit {
        limit: 3,
        window: Duration::from_millis(300),
    };
    let key = key("k");
    // The key is remembered for an hour, whatever the machine does meanwhile.
    let long = RateLimit {
        limit: 1_000,
        window: Duration::from_secs(3_600),
    };
    let first = limiter.acquire(&key, long).await.unwrap();
    let name = server.ask(&["KEYS", "*"]).await.unwrap();
    // As if the server's clock had been an hour ahead until now.
    let hour_ahead = first.at.timestamp_millis() + 3_600_000;
    let last = format!("{hour_ahead:016}");
    server.ask(&["SETRANGE", &name, "42", &last]).await.unwrap();
    let mut times = Vec::new();
    soon(async {
        while times.len() < 7 {
            let decision = limiter.acquire(&key, limit).await.unwrap();
            assert!(decision.at.timestamp_millis() >= hour_ahead);
            if decision.admitted {
                times.push(decision.at.timestamp_millis());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert!(times.is_sorted());
    check_windows(&times, limit);
}

#[tokio::test]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn while_the_server_is_away_the_caller_says_what_becomes_of_calls() {
    let mut server = RedisServer::start(programs(), &[]).await.unwrap();
    let cache = RedisCache::connect(patient(server.url())).await.unwrap();
    let limiter: Arc<dyn RateLimiter> = cache.limiter().unwrap();
    let (key, one) = (key("k"), RateLimit { limit: 1, ..LIMIT });
    assert!(limiter.acquire(&key, one).await.unwrap().admitted);
    server.kill().await.unwrap();
    // The first may still be handed to the connection that broke.
    let _ = limiter.acquire(&key, one).await;
    for _ in 0..20 {
        let error = limiter.acquire(&key, one).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.effect()),
            (ErrorKind::Unavailable, Effect::NotApplied)
        );
        let open = limiter.acquire_or(&key, one, Outage::Open).await.unwrap();
        let closed = limiter.acquire_or(&key, one, Outage::Closed).await.unwrap();
        assert!(open.admitted && !open.counted && !closed.admitted && !closed.counted);
    }
    server.restart().await.unwrap();
    soon(async {
        while !limiter.acquire_or(&key, one, Outage::Open).await.unwrap().counted {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    cache.disconnect().await.unwrap();
    let error = limiter.acquire_or(&key, one, Outage::Open).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.is_transient()),
        (ErrorKind::Unavailable, false)
    );
}

//! Leases across processes, what they send, and what becomes of them while the server is away.

use std::time::Duration;

use bytes::Bytes;
use kaireon_cache::RedisCache;
use kaireon_core::cache::{CacheKey, CacheStoreExt, FetchOptions};
use kaireon_core::{CustomerId, TenantId};
use kaireon_testkit::server::RedisServer;

use crate::children::{DONE, go, together};
use crate::commands::Monitor;
use crate::fixture::{patient, programs, soon};

/// Where the server of a child is.
const URL: &str = "KAIREON_CACHE_LEASES_CHILD_URL";

const PROCESSES: usize = 8;
const CALLERS: usize = 100;

fn options() -> FetchOptions {
    FetchOptions::ttl(Duration::from_secs(600)).with_lease(Duration::from_secs(600))
}

fn keys(name: &str) -> [CacheKey; 2] {
    let (tenant, customer) = (TenantId::new("t").unwrap(), CustomerId::new("anna").unwrap());
    [
        CacheKey::new(&tenant, name).unwrap(),
        CacheKey::of_customer(&tenant, &customer, name).unwrap(),
    ]
}

/// Calls at once with all others, and says when it fetches.
async fn call_as_a_child(url: String) {
    let cache = RedisCache::connect(patient(url)).await.unwrap();
    go();
    for key in keys("shared") {
        let calls = (0..CALLERS).map(|_| {
            cache.get_or_fetch(&key, options(), || async {
                println!("\nfetched");
                tokio::time::sleep(Duration::from_millis(100)).await;
                Ok(Some(Bytes::from_static(b"v")))
            })
        });
        for fetched in futures_util::future::join_all(calls).await {
            assert_eq!(fetched.unwrap().as_deref(), Some(&b"v"[..]));
        }
    }
    println!("\n{DONE}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn of_eight_processes_with_a_hundred_callers_each_one_fetches() {
    if let Ok(url) = std::env::var(URL) {
        return call_as_a_child(url).await;
    }
    let server = RedisServer::start(programs(), &[]).await.unwrap();
    let url = server.url();
    let said = tokio::task::spawn_blocking(move || {
        let test = "leases::of_eight_processes_with_a_hundred_callers_each_one_fetches";
        together(PROCESSES, test, &[(URL, url.as_str())])
    });
    let said = said.await.unwrap();
    let fetched = said.iter().flatten().filter(|line| *line == "fetched");
    assert_eq!(fetched.count(), keys("shared").len());
}

#[tokio::test]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn a_lease_costs_one_command_more_than_a_fetch_and_touches_what_is_declared() {
    let server = RedisServer::start(programs(), &[]).await.unwrap();
    let cache = RedisCache::connect(patient(server.url())).await.unwrap();
    let get = async |key: &CacheKey, value: Option<&'static [u8]>| {
        let fetch = || async { Ok(value.map(Bytes::from_static)) };
        cache.get_or_fetch(key, options(), fetch).await.unwrap()
    };
    // The scripts become known.
    for key in keys("known") {
        get(&key, None).await;
        get(&key, Some(b"v")).await;
        cache.invalidate(&key).await.unwrap();
    }
    let mut monitor = Monitor::of(&server).await;
    for key in keys("counted") {
        get(&key, Some(b"v")).await;
        assert!(cache.invalidate(&key).await.unwrap());
        get(&key, None).await;
    }
    let sent = monitor.sent_by_declared_keys().await;
    let of_a_key = [
        "GET", "EVALSHA", "EVALSHA", "EVALSHA", "GET", "EVALSHA", "EVALSHA",
    ];
    let of_a_customer = ["EVALSHA"; 7];
    assert_eq!(sent, [of_a_key, of_a_customer].concat());
    // Nothing was there, and the lease was given up.
    assert_eq!(server.ask(&["DBSIZE"]).await.unwrap(), "0");
}

#[tokio::test]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn a_lease_whose_holder_is_gone_ends_by_itself_and_without_a_server_each_fetches() {
    let mut server = RedisServer::start(programs(), &[]).await.unwrap();
    let cache = RedisCache::connect(patient(server.url())).await.unwrap();
    let short = options().with_lease(Duration::from_millis(200));
    for key in keys("gone") {
        let elsewhere = RedisCache::connect(patient(server.url())).await.unwrap();
        let never_ends = elsewhere.get_or_fetch(&key, short, std::future::pending);
        tokio::time::timeout(Duration::from_millis(100), never_ends)
            .await
            .unwrap_err();
        let fetch = || async { Ok(Some(Bytes::from_static(b"v"))) };
        let fetched = soon(cache.get_or_fetch(&key, short, fetch)).await;
        assert_eq!(fetched.unwrap().as_deref(), Some(&b"v"[..]));
    }
    server.kill().await.unwrap();
    for key in keys("away") {
        let fetch = || async { Ok(Some(Bytes::from_static(b"v"))) };
        let fetched = soon(cache.get_or_fetch(&key, short, fetch)).await;
        assert_eq!(fetched.unwrap().as_deref(), Some(&b"v"[..]));
    }
}

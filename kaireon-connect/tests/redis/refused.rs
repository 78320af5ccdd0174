//! What a server refuses has its kind and did nothing.

use std::time::Duration;

use kaireon_connect::redis::{RedisClient, RedisCommand};
use kaireon_core::{Effect, ErrorKind};
use kaireon_testkit::server::RedisServer;

use crate::place::{connect, facts, get, ok, patient, programs, set, soon, unique, until_done, variable};

#[tokio::test]
#[ignore = "needs redis: set KAIREON_TEST_REDIS_URL"]
async fn what_a_login_may_not_do_is_unauthorized_and_quotes_nothing() {
    let client = connect(variable("KAIREON_TEST_REDIS_RESTRICTED_URL")).await;
    let key = unique("secret");
    let fault = client
        .call(RedisCommand::write("OBJECT", "FREQ").arg(key.clone()))
        .await
        .unwrap_err();
    assert_eq!(
        (fault.code(), fault.kind()),
        (Some("NOPERM"), ErrorKind::Unauthorized)
    );
    let unknown = client.call(RedisCommand::write("NOSUCH", key)).await.unwrap_err();
    assert_eq!(
        facts(&unknown),
        (ErrorKind::Unsupported, Effect::NotApplied, false)
    );
    let error = unknown.into_error();
    assert!(!format!("{error} {error:?}").contains("secret"));
}

#[tokio::test]
#[ignore = "needs redis: set KAIREON_TEST_REDIS_URL"]
async fn a_key_of_another_type_is_a_wrong_configuration() {
    let client = connect(variable("KAIREON_TEST_REDIS_URL")).await;
    let key = unique("list");
    client
        .call(RedisCommand::write("RPUSH", key.clone()).arg("v"))
        .await
        .unwrap();
    let fault = client.call(get(&key)).await.unwrap_err();
    assert_eq!(
        (fault.code(), fault.kind()),
        (Some("WRONGTYPE"), ErrorKind::Config)
    );
    client.call(crate::place::del(&key)).await.unwrap();
}

#[tokio::test]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn a_server_without_memory_has_no_room_and_still_reads() {
    let server = RedisServer::start(programs(), &["maxmemory-policy noeviction"])
        .await
        .unwrap();
    let client = connect(server.url()).await;
    client.call(set("before", "v")).await.unwrap();
    server.ask(&["CONFIG", "SET", "maxmemory", "1"]).await.unwrap();
    let fault = client.call(set("k", "v")).await.unwrap_err();
    assert_eq!(fault.code(), Some("OOM"));
    assert_eq!(facts(&fault), (ErrorKind::StorageFull, Effect::NotApplied, false));
    client.call(get("before")).await.unwrap();
    server.ask(&["CONFIG", "SET", "maxmemory", "0"]).await.unwrap();
    assert_eq!(client.call(set("k", "v")).await.unwrap(), ok());
}

#[tokio::test]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn a_server_that_became_a_replica_is_left_and_met_again_when_it_is_none() {
    let server = RedisServer::start(programs(), &[]).await.unwrap();
    let client = connect(server.url()).await;
    client.call(set("k", "v")).await.unwrap();
    server.ask(&["REPLICAOF", "127.0.0.1", "1"]).await.unwrap();
    let fault = client.call(set("k", "w")).await.unwrap_err();
    assert_eq!(fault.code(), Some("READONLY"));
    assert_eq!(facts(&fault), (ErrorKind::Unavailable, Effect::NotApplied, true));
    server.ask(&["REPLICAOF", "NO", "ONE"]).await.unwrap();
    assert_eq!(until_done(&client, || set("k", "w")).await, ok());
}

#[tokio::test]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn a_server_that_loads_its_data_is_unavailable_until_it_has() {
    let mut server = RedisServer::start(programs(), &[]).await.unwrap();
    let client = connect(server.url()).await;
    for at in 0..2_000 {
        client.call(set(&format!("k{at}"), "v")).await.unwrap();
    }
    server.ask(&["SAVE"]).await.unwrap();
    server.kill().await.unwrap();
    // A millisecond for each key that it loads.
    server.set("key-load-delay 1000").unwrap();
    server.set("loading-process-events-interval-bytes 1024").unwrap();
    server.spawn().unwrap();
    let loading = async {
        loop {
            match client.call(get("k0")).await {
                Err(fault) if fault.code() == Some("LOADING") => return fault,
                Err(fault) => assert!(fault.is_transient(), "{fault:?}"),
                Ok(_) => panic!("it was never seen to load"),
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let fault = soon(loading).await;
    assert_eq!(facts(&fault), (ErrorKind::Unavailable, Effect::NotApplied, true));
    until_done(&client, || get("k0")).await;
}

#[tokio::test]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn a_server_without_a_connection_left_refuses_and_may_have_one_later() {
    let server = RedisServer::start(programs(), &["maxclients 1"]).await.unwrap();
    let first = connect(server.url()).await;
    first.ping().await.unwrap();
    let second = RedisClient::connect(patient(server.url())).await.unwrap_err();
    // Its words come before anything is asked, and are lost where the connection ends before that.
    assert!(
        matches!(second.kind(), ErrorKind::RateLimited | ErrorKind::Unavailable),
        "{second:?}"
    );
    assert!(second.is_transient() && second.effect() == Effect::NotApplied);
    drop(first);
    soon(async {
        while RedisClient::connect(patient(server.url())).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

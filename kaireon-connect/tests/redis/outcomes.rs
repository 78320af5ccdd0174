//! What is known of a call is told, whatever another node does; and who has a slot is found out.

use std::time::{Duration, Instant};

use kaireon_connect::redis::{RedisClient, RedisConnectConfig, RedisFault, RedisMode};
use kaireon_core::{Effect, ErrorKind};
use kaireon_testkit::server::RedisCluster;

use crate::place::{facts, get, ok, patient, programs, set, soon, until_done};
use crate::wire::{Act, Wire};

/// Of slots below the middle, and above it: `CLUSTER KEYSLOT` of Redis answers 5061 and 12182.
const LOW: &str = "bar";
const HIGH: &str = "foo";

const MIDDLE: u16 = 8_192;
const LAST: u16 = 16_383;

/// Long enough for whoever answers, on a machine however busy, and over at last where nobody does.
const SHORT: Duration = Duration::from_secs(5);

fn config(nodes: &[&Wire], mode: RedisMode) -> RedisConnectConfig {
    let nodes: Vec<_> = nodes
        .iter()
        .map(|node| format!("127.0.0.1:{}", node.port()))
        .collect();
    patient(format!("redis://{}", nodes.join(","))).with_mode(mode)
}

/// Two nodes, each with its half of the slots.
async fn halves() -> [Wire; 2] {
    let (one, two) = (Wire::start().await, Wire::start().await);
    for node in [&one, &two] {
        let ranges = [(0, MIDDLE - 1, one.port()), (MIDDLE, LAST, two.port())];
        node.layout(1, &ranges);
    }
    [one, two]
}

async fn client(config: RedisConnectConfig) -> RedisClient {
    RedisClient::connect(config).await.unwrap()
}

#[tokio::test]
async fn what_a_node_has_answered_is_told_though_another_hangs_to_the_deadline() {
    let [one, two] = halves().await;
    two.on("SET", Act::Ignore);
    let client = client(config(&[&one, &two], RedisMode::Cluster).with_command_timeout(SHORT)).await;
    let batch = vec![set(LOW, "v"), set(HIGH, "v"), set(LOW, "w")];
    let answers = soon(client.call_all(batch)).await;
    assert_eq!(answers[0].as_ref().unwrap(), &ok());
    assert_eq!(answers[2].as_ref().unwrap(), &ok());
    // The connection may be given up for its silence just before the deadline.
    let fault = answers[1].as_ref().unwrap_err();
    assert_eq!((fault.effect(), fault.is_transient()), (Effect::Unknown, true));
}

#[tokio::test]
async fn what_was_sent_on_to_where_nobody_gets_in_was_not_done() {
    let [one, two] = halves().await;
    let mut config = config(&[&one, &two], RedisMode::Cluster).with_command_timeout(SHORT);
    config.url = config.url.replacen("redis://", "redis://:pw@", 1);
    let client = client(config).await;
    // The node that it is sent on to never lets anybody in.
    let three = Wire::start().await;
    three.on("AUTH", Act::Ignore);
    one.on(
        "SET",
        Act::refuse(&format!("MOVED 5061 127.0.0.1:{}", three.port())),
    );
    let fault = soon(client.call(set(LOW, "v"))).await.unwrap_err();
    assert_eq!(facts(&fault), (ErrorKind::Unavailable, Effect::NotApplied, true));
}

#[tokio::test]
async fn a_greeting_that_is_not_answered_changed_nothing() {
    let server = Wire::start().await;
    let client = client(config(&[&server], RedisMode::Standalone).with_command_timeout(SHORT)).await;
    server.on("PING", Act::Ignore);
    let fault = soon(client.ping()).await.unwrap_err();
    assert_eq!((fault.effect(), fault.is_transient()), (Effect::NotApplied, true));
}

#[tokio::test]
async fn the_successor_of_a_node_that_hangs_is_found() {
    let [one, two] = halves().await;
    let client = client(config(&[&one, &two], RedisMode::Cluster).with_command_timeout(SHORT)).await;
    one.hang();
    two.layout(2, &[(0, LAST, two.port())]);
    assert_eq!(until_done(&client, || set(LOW, "v")).await, ok());
}

#[tokio::test]
async fn a_greeting_that_a_node_of_a_cluster_does_not_answer_has_its_successor_found() {
    let [one, two] = halves().await;
    let client = client(config(&[&one, &two], RedisMode::Cluster).with_command_timeout(SHORT)).await;
    one.hang();
    two.layout(2, &[(0, LAST, two.port())]);
    soon(async {
        while let Err(fault) = client.ping().await {
            assert_eq!((fault.effect(), fault.is_transient()), (Effect::NotApplied, true));
        }
    })
    .await;
}

#[tokio::test]
async fn a_node_that_serves_its_slots_no_longer_is_a_reason_to_look() {
    let [one, two] = halves().await;
    let client = client(config(&[&one, &two], RedisMode::Cluster)).await;
    one.on("SET", Act::refuse("CLUSTERDOWN The cluster is down"));
    let fault = client.call(set(LOW, "v")).await.unwrap_err();
    assert_eq!(facts(&fault), (ErrorKind::Unavailable, Effect::NotApplied, true));
    two.layout(2, &[(0, LAST, two.port())]);
    assert_eq!(until_done(&client, || set(LOW, "v")).await, ok());
}

#[tokio::test]
async fn the_layout_of_the_latest_epoch_counts_whoever_answers_first() {
    let [one, two] = halves().await;
    let three = Wire::start().await;
    // The first is cut off from the others and has not heard that it was replaced.
    for node in [&two, &three] {
        node.layout(2, &[(0, LAST, two.port())]);
    }
    for _ in 0..10 {
        let client = client(config(&[&one, &two, &three], RedisMode::Cluster)).await;
        assert_eq!(client.call(set(LOW, "v")).await.unwrap(), ok());
    }
    assert_eq!((one.seen("SET"), two.seen("SET")), (0, 10));
}

#[tokio::test]
async fn behind_a_node_that_cannot_be_reached_the_owner_is_asked_and_not_the_same_again() {
    let [one, two] = halves().await;
    let client = client(config(&[&one, &two], RedisMode::Cluster)).await;
    one.on("SET", Act::refuse("MOVED 5061 127.0.0.1:1"));
    for node in [&one, &two] {
        node.layout(2, &[(0, LAST, two.port())]);
    }
    assert_eq!(client.call(set(LOW, "v")).await.unwrap(), ok());
    assert_eq!((one.seen("SET"), two.seen("SET")), (1, 1));
}

/// The most connections that pauses from 10 ms to 250 ms leave room for, and one begun anew.
fn most(since: Instant) -> u64 {
    8 + u64::try_from(since.elapsed().as_millis() / 100).unwrap()
}

async fn fails(client: &RedisClient, calls: usize, expected: impl Fn(&RedisFault) -> bool) {
    for _ in 0..calls {
        let fault = soon(client.call(set(LOW, "v"))).await.unwrap_err();
        assert!(fault.is_transient() && expected(&fault), "{fault:?}");
    }
}

#[tokio::test]
async fn connections_that_end_before_they_answer_are_opened_with_pauses() {
    let server = Wire::start().await;
    let client = client(config(&[&server], RedisMode::Standalone)).await;
    server.on("SET", Act::Close);
    let since = Instant::now();
    fails(&client, 500, |fault| fault.kind() == ErrorKind::Unavailable).await;
    assert!(
        server.accepted() <= most(since),
        "{} in {:?}",
        server.accepted(),
        since.elapsed()
    );
    server.on("SET", Act::ok());
    assert_eq!(until_done(&client, || set(LOW, "v")).await, ok());
}

#[tokio::test]
async fn a_server_that_stays_a_replica_is_left_with_pauses_and_still_reads() {
    let server = Wire::start().await;
    let client = client(config(&[&server], RedisMode::Standalone)).await;
    server.on(
        "SET",
        Act::refuse("READONLY You can't write against a read only replica."),
    );
    let since = Instant::now();
    for _ in 0..50 {
        fails(&client, 10, |fault| fault.code() == Some("READONLY")).await;
        client.call(get(LOW)).await.unwrap();
    }
    assert!(
        server.accepted() <= most(since),
        "{} in {:?}",
        server.accepted(),
        since.elapsed()
    );
    server.on("SET", Act::ok());
    assert_eq!(until_done(&client, || set(LOW, "v")).await, ok());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn a_primary_that_stands_still_is_followed_and_may_come_back() {
    let cluster = RedisCluster::start(programs()).await.unwrap();
    let client = client(patient(cluster.url()).with_command_timeout(SHORT)).await;
    until_done(&client, || set(LOW, "before")).await;
    let owner = cluster.owner_of(5_061).await.unwrap();
    cluster.nodes()[owner].stand_still().await.unwrap();
    assert_eq!(until_done(&client, || set(LOW, "after")).await, ok());
    cluster.nodes()[owner].go_on().await.unwrap();
    assert_eq!(
        until_done(&client, || get(LOW)).await.as_text(),
        Some("after"),
        "the old primary answers"
    );
}

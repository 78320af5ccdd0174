//! Slots that move while they are used.

use std::time::Duration;

use kaireon_connect::redis::RedisReply;
use kaireon_testkit::server::{RedisCluster, RedisServer};

use crate::place::{connect, get, ok, programs, set, soon, text};

async fn id(node: &RedisServer) -> String {
    node.ask(&["CLUSTER", "MYID"]).await.unwrap()
}

/// The keys that a node has in a slot.
async fn keys(node: &RedisServer, slot: &str) -> Vec<String> {
    let found = node
        .ask(&["CLUSTER", "GETKEYSINSLOT", slot, "100"])
        .await
        .unwrap();
    found.split_whitespace().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn a_slot_that_moves_is_followed_key_by_key_and_then_as_a_whole() {
    let cluster = RedisCluster::start(programs()).await.unwrap();
    let client = connect(cluster.url()).await;
    let key = |at: usize| format!("{{moving}}:{at}");
    for at in 0..10 {
        assert_eq!(client.call(set(&key(at), &at.to_string())).await.unwrap(), ok());
    }
    let slot = cluster.nodes()[0]
        .ask(&["CLUSTER", "KEYSLOT", "{moving}"])
        .await
        .unwrap();
    let from = cluster.owner_of(slot.parse().unwrap()).await.unwrap();
    let mut to = from;
    for (at, node) in cluster.nodes().iter().enumerate() {
        let replication = node.ask(&["INFO", "replication"]).await.unwrap();
        if at != from && replication.contains("role:master") {
            to = at;
        }
    }
    let (from, to) = (&cluster.nodes()[from], &cluster.nodes()[to]);
    let (from_id, to_id) = (id(from).await, id(to).await);
    to.ask(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from_id])
        .await
        .unwrap();
    from.ask(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to_id])
        .await
        .unwrap();
    // Half of the keys are there already; for the others, and for new ones, the old node sends on.
    for at in 0..5 {
        let port = to.port().to_string();
        from.ask(&["MIGRATE", "127.0.0.1", &port, &key(at), "0", "5000"])
            .await
            .unwrap();
    }
    let all = || (0..11).map(|at| get(&key(at))).collect::<Vec<_>>();
    let expect = |answers: Vec<Result<RedisReply, _>>, last: RedisReply| {
        for (at, answer) in answers.into_iter().enumerate() {
            let expected = if at < 10 {
                text(&at.to_string())
            } else {
                last.clone()
            };
            assert_eq!(answer.unwrap(), expected, "key {at}");
        }
    };
    expect(client.call_all(all()).await, RedisReply::Nil);
    assert_eq!(client.call(set(&key(10), "new")).await.unwrap(), ok());
    assert_eq!(
        keys(to, &slot).await.len(),
        6,
        "a new key is made where the slot goes"
    );
    for at in 5..10 {
        let port = to.port().to_string();
        from.ask(&["MIGRATE", "127.0.0.1", &port, &key(at), "0", "5000"])
            .await
            .unwrap();
    }
    for node in [to, from] {
        node.ask(&["CLUSTER", "SETSLOT", &slot, "NODE", &to_id])
            .await
            .unwrap();
    }
    expect(client.call_all(all()).await, text("new"));
    // From then on nobody is asked who does not have it.
    let told = async {
        loop {
            let redirected = |info: String| {
                let line = info.lines().find(|line| line.starts_with("errorstat_MOVED"));
                line.map(str::to_owned).unwrap_or_default()
            };
            let before = redirected(from.ask(&["INFO", "errorstats"]).await.unwrap());
            expect(client.call_all(all()).await, text("new"));
            if redirected(from.ask(&["INFO", "errorstats"]).await.unwrap()) == before {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon(told).await;
}

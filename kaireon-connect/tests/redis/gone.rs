//! Servers that are killed under load, and who takes over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use kaireon_connect::redis::RedisClient;
use kaireon_core::{Effect, ErrorKind};
use kaireon_testkit::server::{RedisCluster, RedisSentinel, RedisServer};
use tokio::task::JoinSet;

use crate::place::{connect, facts, get, ok, programs, set, soon, text, until_done};

/// Callers who write all the time, each under a key of its own, until they are told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    callers: JoinSet<(String, u64, u64)>,
}

impl Load {
    fn start(client: &RedisClient, callers: usize) -> Self {
        Self::under(client, callers, "load")
    }

    /// The same with keys of another name.
    fn under(client: &RedisClient, callers: usize, name: &'static str) -> Self {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut set_of_callers = JoinSet::new();
        for caller in 0..callers {
            let (client, stop, done) = (client.clone(), Arc::clone(&stop), Arc::clone(&done));
            set_of_callers.spawn(async move {
                let key = format!("{name}-{caller}");
                let (mut acknowledged, mut tried) = (0, 0);
                while !stop.load(Ordering::Relaxed) {
                    tried += 1;
                    match soon(client.call(set(&key, &tried.to_string()))).await {
                        Ok(reply) => {
                            assert_eq!(reply, ok());
                            acknowledged = tried;
                            done.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(fault) => {
                            assert!(fault.is_transient(), "{fault:?}");
                            tokio::time::sleep(Duration::from_millis(2)).await;
                        }
                    }
                }
                (key, acknowledged, tried)
            });
        }
        Self {
            stop,
            done,
            callers: set_of_callers,
        }
    }

    /// Waits for so many more writes.
    async fn more(&self, writes: u64) {
        let wanted = self.done.load(Ordering::Relaxed) + writes;
        soon(async {
            while self.done.load(Ordering::Relaxed) < wanted {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
    }

    /// Each caller's key, its last acknowledged value and the last it tried.
    async fn end(mut self) -> Vec<(String, u64, u64)> {
        self.stop.store(true, Ordering::Relaxed);
        let mut ended = Vec::new();
        while let Some(caller) = soon(self.callers.join_next()).await {
            ended.push(caller.unwrap());
        }
        ended
    }
}

/// What is there was written, and nothing that was acknowledged afterwards is older.
async fn holds(client: &RedisClient, ended: Vec<(String, u64, u64)>) {
    // Whoever was not served yet has nothing there.
    for (key, acknowledged, tried) in ended.into_iter().filter(|(_, acknowledged, _)| *acknowledged > 0) {
        let found = client.call(get(&key)).await.unwrap();
        let found: u64 = found.as_text().unwrap().parse().unwrap();
        assert!(
            (acknowledged..=tried).contains(&found),
            "{key}: {found} of {acknowledged} to {tried}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn callers_go_on_by_themselves_when_a_server_that_was_killed_is_back() {
    // What is acknowledged is on disk, so that the kill loses nothing of it.
    let settings = ["appendonly yes", "appendfsync always"];
    let mut server = RedisServer::start(programs(), &settings).await.unwrap();
    let client = connect(server.url()).await;
    let load = Load::start(&client, 64);
    for _ in 0..3 {
        load.more(500).await;
        server.kill().await.unwrap();
        server.restart().await.unwrap();
    }
    load.more(500).await;
    let ended = load.end().await;
    holds(&client, ended).await;
}

#[tokio::test]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn while_a_server_is_away_calls_fail_at_once_and_did_nothing() {
    // It keeps what it has, so that a write that did arrive would be seen.
    let settings = ["appendonly yes", "appendfsync always"];
    let mut server = RedisServer::start(programs(), &settings).await.unwrap();
    let client = connect(server.url()).await;
    client.call(set("k", "v")).await.unwrap();
    server.kill().await.unwrap();
    // The first may still be handed to the connection that broke.
    let _ = client.call(set("k", "lost")).await;
    for _ in 0..50 {
        let fault = client.call(set("k", "lost")).await.unwrap_err();
        assert_eq!(facts(&fault), (ErrorKind::Unavailable, Effect::NotApplied, true));
    }
    server.restart().await.unwrap();
    assert_eq!(until_done(&client, || get("k")).await, text("v"));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn callers_go_on_when_a_primary_of_a_cluster_was_killed() {
    let mut cluster = RedisCluster::start(programs()).await.unwrap();
    let client = connect(cluster.url()).await;
    let load = Load::start(&client, 64);
    load.more(500).await;
    // The slot of one of the callers' keys.
    let slot: u16 = cluster.nodes()[0]
        .ask(&["CLUSTER", "KEYSLOT", "load-0"])
        .await
        .unwrap()
        .parse()
        .unwrap();
    let owner = cluster.owner_of(slot).await.unwrap();
    cluster.kill(owner).await.unwrap();
    let killed = std::time::Instant::now();
    // Also those whose primary was killed.
    until_done(&client, || set("load-0", "0")).await;
    println!(
        "a killed primary of a cluster: writes again after {:?}",
        killed.elapsed()
    );
    load.more(2_000).await;
    load.end().await;
    // What a dead primary had not handed on is lost; what is written since then is not.
    let load = Load::under(&client, 64, "again");
    load.more(500).await;
    holds(&client, load.end().await).await;
    client.ping().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn callers_follow_the_primary_that_the_sentinels_name() {
    let mut group = RedisSentinel::start(programs()).await.unwrap();
    let client = connect(group.url()).await;
    let load = Load::start(&client, 16);
    load.more(500).await;
    // A sentinel may be away as well.
    group.sentinels()[0].kill().await.unwrap();
    group.servers()[0].kill().await.unwrap();
    let killed = std::time::Instant::now();
    until_done(&client, || set("after", "v")).await;
    println!(
        "a killed primary under sentinel: writes again after {:?}",
        killed.elapsed()
    );
    load.more(500).await;
    load.end().await;
    assert_eq!(group.servers()[1].ask(&["GET", "after"]).await.unwrap(), "v");
    assert_eq!(client.call(get("after")).await.unwrap(), text("v"));
}

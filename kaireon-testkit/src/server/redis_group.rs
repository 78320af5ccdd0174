//! Several Redis servers of a test's own: a cluster, and a primary under Sentinel.

use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::{Instant, sleep};

use super::place::{PATIENCE, free_port};
use super::redis::RedisServer;

/// How soon a node or a primary that does not answer is taken for dead.
const DEAD_AFTER_MS: u32 = 1_000;

/// A cluster of three primaries with a replica each, without a login.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
}

impl RedisCluster {
    /// Starts the nodes with the programs of this folder, and makes a cluster of them.
    ///
    /// # Errors
    ///
    /// As for [`RedisServer::start`]; when the nodes do not become a cluster within two minutes.
    ///
    /// # Dropped futures
    ///
    /// As for [`RedisServer::start`].
    pub async fn start(programs: impl Into<PathBuf>) -> io::Result<Self> {
        let programs = programs.into();
        let mut nodes = Vec::new();
        for _ in 0..6 {
            let settings = vec![
                "cluster-enabled yes".to_owned(),
                // By itself it is ten thousand above the other, which may be beyond the last.
                format!("cluster-port {}", free_port()?),
                format!("cluster-node-timeout {DEAD_AFTER_MS}"),
                "cluster-replica-validity-factor 0".to_owned(),
                "cluster-require-full-coverage no".to_owned(),
                "repl-diskless-sync-delay 0".to_owned(),
            ];
            nodes.push(RedisServer::begin(programs.clone(), settings, false).await?);
        }
        let mut join = Command::new(programs.join("redis-cli"));
        join.args(["--cluster", "create"])
            .args(nodes.iter().map(RedisServer::address))
            .args(["--cluster-replicas", "1", "--cluster-yes"])
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let joined = join.output().await?;
        if !joined.status.success() {
            let said = String::from_utf8_lossy(&joined.stdout);
            return Err(io::Error::other(format!("no cluster: {said}")));
        }
        let cluster = Self { nodes };
        cluster.ready().await?;
        Ok(cluster)
    }

    /// Waits until every slot is served, every living primary has a replica that is up to date or none is left for it,
    /// and all nodes agree.
    ///
    /// # Errors
    ///
    /// When that is not so within two minutes.
    async fn ready(&self) -> io::Result<()> {
        until("the nodes do not become a cluster", || async {
            for node in &self.nodes {
                let info = node.ask(&["CLUSTER", "INFO"]).await?;
                let replication = node.ask(&["INFO", "replication"]).await?;
                let has_peer = match replication.contains("role:master") {
                    true => replication.contains("connected_slaves:1"),
                    false => replication.contains("master_link_status:up"),
                };
                if !(info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:6") && has_peer)
                {
                    return Ok(false);
                }
            }
            Ok(true)
        })
        .await
    }

    /// All nodes, for a client to find them.
    pub fn url(&self) -> String {
        let nodes: Vec<_> = self.nodes.iter().map(RedisServer::address).collect();
        format!("redis://{}", nodes.join(","))
    }

    /// The nodes, primaries and replicas.
    pub fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }

    /// The place of the node that has a slot now.
    ///
    /// # Errors
    ///
    /// When no node tells, or none is known to have it.
    pub async fn owner_of(&self, slot: u16) -> io::Result<usize> {
        for node in &self.nodes {
            let Ok(layout) = node.ask(&["CLUSTER", "NODES"]).await else {
                continue;
            };
            for line in layout.lines() {
                let words: Vec<_> = line.split_whitespace().collect();
                let has = |range: &&str| {
                    let (first, last) = range.split_once('-').unwrap_or((range, range));
                    let bounds = (first.parse::<u16>(), last.parse::<u16>());
                    matches!(bounds, (Ok(first), Ok(last)) if (first..=last).contains(&slot))
                };
                if words.len() > 8 && words[2].contains("master") && words[8..].iter().any(has) {
                    let address = words[1].split('@').next().unwrap_or_default();
                    let found = self.nodes.iter().position(|node| node.address() == address);
                    return found.ok_or_else(|| io::Error::other(format!("a stranger has it: {address}")));
                }
            }
        }
        Err(io::Error::other("nobody has the slot"))
    }

    /// Kills a node (SIGKILL).
    ///
    /// # Errors
    ///
    /// When the system does not let it be killed.
    ///
    /// # Panics
    ///
    /// When there is no such node.
    pub async fn kill(&mut self, node: usize) -> io::Result<()> {
        self.nodes[node].kill().await
    }
}

/// A primary and its replica, watched by three sentinels, without a login. The primary is called `mymaster`.
#[derive(Debug)]
pub struct RedisSentinel {
    servers: [RedisServer; 2],
    sentinels: Vec<RedisServer>,
}

impl RedisSentinel {
    /// Starts them with the programs of this folder.
    ///
    /// # Errors
    ///
    /// As for [`RedisServer::start`]; when the sentinels do not find each other within two minutes.
    ///
    /// # Dropped futures
    ///
    /// As for [`RedisServer::start`].
    pub async fn start(programs: impl Into<PathBuf>) -> io::Result<Self> {
        let programs = programs.into();
        let prompt = "repl-diskless-sync-delay 0".to_owned();
        let primary = RedisServer::begin(programs.clone(), vec![prompt.clone()], false).await?;
        let follows = format!("replicaof 127.0.0.1 {}", primary.port());
        let replica = RedisServer::begin(programs.clone(), vec![prompt, follows], false).await?;
        let mut sentinels = Vec::new();
        for _ in 0..3 {
            let settings = vec![
                format!("sentinel monitor mymaster 127.0.0.1 {} 2", primary.port()),
                format!("sentinel down-after-milliseconds mymaster {DEAD_AFTER_MS}"),
                "sentinel failover-timeout mymaster 10000".to_owned(),
            ];
            sentinels.push(RedisServer::begin(programs.clone(), settings, true).await?);
        }
        let group = Self {
            servers: [primary, replica],
            sentinels,
        };
        until("the sentinels do not find each other", || async {
            for sentinel in &group.sentinels {
                let quorum = sentinel.ask(&["SENTINEL", "CKQUORUM", "mymaster"]).await;
                let replicas = sentinel.ask(&["SENTINEL", "REPLICAS", "mymaster"]).await?;
                if !quorum.is_ok_and(|said| said.starts_with("OK 3")) || replicas.is_empty() {
                    return Ok(false);
                }
            }
            let replication = group.servers[1].ask(&["INFO", "replication"]).await?;
            Ok(replication.contains("master_link_status:up"))
        })
        .await?;
        Ok(group)
    }

    /// The sentinels and the primary's name, for a client to find it.
    pub fn url(&self) -> String {
        let nodes: Vec<_> = self.sentinels.iter().map(RedisServer::address).collect();
        format!("redis://{}?master=mymaster", nodes.join(","))
    }

    /// The two servers, the first primary first.
    pub fn servers(&mut self) -> &mut [RedisServer; 2] {
        &mut self.servers
    }

    /// The sentinels.
    pub fn sentinels(&mut self) -> &mut [RedisServer] {
        &mut self.sentinels
    }
}

/// Asks again until it is so.
async fn until<F>(complaint: &str, mut is_so: impl FnMut() -> F) -> io::Result<()>
where
    F: Future<Output = io::Result<bool>>,
{
    let deadline = Instant::now() + PATIENCE;
    loop {
        match is_so().await {
            Ok(true) => return Ok(()),
            answer if Instant::now() >= deadline => {
                return Err(io::Error::other(format!("{complaint}: {answer:?}")));
            }
            _ => sleep(Duration::from_millis(50)).await,
        }
    }
}

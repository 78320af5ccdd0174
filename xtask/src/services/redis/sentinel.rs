//! A primary and its replica, watched by three sentinels.

use std::collections::BTreeSet;
use std::path::Path;

use super::node::{self, Kind, Node};
use super::url::Url;
use super::wire::{Answer, Wire};
use super::{programs, residue};
use crate::failure::{Context, Result};
use crate::services::launch::Launch;
use crate::services::port;
use crate::services::process::Process;
use crate::services::service::{Compose, Service};
use crate::services::state::Environment;

const URL: &str = "KAIREON_TEST_REDIS_SENTINEL_URL";
/// The two servers that the sentinels watch, with every right.
const ADMIN_URL: &str = "KAIREON_TEST_REDIS_SENTINEL_ADMIN_URL";

/// Where they are while nobody else is there.
const PORT: u16 = 19650;
const SENTINEL_PORT: u16 = 19660;
const SENTINELS: u16 = 3;

/// What the primary is called.
const MASTER: &str = "mymaster";

/// Two servers and three sentinels.
pub(in crate::services) struct Sentinel;

impl Service for Sentinel {
    fn name(&self) -> &'static str {
        "redis-sentinel"
    }

    fn variable(&self) -> &'static str {
        URL
    }

    fn compose(&self, _folder: &Path) -> Option<Compose> {
        // Sentinels tell clients where the primary is, and in a container that is no place outside.
        None
    }

    fn install(&self, _folder: &Path) -> Result<()> {
        programs::folder().map(|_| ())
    }

    fn start(&self, launch: &mut Launch) -> Result<()> {
        let programs = programs::folder()?;
        let ports = [port::free(PORT)?, port::free(PORT + 1)?];
        for (name, port, extra) in [
            ("primary", ports[0], None),
            (
                "replica",
                ports[1],
                Some(format!("replicaof 127.0.0.1 {}", ports[0])),
            ),
        ] {
            let mut settings = node::among_servers().to_vec();
            settings.extend(extra);
            let node = Node {
                programs: &programs,
                name: name.to_owned(),
                port,
                settings,
                kind: Kind::Data,
            };
            node.start(launch)?;
        }
        let mut sentinels = Vec::new();
        for at in 0..SENTINELS {
            let port = port::free(SENTINEL_PORT + at)?;
            let node = Node {
                programs: &programs,
                name: format!("sentinel-{at}"),
                port,
                settings: watch(ports[0]),
                kind: Kind::Sentinel,
            };
            node.start(launch)?;
            sentinels.push(port);
        }
        let url = format!("{}?master={MASTER}", node::url("app", &sentinels));
        launch.export(URL, &url)?;
        launch.export(ADMIN_URL, &node::url("admin", &ports))
    }

    fn ready(&self, environment: &Environment) -> Result<()> {
        for mut sentinel in sentinels(environment)? {
            // Enough of them, and they have found each other and the replica.
            sentinel.ask(&["SENTINEL", "CKQUORUM", &master(environment)?])?;
            let replicas = sentinel.ask(&["SENTINEL", "REPLICAS", &master(environment)?])?;
            if replicas == Answer::List(Vec::new()) {
                return Err("a sentinel knows no replica".into());
            }
        }
        if let Some(servers) = environment.get(ADMIN_URL) {
            for mut server in Wire::to_each(servers)? {
                if server.info("replication", "role")? == "slave"
                    && server.info("replication", "master_link_status")? != "up"
                {
                    return Err("the replica is not connected".into());
                }
            }
        }
        Ok(())
    }

    fn version(&self, environment: &Environment) -> Result<String> {
        let mut sentinels = sentinels(environment)?;
        let first = sentinels.first_mut().context("the URL has no node")?;
        first.info("server", "redis_version")
    }

    fn residue(&self, environment: &Environment) -> Result<BTreeSet<String>> {
        match environment.get(ADMIN_URL) {
            Some(servers) => residue::keys(servers),
            None => {
                let mut sentinels = sentinels(environment)?;
                let first = sentinels.first_mut().context("the URL has no node")?;
                let answer = first.ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", &master(environment)?])?;
                let Answer::List(address) = answer else {
                    return Err("the sentinels know no such primary".into());
                };
                let [host, port] = address.as_slice() else {
                    return Err("the sentinels gave no address".into());
                };
                let Url { user, password, .. } = Url::parse(Sentinel.url(environment)?)?;
                residue::keys(&format!(
                    "redis://{user}:{password}@{}:{}",
                    host.text(),
                    port.text()
                ))
            }
        }
    }

    fn stop(&self, folder: &Path, processes: &[Process]) -> Result<()> {
        node::stop(folder, processes)
    }
}

/// What a sentinel is told.
fn watch(primary: u16) -> Vec<String> {
    vec![
        format!("sentinel monitor {MASTER} 127.0.0.1 {primary} 2"),
        format!("sentinel auth-user {MASTER} admin"),
        format!("sentinel auth-pass {MASTER} {}", node::PASSWORD),
        format!("sentinel down-after-milliseconds {MASTER} 2000"),
        format!("sentinel failover-timeout {MASTER} 10000"),
        format!("sentinel parallel-syncs {MASTER} 1"),
    ]
}

/// The name in the URL's parameter.
fn master(environment: &Environment) -> Result<String> {
    let (_, query) = Sentinel
        .url(environment)?
        .split_once('?')
        .context("the URL has no parameter")?;
    let mut pairs = query.split('&');
    let name = pairs.find_map(|pair| pair.strip_prefix("master="));
    name.map(str::to_owned).context("the URL names no master")
}

/// The user of the URL is the servers': sentinels let everybody in.
fn sentinels(environment: &Environment) -> Result<Vec<Wire>> {
    let url = Url {
        user: String::new(),
        ..Url::parse(Sentinel.url(environment)?)?
    };
    let nodes = url.nodes.iter();
    nodes.map(|node| Wire::open(&url, node)).collect()
}

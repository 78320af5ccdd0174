//! A cluster: three primaries, each with a replica.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::node::{self, Kind, Node};
use super::wire::{self, Wire};
use super::{programs, residue};
use crate::failure::{Context, Result};
use crate::process;
use crate::services::launch::Launch;
use crate::services::port;
use crate::services::process::{Process, wait_until};
use crate::services::service::{Compose, Service};
use crate::services::state::Environment;

const URL: &str = "KAIREON_TEST_REDIS_CLUSTER_URL";
const ADMIN_URL: &str = "KAIREON_TEST_REDIS_CLUSTER_ADMIN_URL";

/// Where the first node is while nobody else is there; the others follow.
const PORT: u16 = 19610;
const NODES: u16 = 6;
/// From a node's port to the usual port on which nodes talk: ten thousand above, as Redis has it by itself, is
/// where clients of the system get their ports from.
const TO_BUS: u16 = 20;

/// How long a node may take to listen.
const PATIENCE: Duration = Duration::from_secs(60);

/// Six nodes.
pub(in crate::services) struct Cluster;

impl Service for Cluster {
    fn name(&self) -> &'static str {
        "redis-cluster"
    }

    fn variable(&self) -> &'static str {
        URL
    }

    fn compose(&self, _folder: &Path) -> Option<Compose> {
        // Nodes tell their clients where the others are, and in a container that is no place outside.
        None
    }

    fn install(&self, _folder: &Path) -> Result<()> {
        programs::folder().map(|_| ())
    }

    fn start(&self, launch: &mut Launch) -> Result<()> {
        let programs = programs::folder()?;
        let mut ports = Vec::new();
        for at in 0..NODES {
            let port = port::free(PORT + at)?;
            let bus = port::free(PORT + TO_BUS + at)?;
            let mut settings = vec![
                "cluster-enabled yes".to_owned(),
                format!("cluster-port {bus}"),
                "cluster-node-timeout 2000".to_owned(),
                // A replica takes over whenever its primary is gone, however long they were parted.
                "cluster-replica-validity-factor 0".to_owned(),
                // Otherwise all slots stand still while one primary is away.
                "cluster-require-full-coverage no".to_owned(),
            ];
            settings.extend(node::among_servers());
            let node = Node {
                programs: &programs,
                name: format!("node-{at}"),
                port,
                settings,
                kind: Kind::Data,
            };
            node.start(launch)?;
            ports.push(port);
        }
        let admin = node::url("admin", &ports);
        let mut last = Ok(());
        if !wait_until(PATIENCE, || {
            last = wire::greet(&admin);
            last.is_ok()
        }) {
            return last;
        }
        join(&programs, &ports)?;
        launch.export(URL, &node::url("app", &ports))?;
        launch.export(ADMIN_URL, &admin)
    }

    fn ready(&self, environment: &Environment) -> Result<()> {
        let mut replicas = 0;
        for mut wire in Wire::to_each(self.url(environment)?)? {
            if wire.info("replication", "role")? == "master" {
                replicas += wire
                    .info("replication", "connected_slaves")?
                    .parse::<u16>()
                    .context("a count of replicas")?;
                let answer = wire.ask(&["CLUSTER", "SLOTS"])?;
                let wire::Answer::List(ranges) = answer else {
                    return Err("it does not know its slots".into());
                };
                if ranges.len() < usize::from(NODES / 2) {
                    return Err(format!("it knows {} ranges of slots", ranges.len()).into());
                }
            } else if wire.info("replication", "master_link_status")? != "up" {
                return Err("a replica is not connected".into());
            }
        }
        // A cluster of somebody's own may have no replicas.
        if replicas < NODES / 2 && environment.contains_key(ADMIN_URL) {
            return Err(format!("{replicas} replicas are connected").into());
        }
        Ok(())
    }

    fn version(&self, environment: &Environment) -> Result<String> {
        Wire::to_first(self.url(environment)?)?.info("server", "redis_version")
    }

    fn residue(&self, environment: &Environment) -> Result<BTreeSet<String>> {
        residue::keys(self.url(environment)?)
    }

    fn stop(&self, folder: &Path, processes: &[Process]) -> Result<()> {
        node::stop(folder, processes)
    }
}

/// Makes one cluster of the nodes.
fn join(programs: &Path, ports: &[u16]) -> Result<()> {
    let mut cli = Command::new(programs.join("redis-cli"));
    cli.args(["--user", "admin", "--no-auth-warning"])
        // By the environment: arguments are seen by everybody.
        .env("REDISCLI_AUTH", node::PASSWORD)
        .args(["--cluster", "create"])
        .args(ports.iter().map(|port| format!("127.0.0.1:{port}")))
        .args(["--cluster-replicas", "1", "--cluster-yes"]);
    process::stdout_of(&mut cli).map(|_| ())
}

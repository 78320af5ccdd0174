//! One process of Redis: its configuration, its users, its start.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::{Context, Result};
use crate::scratch;
use crate::services::launch::Launch;
use crate::services::process::{self, Process};

/// The password of the users of servers that live for a test run on a loopback address.
pub(super) const PASSWORD: &str = "apppw";

/// Settings of every server that holds data.
pub(super) const SETTINGS: &[&str] = &[
    "appendonly yes",
    "appendfsync everysec",
    "maxmemory 1gb",
    "maxmemory-policy noeviction",
];

/// Whom suites log in as: one who may do what an application may; one who may do what Upstash documents; one for the
/// tests' own looks and for servers among each other. Nobody comes in without a name.
///
/// Upstash's list is that of <https://upstash.com/docs/redis/commands/overview> (connection, generic, string, hash,
/// set, sorted set, list, bitmap, scripting, pub/sub, transactions, streams; of the server's `DBSIZE`, `INFO` and
/// `TIME`) as far as Redis 7.0 has it, without `FLUSHALL`, `MONITOR`, `CONFIG` and `ACL`, which are of no use to a
/// client, and without anything of clusters.
pub(super) const USERS: &[&str] = &[
    "user default off",
    "user admin on >apppw ~* &* +@all",
    "user app on >apppw ~* &* +@all -@admin -@dangerous +info +cluster|slots +cluster|shards",
    concat!(
        "user upstash on >apppw ~* &* -@all",
        " +auth +client|getname +client|id +client|info +client|setname +echo +hello +ping +quit +reset +select",
        " +copy +del +dump +exists +expire +expireat +expiretime +keys +persist +pexpire +pexpireat +pexpiretime +pttl",
        " +randomkey +rename +renamenx +restore +scan +touch +ttl +type +unlink +memory|usage",
        " +@string +@hash +@set +@sortedset +@list +@bitmap +@stream +@pubsub +@transaction",
        " +eval +eval_ro +evalsha +evalsha_ro +script|exists +script|load +dbsize +info +time"
    ),
];

/// One process.
#[derive(Debug)]
pub(super) struct Node<'a> {
    /// The folder of `redis-server`.
    pub(super) programs: &'a Path,
    /// What its folder and its log are called.
    pub(super) name: String,
    /// Where it listens.
    pub(super) port: u16,
    /// Lines of its configuration beyond those of every server.
    pub(super) settings: Vec<String>,
    pub(super) kind: Kind,
}

/// What a process is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It holds data, and knows [`USERS`].
    Data,
    /// It watches over one that does, and lets everybody in.
    Sentinel,
}

impl Node<'_> {
    /// Starts it in a new folder.
    pub(super) fn start(self, launch: &mut Launch) -> Result<()> {
        let folder = data(launch.folder()).join(&self.name);
        scratch::empty(&folder)?;
        let Self {
            programs,
            name,
            port,
            settings,
            kind,
        } = self;
        let mut lines = vec![
            "bind 127.0.0.1".to_owned(),
            format!("port {port}"),
            format!("dir {}", folder.display()),
            "daemonize no".to_owned(),
        ];
        if kind == Kind::Data {
            let users = folder.join("users.acl");
            std::fs::write(&users, USERS.join("\n") + "\n").context(users.display())?;
            lines.push(format!("aclfile {}", users.display()));
            lines.push("save \"\"".to_owned());
            lines.extend(SETTINGS.iter().map(|&line| line.to_owned()));
        }
        lines.extend(settings);
        let configuration = folder.join("redis.conf");
        std::fs::write(&configuration, lines.join("\n") + "\n").context(configuration.display())?;
        let mut server = Command::new(programs.join("redis-server"));
        server.arg(&configuration);
        if kind == Kind::Sentinel {
            server.arg("--sentinel");
        }
        launch.spawn(&mut server, &name)
    }
}

/// How a server logs in at another one of its kind.
pub(super) fn among_servers() -> [String; 2] {
    ["masteruser admin".to_owned(), format!("masterauth {PASSWORD}")]
}

/// `redis://user:password@host:port,…` for the nodes on these ports.
pub(super) fn url(user: &str, ports: &[u16]) -> String {
    let nodes: Vec<_> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    format!("redis://{user}:{PASSWORD}@{}", nodes.join(","))
}

/// Where the data of the service in `folder` lie.
fn data(folder: &Path) -> PathBuf {
    folder.join("data")
}

/// Ends the processes and removes what they wrote.
pub(super) fn stop(folder: &Path, processes: &[Process]) -> Result<()> {
    process::end(processes)?;
    let data = data(folder);
    match std::fs::remove_dir_all(&data) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("cannot remove {}: {error}", data.display()).into())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::{SETTINGS, USERS};

    #[test]
    fn containers_have_the_same_settings_and_users() {
        let yaml = include_str!("../../../../compose.yaml");
        for line in SETTINGS.iter().chain(USERS) {
            assert!(yaml.contains(&format!("      {line}\n")), "{line}");
        }
    }
}

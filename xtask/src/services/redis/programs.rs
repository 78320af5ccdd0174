//! The programs of Redis on this machine, for servers that a test starts, kills and starts again.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::BINDIR;
use crate::failure::{Context, Result};
use crate::process;
use crate::services::install;
use crate::services::programs::Programs;

/// The lowest version that the clients support.
const LOWEST: u32 = 7;

/// `redis-server` and `redis-cli`.
pub(in crate::services) const PROGRAMS: Programs = Programs {
    name: "redis-bin",
    variable: BINDIR,
    folder,
    version: version_of,
};

/// Where `redis-server` is, installed if it had to be.
pub(super) fn folder() -> Result<PathBuf> {
    let server = match install::program(&["redis-server"]) {
        Some(server) => server,
        None => {
            // Debian has them in two packages, and starts nothing of them in a container.
            install::apt(&["redis-server", "redis-tools"])?;
            install::program(&["redis-server"]).context("the package redis-server brought no redis-server")?
        }
    };
    let folder = server
        .parent()
        .context("redis-server lies in no folder")?
        .to_owned();
    version_of(&folder)?;
    Ok(folder)
}

/// The version of the programs in a folder; an error where it is too low.
pub(super) fn version_of(folder: &Path) -> Result<String> {
    let said = process::stdout_of(Command::new(folder.join("redis-server")).arg("--version"))?;
    let version = version_in(&said).context(format_args!("no version in {said:?}"))?;
    if install::at_least(version, &[LOWEST]) {
        Ok(version.to_owned())
    } else {
        Err(format!("Redis {version} is older than {LOWEST}").into())
    }
}

/// Of `Redis server v=7.0.15 sha=…`.
fn version_in(said: &str) -> Option<&str> {
    said.split_whitespace().find_map(|word| word.strip_prefix("v="))
}

#[cfg(test)]
mod tests {
    use super::version_in;

    #[test]
    fn a_server_tells_its_version() {
        let said =
            "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=ae4d7c971a948f0\n";
        assert_eq!(version_in(said), Some("7.0.15"));
        assert_eq!(version_in("something else"), None);
    }
}

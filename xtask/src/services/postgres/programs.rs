//! The programs of PostgreSQL on this machine, for servers that a test starts, kills and starts again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::BINDIR;
use crate::failure::{Context, Result};
use crate::process;
use crate::services::install;
use crate::services::programs::Programs;

/// The lowest version that the store supports.
const LOWEST: u32 = 15;

/// `initdb` and `postgres`.
pub(in crate::services) const PROGRAMS: Programs = Programs {
    name: "postgres-bin",
    variable: BINDIR,
    folder,
    version: version_of,
};

/// What the server in `folder` says it is.
pub(super) fn version_of(folder: &Path) -> Result<String> {
    let said = process::stdout_of(Command::new(folder.join("postgres")).arg("--version"))?;
    Ok(said
        .trim()
        .trim_start_matches("postgres (PostgreSQL) ")
        .to_owned())
}

/// The folder of the distribution's programs, installed if they have to be. Debian's package makes and, where
/// there is an init system, starts a cluster of its own on port 5432; that one is left alone and not used.
pub(super) fn folder() -> Result<PathBuf> {
    if let Some(folder) = installed() {
        return Ok(folder);
    }
    install::apt(&["postgresql"])?;
    installed().context(format_args!(
        "the package postgresql brought no server of version {LOWEST} or newer"
    ))
}

/// The lowest supported version that is here: the later one is what `postgres-18` is for.
pub(super) fn installed() -> Option<PathBuf> {
    let mut found = BTreeMap::new();
    for (parent, prefix) in [
        ("/usr/lib/postgresql", ""),
        ("/opt/homebrew/opt", "postgresql@"),
        ("/usr/local/opt", "postgresql@"),
        ("/usr", "pgsql-"),
    ] {
        for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let version = name
                .strip_prefix(prefix)
                .and_then(|version| version.parse::<u32>().ok());
            let folder = entry.path().join("bin");
            if let Some(version) = version.filter(|version| *version >= LOWEST)
                && folder.join("postgres").is_file()
                && folder.join("initdb").is_file()
            {
                found.entry(version).or_insert(folder);
            }
        }
    }
    if let Some((_, folder)) = found.pop_first() {
        return Some(folder);
    }
    let initdb = install::program(&["initdb"])?;
    let folder = initdb.parent()?.to_owned();
    folder.join("postgres").is_file().then_some(folder)
}

//! Programs of the distribution, installed by package name only where they are absent.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::{Context, Failure, Result};
use crate::process;

/// The first of these that exists: a path, or a name that is looked for as a shell does.
pub(super) fn program(candidates: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Servers are installed where a user's PATH often does not lead.
    let folders: Vec<PathBuf> = std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
        .collect();
    candidates.iter().find_map(|candidate| {
        if candidate.contains('/') {
            let path = Path::new(candidate);
            path.is_file().then(|| path.to_owned())
        } else {
            let found = folders.iter().map(|folder| folder.join(candidate));
            found.into_iter().find(|path| path.is_file())
        }
    })
}

/// The program, after its package was installed if it had to be.
pub(super) fn program_of(name: &str, package: &str) -> Result<PathBuf> {
    if let Some(found) = program(&[name]) {
        return Ok(found);
    }
    apt(&[package])?;
    program(&[name]).context(format_args!("the package {package} brought no {name}"))
}

/// Installs packages of the distribution, where this is one with apt and a user who may.
pub(super) fn apt(packages: &[&str]) -> Result<()> {
    let names = packages.join(" ");
    if program(&["apt-get"]).is_none() || !crate::test::is_root() {
        return Err(Failure::from(format!(
            "not installed, and only root on a system with apt can: {names}"
        )));
    }
    let install = || {
        let mut apt = Command::new("apt-get");
        apt.args(["install", "--yes", "--quiet", "--no-install-recommends"])
            .args(packages)
            .env("DEBIAN_FRONTEND", "noninteractive");
        apt
    };
    if process::run(&mut install()).is_ok() {
        return Ok(());
    }
    // Most often the lists are absent or of another day.
    process::run(Command::new("apt-get").args(["update", "--quiet"]))?;
    process::run(&mut install())
}

/// Whether dotted numbers are at least as high: `1.24.1` is at least `1.21`.
pub(super) fn at_least(version: &str, wanted: &[u32]) -> bool {
    let numbers: Vec<u32> = version.split('.').map_while(|part| part.parse().ok()).collect();
    !numbers.is_empty() && numbers.as_slice() >= wanted
}

#[cfg(test)]
mod tests {
    use super::{at_least, program};

    #[test]
    fn programs_are_found_by_name_and_by_path() {
        assert!(program(&["no-such-program", "sh"]).is_some());
        assert!(program(&["/no/such/program", "/bin/sh"]).is_some());
        assert_eq!(program(&["no-such-program", "/no/such/program"]), None);
    }

    #[test]
    fn versions_compare_by_number() {
        assert!(at_least("1.24.1", &[1, 21]) && at_least("1.21", &[1, 21]) && at_least("2", &[1, 21]));
        assert!(!at_least("1.18.0", &[1, 21]) && !at_least("1.9", &[1, 21]) && !at_least("", &[1]));
    }
}

//! What the compiler and its companions check.

use super::Outcome;
use super::examples::EXAMPLES;
use super::tools::Tool;
use crate::failure::Result;
use crate::process;
use crate::workspace::Workspace;

/// A fresh clone must build what was tested, not what the registry offers that day.
pub(super) fn lock(workspace: &Workspace) -> Result<Outcome> {
    process::stdout_of(&mut workspace.cargo(["metadata", "--locked", "--format-version", "1"]))?;
    Ok(Outcome::Passed)
}

pub(super) fn fmt(workspace: &Workspace) -> Result<Outcome> {
    process::run(&mut workspace.cargo(["fmt", "--all", "--check"]))?;
    Ok(Outcome::Passed)
}

pub(super) fn clippy(workspace: &Workspace) -> Result<Outcome> {
    let mut clippy = workspace.cargo(["clippy", "--workspace", "--all-targets", "--all-features"]);
    process::run(clippy.args(["--", "-D", "warnings"]))?;
    Ok(Outcome::Passed)
}

pub(super) fn doc(workspace: &Workspace) -> Result<Outcome> {
    let mut doc = workspace.cargo(["doc", "--workspace", "--no-deps", "--all-features"]);
    process::run(doc.env("RUSTDOCFLAGS", "-D warnings"))?;
    Ok(Outcome::Passed)
}

/// What hosts and readers compile, with each feature alone and with none; the others as they are. With all features clippy
/// has seen the workspace.
pub(super) fn features(workspace: &Workspace) -> Result<Outcome> {
    let hack = Tool::HACK.installed(workspace)?;
    let (read, own): (Vec<_>, Vec<_>) = workspace
        .packages
        .iter()
        .partition(|package| package.published || package.name == EXAMPLES);
    for (packages, each) in [(read, true), (own, false)] {
        let mut check = hack.command(workspace);
        check.arg("check");
        if each {
            check.args(["--each-feature", "--exclude-all-features"]);
        }
        for package in packages {
            check.args(["--package", &package.name]);
        }
        process::run(&mut check)?;
    }
    Ok(Outcome::Passed)
}

//! What would go to the registry.

use super::Outcome;
use crate::failure::Result;
use crate::process;
use crate::workspace::Workspace;

/// Packs every published package as a publication would; compiling them again is what the host check does.
pub(super) fn run(workspace: &Workspace) -> Result<Outcome> {
    let mut publish = workspace.cargo(["publish", "--workspace", "--dry-run", "--no-verify"]);
    allow_changes(workspace, &mut publish);
    process::run(&mut publish)?;
    Ok(Outcome::Passed)
}

/// Lets cargo pack a checkout that differs from its commit, and says so.
pub(super) fn allow_changes(workspace: &Workspace, cargo: &mut std::process::Command) {
    if workspace.is_dirty() {
        println!("NOTE: the checkout has changes that are not committed; packed with --allow-dirty");
        cargo.arg("--allow-dirty");
    }
}

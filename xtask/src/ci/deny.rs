//! What may be depended on: cargo-deny under `deny.toml`, and cargo-machete.

use super::Outcome;
use super::tools::Tool;
use crate::failure::Result;
use crate::process;
use crate::workspace::Workspace;

pub(super) fn machete(workspace: &Workspace) -> Result<Outcome> {
    let machete = Tool::MACHETE.installed(workspace)?;
    let mut check = machete.command(workspace);
    // By name: left to itself it looks into target as well, where the host check unpacks crates.
    check.args(workspace.packages.iter().map(|package| &package.folder));
    process::run(&mut check)?;
    Ok(Outcome::Passed)
}

pub(super) fn deny(workspace: &Workspace) -> Result<Outcome> {
    let deny = Tool::DENY.installed(workspace)?;
    process::run(
        deny.command(workspace)
            .args(["--all-features", "check", "licenses", "bans", "sources"]),
    )?;
    Ok(Outcome::Passed)
}

/// Its database comes from another place than the packages, which not every machine reaches.
pub(super) fn advisories(workspace: &Workspace) -> Result<Outcome> {
    let deny = Tool::DENY.installed(workspace)?;
    let mut check = deny.command(workspace);
    check.args(["--all-features", "check", "advisories"]);
    // A network that swallows packets must not hold up the rest.
    check.envs([
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_HTTP_LOW_SPEED_LIMIT", "1000"),
        ("GIT_HTTP_LOW_SPEED_TIME", "30"),
    ]);
    println!("$ {}", process::shown(&check));
    let checked = process::capture(&mut check)?;
    print!("{}{}", checked.stdout, checked.stderr);
    if checked.status.success() {
        return Ok(Outcome::Passed);
    }
    if database_is_out_of_reach(&checked.stderr) {
        return Ok(Outcome::Skipped(
            "the advisory database is out of reach from here".to_owned(),
        ));
    }
    Err("cargo-deny found advisories, see above".into())
}

fn database_is_out_of_reach(stderr: &str) -> bool {
    stderr.contains("failed to fetch advisory database")
}

#[cfg(test)]
mod tests {
    use super::database_is_out_of_reach;

    #[test]
    fn only_a_database_that_cannot_be_fetched_is_skipped() {
        let unreachable =
            "2026-11-21 06:13:48 [ERROR] failed to fetch advisory database https://… with cli: …";
        assert!(database_is_out_of_reach(unreachable));
        assert!(!database_is_out_of_reach(
            "error[vulnerability]: a crate has a hole"
        ));
    }
}

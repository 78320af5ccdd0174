//! Every example of the examples package runs to its end.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::Outcome;
use crate::failure::Result;
use crate::process;
use crate::scratch::Scratch;
use crate::workspace::Workspace;

/// The package that holds them.
pub(super) const EXAMPLES: &str = "kaireon-examples";

/// The main job, which has a step of its own.
pub(super) const QUICKSTART: &str = "quickstart";

/// The move of its data, which takes a server and has a step of its own as well.
pub(super) const MIGRATE: &str = "migrate";

/// What the examples take that run on a server, all of it for each of them: the dependencies are compiled once.
pub(super) const ON_SERVERS: &str = "postgres,redis,migrate";

/// Long for any of them; a server that forgets to end in self-check mode is stopped by it.
const LIMIT: Duration = Duration::from_secs(180);

pub(super) fn run(workspace: &Workspace) -> Result<Outcome> {
    let package = workspace.package(EXAMPLES)?;
    let mut failures = Vec::new();
    let mut count = 0;
    process::run(&mut workspace.cargo([
        "build",
        "--release",
        "--package",
        EXAMPLES,
        "--bins",
        "--examples",
    ]))?;
    for kind in ["bin", "example"] {
        let others = package.targets_of(kind);
        for name in others.filter(|name| ![QUICKSTART, MIGRATE].contains(name)) {
            count += 1;
            let data = Scratch::new(&workspace.target, name)?;
            let flag = format!("--{kind}");
            let mut example =
                workspace.cargo(["run", "--release", "--quiet", "--package", EXAMPLES, &flag, name]);
            example.env("KAIREON_EXAMPLE_SELF_CHECK", "1");
            embedded(&mut example, data.path());
            if let Err(failure) = process::run_within(&mut example, LIMIT) {
                failures.push(failure.to_string());
            }
        }
    }
    match (count, failures.is_empty()) {
        (0, _) => Err("no example was found besides quickstart".into()),
        (_, true) => Ok(Outcome::Passed),
        (_, false) => Err(failures.join("; ").into()),
    }
}

/// The embedded defaults in a folder of its own, whatever the environment of this machine says.
pub(super) fn embedded(command: &mut Command, data: &Path) {
    for variable in [
        "INTERACTION_STORE",
        "EVENT_PUBLISHER",
        "SEARCH_INDEX",
        "REDIS_URL",
        "DATABASE_URL",
    ] {
        command.env_remove(variable);
    }
    command.env("KAIREON_DATA_DIR", data);
}

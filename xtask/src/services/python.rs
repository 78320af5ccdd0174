//! Packages of PyPI, each in an environment of its own below the service's folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::install;
use crate::failure::{Context, Result};
use crate::process;

/// The interpreter of the environment.
pub(super) fn interpreter(folder: &Path) -> PathBuf {
    folder.join("venv/bin/python")
}

/// Makes an environment with these packages (`name==version`), where it is not there yet.
pub(super) fn environment(folder: &Path, packages: &[&str]) -> Result<()> {
    let python = interpreter(folder);
    // Written last: an environment that was interrupted is made anew.
    let made = folder.join("venv/made-of");
    let wanted = packages.join("\n");
    if std::fs::read_to_string(&made).is_ok_and(|made| made == wanted) && python.exists() {
        return Ok(());
    }
    let system = install::program_of("python3", "python3")?;
    let venv = folder.join("venv");
    let make = || {
        let mut make = Command::new(&system);
        make.args(["-m", "venv", "--clear"]).arg(&venv);
        make
    };
    if process::run(&mut make()).is_err() {
        // Debian has the module in a package of its own.
        install::apt(&["python3-venv"])?;
        process::run(&mut make())?;
    }
    process::run(
        Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args(packages),
    )?;
    std::fs::write(&made, wanted).context(made.display())
}

/// The version of an installed package.
pub(super) fn version(python: &Path, package: &str) -> Result<String> {
    let program = format!("import importlib.metadata as m; print(m.version('{package}'))");
    let said = process::stdout_of(Command::new(python).args(["-c", &program]))?;
    Ok(said.trim().to_owned())
}

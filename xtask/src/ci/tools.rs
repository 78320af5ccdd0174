//! Programs that cargo does not bring, pinned and installed under `target/tools`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::{Context, Result};
use crate::process;
use crate::workspace::Workspace;

/// A pinned program of the package registry.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tool {
    /// Its package, which is also its program.
    package: &'static str,
    version: &'static str,
    /// Its name as a subcommand of cargo, which it expects as first argument.
    subcommand: &'static str,
}

/// A tool that is there in the pinned version.
#[derive(Debug)]
pub(super) struct Installed {
    program: PathBuf,
    subcommand: &'static str,
}

impl Tool {
    pub(super) const HACK: Self = Self {
        package: "cargo-hack",
        version: "0.6.46",
        subcommand: "hack",
    };
    pub(super) const DENY: Self = Self {
        package: "cargo-deny",
        version: "0.20.2",
        subcommand: "deny",
    };
    pub(super) const MACHETE: Self = Self {
        package: "cargo-machete",
        version: "0.9.2",
        subcommand: "machete",
    };

    /// Installs it where it is absent or of another version.
    pub(super) fn installed(self, workspace: &Workspace) -> Result<Installed> {
        let root = workspace.target.join("tools");
        let installed = Installed {
            program: root.join("bin").join(self.package),
            subcommand: self.subcommand,
        };
        if installed.program.exists() && self.is_recorded(&root) {
            return Ok(installed);
        }
        let mut install = Command::new("cargo");
        install
            .args(["install", "--force", "--locked", "--debug", "--root"])
            .arg(&root)
            .arg(format!("{}@{}", self.package, self.version))
            // Not the project's target folder: the profile below would recompile everything shared with it.
            .env("CARGO_TARGET_DIR", workspace.target.join("tools-build"))
            // A tool that runs for seconds is not worth minutes of optimizing.
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .env("CARGO_INCREMENTAL", "0");
        process::run(&mut install).context(format_args!("{} could not be installed", self.package))?;
        Ok(installed)
    }

    /// Whether cargo wrote down that this version is installed there; not every tool tells its own.
    fn is_recorded(self, root: &Path) -> bool {
        let record = std::fs::read_to_string(root.join(".crates.toml")).unwrap_or_default();
        record.contains(&format!("\"{} {} (", self.package, self.version))
    }
}

impl Installed {
    pub(super) fn command(&self, workspace: &Workspace) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(&workspace.root).arg(self.subcommand);
        // As cargo starts a subcommand; cargo-machete tells by these whether the first word is its own name.
        command
            .env("CARGO", std::env::var_os("CARGO").unwrap_or("cargo".into()))
            .env_remove("CARGO_PKG_NAME");
        command
    }
}

//! The test binaries that cargo builds, and asking one of them what it holds.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::gate::Gate;
use super::output::{listed, reasons};
use crate::failure::{Context, Result};
use crate::process;
use crate::workspace::{Package, Workspace};

/// How the binaries are compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Quick to build.
    Dev,
    /// Quick to run.
    Release,
}

/// One test binary.
#[derive(Debug)]
pub(crate) struct Binary {
    program: PathBuf,
    package: Package,
    target: String,
}

/// What a binary says it holds.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    /// How many tests run without being asked for.
    pub(crate) plain: u64,
    /// The ignored ones, and what they wait for.
    pub(crate) ignored: Vec<(String, Gate)>,
}

/// Builds every test of these packages, of the workspace where none is named, and returns the binaries in the order in
/// which cargo would run them.
pub(crate) fn build(workspace: &Workspace, profile: Profile, packages: &[String]) -> Result<Vec<Binary>> {
    let mut cargo = workspace.cargo(["test", "--all-features", "--no-run"]);
    cargo.arg("--message-format=json-render-diagnostics");
    if packages.is_empty() {
        cargo.arg("--workspace");
    }
    for package in packages {
        cargo.args(["--package", package]);
    }
    if profile == Profile::Release {
        cargo.arg("--release");
    }
    println!("$ {}", process::shown(&cargo));
    // Diagnostics and progress come on standard error and belong on the terminal.
    let built = cargo
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cargo test --no-run")?;
    if !built.status.success() {
        return Err("the tests do not compile".into());
    }
    let messages = String::from_utf8_lossy(&built.stdout);
    let mut binaries = Vec::new();
    for line in messages.lines() {
        let message: Value = serde_json::from_str(line).context("cargo's messages")?;
        if message["reason"] == "compiler-artifact" && message["profile"]["test"] == true {
            binaries.extend(Binary::of(workspace, &message)?);
        }
    }
    binaries.sort_by_key(Binary::label);
    Ok(binaries)
}

impl Binary {
    fn of(workspace: &Workspace, artifact: &Value) -> Result<Option<Self>> {
        let Some(program) = artifact["executable"].as_str() else {
            return Ok(None);
        };
        let id = artifact["package_id"].as_str().unwrap_or_default();
        let package = workspace.packages.iter().find(|package| package.id == id);
        let package = package
            .context(format_args!("a test of {id}, which is no member"))?
            .clone();
        let kind = artifact["target"]["kind"][0].as_str().unwrap_or_default();
        let name = artifact["target"]["name"].as_str().unwrap_or_default();
        let target = if kind == "lib" {
            "lib".to_owned()
        } else {
            format!("{kind} {name}")
        };
        Ok(Some(Self {
            program: program.into(),
            package,
            target,
        }))
    }

    /// Names it to a person.
    pub(crate) fn label(&self) -> String {
        format!("{} ({})", self.package.name, self.target)
    }

    pub(crate) fn package(&self) -> &str {
        &self.package.name
    }

    /// The binary as cargo starts it: in its package's folder, with the variables cargo sets.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .current_dir(&self.package.folder)
            .env("CARGO_MANIFEST_DIR", &self.package.folder)
            .env("CARGO_PKG_NAME", &self.package.name)
            .env("CARGO_PKG_VERSION", &self.package.version);
        command
    }

    /// What it holds under `filter`, or nothing where it has a main function of its own.
    pub(crate) fn contents(&self, filter: Option<&str>) -> Result<Option<Contents>> {
        let all = process::capture(self.command().arg("--list").args(filter))?;
        let Some(all) = all.status.success().then(|| listed(&all.stdout)).flatten() else {
            return Ok(None);
        };
        let ignored = process::stdout_of(self.command().args(["--list", "--ignored"]).args(filter))?;
        let ignored = listed(&ignored).context("--list --ignored printed no list")?;
        let plain = all.len().saturating_sub(ignored.len()) as u64;
        Ok(Some(Contents {
            plain,
            ignored: self.gates(ignored)?,
        }))
    }

    fn gates(&self, names: Vec<String>) -> Result<Vec<(String, Gate)>> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        // Exactly the ignored tests, and not `--ignored`: nothing runs, and each prints its reason.
        let run = process::stdout_of(self.command().arg("--exact").args(&names))?;
        let reasons = reasons(&run);
        let gates = names.into_iter().map(|name| {
            let reason = reasons
                .get(&name)
                .context(format_args!("no reason was printed for {name}"))?;
            Ok((name, Gate::parse(reason)))
        });
        gates.collect()
    }
}

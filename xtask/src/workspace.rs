//! What cargo says about this workspace.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::failure::{Context, Result};
use crate::process;

/// The checkout that these commands work on.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
    pub(crate) packages: Vec<Package>,
}

/// A member.
#[derive(Debug, Clone, Default)]
pub(crate) struct Package {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) folder: PathBuf,
    pub(crate) published: bool,
    pub(crate) features: Vec<String>,
    /// Its normal dependencies on other members.
    pub(crate) depends_on: Vec<String>,
    pub(crate) targets: Vec<Target>,
}

/// A library, program, example, test or bench of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) kind: String,
}

impl Workspace {
    pub(crate) fn load() -> Result<Self> {
        let mut metadata = Command::new("cargo");
        metadata.args(["metadata", "--format-version", "1", "--no-deps"]);
        Self::parse(&process::stdout_of(&mut metadata)?)
    }

    fn parse(json: &str) -> Result<Self> {
        let metadata: Value = serde_json::from_str(json).context("cargo metadata")?;
        let mut packages = list(&metadata, "packages")
            .iter()
            .map(Package::parse)
            .collect::<Result<Vec<_>>>()?;
        packages.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self {
            root: text(&metadata, "workspace_root")?.into(),
            target: text(&metadata, "target_directory")?.into(),
            packages,
        })
    }

    /// `cargo` in this checkout.
    pub(crate) fn cargo<const N: usize>(&self, words: [&str; N]) -> Command {
        let mut command = Command::new("cargo");
        command.current_dir(&self.root).args(words);
        command
    }

    pub(crate) fn package(&self, name: &str) -> Result<&Package> {
        self.packages
            .iter()
            .find(|package| package.name == name)
            .context(format_args!("the workspace has no package {name}"))
    }

    /// What goes to the registry.
    pub(crate) fn published(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.published)
    }

    /// Whether the checkout differs from its last commit; no checkout of git counts as unchanged.
    pub(crate) fn is_dirty(&self) -> bool {
        let mut status = Command::new("git");
        status.current_dir(&self.root).args(["status", "--porcelain"]);
        process::capture(&mut status).is_ok_and(|status| !status.stdout.trim().is_empty())
    }
}

impl Package {
    fn parse(package: &Value) -> Result<Self> {
        let manifest = PathBuf::from(text(package, "manifest_path")?);
        let targets = list(package, "targets").iter().map(|target| {
            let kind = list(target, "kind")
                .first()
                .and_then(Value::as_str)
                .unwrap_or_default();
            Ok(Target {
                name: text(target, "name")?,
                kind: kind.to_owned(),
            })
        });
        let normal = list(package, "dependencies")
            .iter()
            .filter(|dependency| dependency["kind"].is_null());
        let of_ours = normal
            .filter(|d| !d["path"].is_null())
            .filter_map(|d| d["name"].as_str());
        Ok(Self {
            id: text(package, "id")?,
            name: text(package, "name")?,
            version: text(package, "version")?,
            folder: manifest
                .parent()
                .context("a manifest lies in a folder")?
                .to_owned(),
            // `publish = false` is an empty list of registries; null is every registry.
            published: package["publish"].is_null(),
            features: package["features"]
                .as_object()
                .map(|features| features.keys().cloned().collect())
                .unwrap_or_default(),
            depends_on: of_ours.map(str::to_owned).collect(),
            targets: targets.collect::<Result<_>>()?,
        })
    }

    /// The names of its targets of one kind.
    pub(crate) fn targets_of<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a str> {
        self.targets
            .iter()
            .filter(move |target| target.kind == kind)
            .map(|target| target.name.as_str())
    }
}

fn text(value: &Value, key: &str) -> Result<String> {
    value[key]
        .as_str()
        .map(str::to_owned)
        .context(format_args!("cargo metadata has no {key}"))
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::Workspace;

    #[test]
    fn metadata_tells_what_is_published_and_which_targets_there_are() {
        let workspace = Workspace::parse(
            r#"{"workspace_root": "/w", "target_directory": "/t", "packages": [
                {"id": "b", "name": "b", "version": "0.1.0", "manifest_path": "/w/b/Cargo.toml",
                 "publish": [], "features": {"x": []},
                 "dependencies": [{"name": "a", "kind": null, "path": "/w/a"}, {"name": "serde", "kind": null},
                                  {"name": "t", "kind": "dev", "path": "/w/t"}],
                 "targets": [{"name": "demo", "kind": ["example"]}, {"name": "b", "kind": ["lib"]}]},
                {"id": "a", "name": "a", "version": "0.1.0", "manifest_path": "/w/a/Cargo.toml",
                 "publish": null, "features": {}, "targets": []}]}"#,
        )
        .unwrap();
        assert_eq!(
            workspace
                .published()
                .map(|package| package.name.as_str())
                .collect::<Vec<_>>(),
            ["a"]
        );
        let b = workspace.package("b").unwrap();
        assert_eq!(b.targets_of("example").collect::<Vec<_>>(), ["demo"]);
        assert_eq!(b.features, ["x"]);
        assert_eq!(b.depends_on, ["a"]);
        assert!(workspace.package("c").is_err());
    }
}

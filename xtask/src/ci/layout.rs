//! Who may depend on whom, as the layout has it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Outcome;
use crate::failure::{Context, Result};
use crate::process;
use crate::workspace::Workspace;

const CORE: &str = "kaireon-core";
const CONNECT: &str = "kaireon-connect";

/// What each published package may depend on among ours; what is not listed here is not part of the layout.
const ALLOWED: &[(&str, &[&str])] = &[
    (CORE, &[]),
    (CONNECT, &[CORE]),
    ("kaireon-store-embedded", &[CORE]),
    ("kaireon-store-pg", &[CORE, CONNECT]),
    ("kaireon-store-dynamo", &[CORE, CONNECT]),
    ("kaireon-store-scylla", &[CORE, CONNECT]),
    ("kaireon-events", &[CORE, CONNECT]),
    ("kaireon-search", &[CORE, CONNECT]),
    ("kaireon-cache", &[CORE, CONNECT]),
    ("kaireon-archive", &[CORE]),
    ("kaireon-migrate", &[CORE, "kaireon-archive"]),
    ("kaireon-ledger", &[CORE, CONNECT]),
    (
        "kaireon-ops",
        &[CORE, CONNECT, "kaireon-store-pg", "kaireon-archive"],
    ),
    (
        "kaireon",
        &[
            CORE,
            "kaireon-store-embedded",
            "kaireon-store-pg",
            "kaireon-store-dynamo",
            "kaireon-store-scylla",
            "kaireon-events",
            "kaireon-search",
            "kaireon-cache",
            "kaireon-archive",
            "kaireon-migrate",
        ],
    ),
    ("kaireon-cli", &["kaireon", "kaireon-ops", "kaireon-ledger"]),
    ("kaireon-testkit", &[CORE]),
];

pub(super) fn run(workspace: &Workspace) -> Result<Outcome> {
    let metadata =
        process::stdout_of(&mut workspace.cargo(["metadata", "--no-deps", "--format-version", "1"]))?;
    let metadata: Value = serde_json::from_str(&metadata).context("cargo metadata")?;
    let ours = dependencies(&metadata);
    let published: Vec<&str> = workspace
        .published()
        .map(|package| package.name.as_str())
        .collect();
    let faults = faults(&published, &ours);
    if faults.is_empty() {
        Ok(Outcome::Passed)
    } else {
        Err(faults.join("; ").into())
    }
}

/// The normal dependencies of every member on our own packages.
fn dependencies(metadata: &Value) -> BTreeMap<String, Vec<String>> {
    let packages = metadata["packages"].as_array().into_iter().flatten();
    packages
        .filter_map(|package| {
            let dependencies = package["dependencies"].as_array()?.iter();
            let ours = dependencies
                .filter(|dependency| dependency["kind"].is_null() && !dependency["path"].is_null());
            let names = ours
                .filter_map(|dependency| dependency["name"].as_str())
                .map(str::to_owned)
                .collect();
            Some((package["name"].as_str()?.to_owned(), names))
        })
        .collect()
}

fn faults(published: &[&str], ours: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let mut faults = Vec::new();
    for name in published {
        let Some((_, allowed)) = ALLOWED.iter().find(|(package, _)| package == name) else {
            faults.push(format!("{name} is published but has no place in the layout"));
            continue;
        };
        let used = ours.get(*name).into_iter().flatten();
        faults.extend(
            used.filter(|used| !allowed.contains(&used.as_str()))
                .map(|used| format!("{name} may not depend on {used}")),
        );
    }
    faults
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{dependencies, faults};

    #[test]
    fn a_dependency_against_the_layout_is_named_and_a_dev_dependency_is_not_one() {
        let metadata = json!({"packages": [
            {"name": "kaireon-core", "dependencies": [
                {"name": "kaireon-testkit", "kind": "dev", "path": "/w/t"}, {"name": "serde", "kind": null}]},
            {"name": "kaireon-events", "dependencies": [
                {"name": "kaireon-core", "kind": null, "path": "/w/c"},
                {"name": "kaireon-cache", "kind": null, "path": "/w/x"}]},
        ]});
        let ours = dependencies(&metadata);
        assert_eq!(
            faults(&["kaireon-core", "kaireon-events", "kaireon-new"], &ours),
            [
                "kaireon-events may not depend on kaireon-cache",
                "kaireon-new is published but has no place in the layout"
            ]
        );
    }
}

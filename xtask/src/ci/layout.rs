//! Who may depend on whom, as the layout has it.

use super::Outcome;
use crate::failure::Result;
use crate::workspace::{Package, Workspace};

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
    let faults: Vec<String> = workspace.published().flat_map(faults).collect();
    if faults.is_empty() {
        Ok(Outcome::Passed)
    } else {
        Err(faults.join("; ").into())
    }
}

fn faults(package: &Package) -> Vec<String> {
    let Package { name, depends_on, .. } = package;
    let Some((_, allowed)) = ALLOWED.iter().find(|(known, _)| known == name) else {
        return vec![format!("{name} is published but has no place in the layout")];
    };
    let others = depends_on.iter().filter(|used| !allowed.contains(&used.as_str()));
    others
        .map(|used| format!("{name} may not depend on {used}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::faults;
    use crate::workspace::Package;

    fn package(name: &str, depends_on: &[&str]) -> Package {
        let depends_on = depends_on.iter().map(|&name| name.to_owned()).collect();
        Package {
            name: name.to_owned(),
            depends_on,
            ..Package::default()
        }
    }

    #[test]
    fn a_dependency_against_the_layout_is_named() {
        assert!(faults(&package("kaireon-events", &["kaireon-core"])).is_empty());
        let fault = faults(&package("kaireon-events", &["kaireon-core", "kaireon-cache"]));
        assert_eq!(fault, ["kaireon-events may not depend on kaireon-cache"]);
        assert_eq!(
            faults(&package("kaireon-new", &[])),
            ["kaireon-new is published but has no place in the layout"]
        );
    }
}

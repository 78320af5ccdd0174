//! No client where none belongs: what cargo would compile for a package, held against a list.

use std::process::Command;

use super::Outcome;
use crate::failure::Result;
use crate::process;
use crate::workspace::Workspace;

/// Crates that speak to a server; a name that ends in `*` stands for all that begin so.
pub(super) const SERVER_CLIENTS: &[&str] = &[
    "sqlx*",
    "tokio-postgres",
    "postgres",
    "rusqlite",
    "redis",
    "fred",
    "rdkafka*",
    "kafka",
    "scylla*",
    "cdrs*",
    "aws-*",
    "rusoto*",
    "opensearch",
    "elasticsearch*",
    "object_store",
    "hyper",
    "reqwest",
    "ureq",
    "isahc",
    "curl*",
    "tonic",
    "native-tls",
    "rustls",
];

/// Databases and indexes that run in process.
const EMBEDDED: &[&str] = &[
    "fjall",
    "lsm-tree",
    "redb",
    "sled",
    "rocksdb",
    "librocksdb-sys",
    "tantivy*",
];

/// What the root commands would compile for everybody, were it in the tree of the examples.
const HEAVY: &[&str] = &["rdkafka*", "sqlx*", "aws-*"];

/// Parts of tokio that belong to adapters: sockets, files, processes, signals.
const TOKIO_OF_ADAPTERS: &[&str] = &["net", "fs", "process", "signal", "full", "io-std"];

pub(super) fn run(workspace: &Workspace) -> Result<Outcome> {
    let mut faults = Vec::new();

    let examples = compiled(&mut workspace.cargo(["tree", "--package", "kaireon-examples"]))?;
    faults.extend(faults_of("kaireon-examples", &examples, &[HEAVY]));
    let benches =
        compiled(&mut workspace.cargo(["tree", "--package", "kaireon-benches", "--edges", "normal"]))?;
    faults.extend(faults_of(
        "kaireon-benches without features",
        &benches,
        &[SERVER_CLIENTS, EMBEDDED],
    ));
    for name in ["kaireon-core", "kaireon-testkit"] {
        let mut tree = workspace.cargo(["tree", "--package", name, "--edges", "normal", "--all-features"]);
        let crates = compiled(&mut tree)?;
        faults.extend(faults_of(name, &crates, &[SERVER_CLIENTS, EMBEDDED]));
        if name == "kaireon-core" {
            faults.extend(
                tokio_of_adapters(&crates).map(|feature| format!("{name} turns on tokio's {feature}")),
            );
        }
    }
    if faults.is_empty() {
        Ok(Outcome::Passed)
    } else {
        Err(faults.join("; ").into())
    }
}

fn faults_of(who: &str, crates: &[Compiled], forbidden: &[&[&str]]) -> Vec<String> {
    println!("{who}: {} crates", crates.len());
    let names = forbidden.iter().flat_map(|forbidden| found(crates, forbidden));
    names.map(|name| format!("{who} compiles {name}")).collect()
}

/// A crate of a tree, with the features it is compiled with.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Compiled {
    name: String,
    features: Vec<String>,
}

/// Runs a `cargo tree` and reads it.
pub(super) fn compiled(tree: &mut Command) -> Result<Vec<Compiled>> {
    Ok(parse(&process::stdout_of(
        tree.args(["--prefix", "none", "--format", "{p}|{f}"]),
    )?))
}

fn parse(tree: &str) -> Vec<Compiled> {
    let mut crates: Vec<Compiled> = Vec::new();
    for line in tree.lines() {
        let (package, features) = line.split_once('|').unwrap_or((line, ""));
        let Some(name) = package.split_whitespace().next() else {
            continue;
        };
        // A crate that was shown before is followed by " (*)".
        let features = features
            .trim_end_matches(" (*)")
            .split(',')
            .filter(|feature| !feature.is_empty());
        let found = Compiled {
            name: name.to_owned(),
            features: features.map(str::to_owned).collect(),
        };
        if !crates.contains(&found) {
            crates.push(found);
        }
    }
    crates
}

/// The crates of a tree that are forbidden in it.
pub(super) fn found<'a>(crates: &'a [Compiled], forbidden: &[&str]) -> Vec<&'a str> {
    let is_meant = |name: &str| {
        forbidden.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => name == *pattern,
        })
    };
    let mut names: Vec<&str> = crates
        .iter()
        .map(|c| c.name.as_str())
        .filter(|name| is_meant(name))
        .collect();
    names.dedup();
    names
}

fn tokio_of_adapters(crates: &[Compiled]) -> impl Iterator<Item = &str> {
    let features = crates
        .iter()
        .filter(|c| c.name == "tokio")
        .flat_map(|c| &c.features);
    features
        .map(String::as_str)
        .filter(|feature| TOKIO_OF_ADAPTERS.contains(feature))
}

#[cfg(test)]
mod tests {
    use super::{HEAVY, SERVER_CLIENTS, found, parse, tokio_of_adapters};

    const TREE: &str = "\
kaireon-core v0.1.0 (/work/kaireon-core)|
tokio v1.54.1|net,rt,sync
sqlx-core v0.9.0|any
bytes v1.12.1|default,std (*)
bytes v1.12.1|default,std

[dev-dependencies]
rdkafka v0.39.0|";

    #[test]
    fn a_forbidden_crate_is_found_by_name_or_by_beginning() {
        let crates = parse(TREE);
        assert_eq!(found(&crates, HEAVY), ["sqlx-core", "rdkafka"]);
        assert_eq!(found(&crates, &["byte"]), [""; 0]);
        assert!(!found(&crates, SERVER_CLIENTS).contains(&"tokio"));
        assert_eq!(crates.iter().filter(|c| c.name == "bytes").count(), 1);
    }

    #[test]
    fn a_part_of_tokio_that_belongs_to_adapters_is_found() {
        assert_eq!(tokio_of_adapters(&parse(TREE)).collect::<Vec<_>>(), ["net"]);
    }
}

//! What the README claims and a machine can look up.

use std::path::Path;

use serde_json::Value;

use super::Outcome;
use super::markdown::links;
use crate::bench;
use crate::failure::{Context, Result};
use crate::jsonl;
use crate::workspace::Workspace;

/// The two commands that it must show.
const COMMANDS: [&str; 2] = ["cargo run --release --bin quickstart", "cargo xtask test"];

pub(super) fn run(workspace: &Workspace) -> Result<Outcome> {
    let page = std::fs::read_to_string(workspace.root.join("README.md")).context("README.md")?;
    let mut faults: Vec<String> = Vec::new();
    faults.extend(
        COMMANDS
            .iter()
            .filter(|c| !page.contains(**c))
            .map(|c| format!("it does not show `{c}`")),
    );
    let broken = links(&page)
        .into_iter()
        .filter(|link| !leads_somewhere(&workspace.root, link));
    faults.extend(broken.map(|link| format!("the link {link} leads nowhere")));
    faults.extend(unknown_targets(workspace, &page));
    let sources = sources(&workspace.root)?;
    let unread = variables(&page)
        .into_iter()
        .filter(|name| !sources.contains(&format!("\"{name}\"")));
    faults.extend(unread.map(|name| format!("nothing reads {name}")));
    faults.extend(stale_figures(
        &page,
        &jsonl::read(&workspace.root.join("docs/benchmarks.jsonl"))?,
    )?);
    if faults.is_empty() {
        Ok(Outcome::Passed)
    } else {
        Err(faults.join("; ").into())
    }
}

/// A link into the checkout names something that is there; what lies outside is not asked for.
fn leads_somewhere(root: &Path, link: &str) -> bool {
    let path = link.split('#').next().unwrap_or_default();
    path.is_empty() || path.contains("://") || path.starts_with("mailto:") || root.join(path).exists()
}

/// The programs, examples and packages that its cargo commands name and the workspace lacks.
fn unknown_targets(workspace: &Workspace, page: &str) -> Vec<String> {
    let targets = |kind: &str, name: &str| {
        workspace
            .packages
            .iter()
            .any(|p| p.targets_of(kind).any(|t| t == name))
    };
    let packages = |name: &str| workspace.packages.iter().any(|package| package.name == name);
    let words: Vec<&str> = page
        .lines()
        .filter(|line| line.contains("cargo "))
        .flat_map(words)
        .collect();
    let pairs = words.windows(2).filter(|pair| match pair[0] {
        "--bin" => !targets("bin", pair[1]),
        "--example" => !targets("example", pair[1]),
        "--package" | "-p" => !packages(pair[1]),
        _ => false,
    });
    pairs
        .map(|pair| format!("there is no {} {}", pair[0], pair[1]))
        .collect()
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split([' ', '`', '(', ')', '|'])
        .filter(|word| !word.is_empty())
}

/// The environment variables of ours that it names in code.
fn variables(page: &str) -> Vec<String> {
    let is_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let names = page
        .split(|c: char| !is_name(c))
        .filter(|word| word.starts_with("KAIREON_"));
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    names.sort();
    names.dedup();
    names
}

/// Every Rust file of the checkout in one text.
fn sources(root: &Path) -> Result<String> {
    let mut all = String::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).context(folder.display())? {
            let path = entry.context(folder.display())?.path();
            let name = path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                all += &std::fs::read_to_string(&path).context(path.display())?;
            }
        }
    }
    Ok(all)
}

/// A table row that names a figure shows the value that was measured last.
fn stale_figures(page: &str, figures: &[Value]) -> Result<Vec<String>> {
    let mut stale = Vec::new();
    for (id, value) in bench::values(figures)? {
        let rows = page
            .lines()
            .filter(|line| line.starts_with('|') && line.contains(&format!("`{id}`")));
        for row in rows {
            let shown = |cell: &str| cell.split_whitespace().any(|word| word == value);
            if !row.split('|').any(shown) {
                stale.push(format!(
                    "the row of {id} does not show {value}, the measured value"
                ));
            }
        }
    }
    Ok(stale)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{leads_somewhere, stale_figures, unknown_targets, variables};
    use crate::workspace::{Package, Target, Workspace};

    #[test]
    fn a_command_that_names_what_is_not_there_is_a_fault() {
        let target = Target {
            name: "quickstart".to_owned(),
            kind: "bin".to_owned(),
        };
        let package = Package {
            name: "kaireon".to_owned(),
            targets: vec![target],
            ..Package::default()
        };
        let workspace = Workspace {
            root: "/".into(),
            target: "/".into(),
            packages: vec![package],
        };
        let page = "Run `cargo run --bin quickstart`.\ncargo add -p kaireon\n`cargo run --example gone`\nmkdir -p x\n";
        assert_eq!(unknown_targets(&workspace, page), ["there is no --example gone"]);
    }

    #[test]
    fn variables_of_ours_are_found_once() {
        assert_eq!(
            variables("`KAIREON_DATA_DIR=x`, KAIREON_DATA_DIR and REDIS_URL"),
            ["KAIREON_DATA_DIR"]
        );
    }

    #[test]
    fn a_link_leads_somewhere_when_its_file_is_there() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        assert!(leads_somewhere(root, "Cargo.toml#dependencies"));
        assert!(leads_somewhere(root, "#here"));
        assert!(leads_somewhere(root, "https://example.org/x"));
        assert!(!leads_somewhere(root, "gone.md"));
    }

    #[test]
    fn a_row_with_another_value_than_the_measured_one_is_stale() {
        let figure =
            json!({"id": "a.b", "value": 0.91, "unit": "×", "goal": null, "raw": 1, "ours": 1, "runs": 1});
        let figures = [figure];
        assert!(
            stale_figures("| `a.b` | 0.91 × |\n", &figures)
                .unwrap()
                .is_empty()
        );
        assert_eq!(stale_figures("| `a.b` | 0.95 × |\n", &figures).unwrap().len(), 1);
        assert!(
            stale_figures("`a.b` in running text\n", &figures)
                .unwrap()
                .is_empty()
        );
    }
}

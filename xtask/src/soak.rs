//! `cargo xtask soak`: the tests whose reason begins `soak:`, and `docs/soak.md` from what they print.
//!
//! Each runs alone, optimized, with `KAIREON_SOAK=1` and `KAIREON_SOAK_SEED` (kept if it is set already). It
//! may print a line `kaireon-soak ` followed by a JSON object of what it counted, and of the `seed` it used if
//! that is another one. Results are kept in `docs/soak.jsonl` under the test's name; the page is made from it.

use std::path::Path;
use std::time::Instant;

use serde_json::{Map, Value, json};

use crate::args::Args;
use crate::failure::{Context, Result};
use crate::provenance::Provenance;
use crate::services::Session;
use crate::test::{self, Binary, Gate, Profile};
use crate::workspace::Workspace;
use crate::{jsonl, process};

/// What a line of output begins with when counts follow.
const MARK: &str = "kaireon-soak ";

/// `cargo xtask soak [NAME] [--package PACKAGE...]`.
pub(crate) fn command(workspace: &Workspace, mut args: Args) -> Result<()> {
    let packages = args.list("--package")?;
    let filter = args.name()?;
    let seed = seed()?;
    let provenance = Provenance::now(workspace)?;
    let mut session = Session::start(workspace)?;
    let mut environment = test::environment(&session, true);
    environment.push(("KAIREON_SOAK_SEED".to_owned(), seed.to_string()));

    let mut rows = Vec::new();
    for binary in test::build(workspace, Profile::Release, &packages)? {
        for name in soak_tests(&binary, filter.as_deref())? {
            rows.push(run(&binary, &name, seed, &environment, &provenance)?);
        }
    }
    session.stop()?;
    if rows.is_empty() {
        return Err("no soak test was found".into());
    }
    let failed = rows.iter().filter(|row| row["outcome"] != "passed").count();
    println!("\n{}", page(&rows));
    println!("{} passed, {failed} failed", rows.len() - failed);
    keep(&workspace.root.join("docs"), rows)?;
    match (failed, session.not_started()) {
        (0, []) => Ok(()),
        (0, missing) => Err(format!("not started: {missing:?}").into()),
        (count, _) => Err(format!("{count} soak tests failed").into()),
    }
}

fn seed() -> Result<u64> {
    match std::env::var("KAIREON_SOAK_SEED") {
        Ok(seed) => seed.parse().context("KAIREON_SOAK_SEED is not a whole number"),
        Err(_) => {
            let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            Ok(since.context("the clock stands before 1970")?.as_secs())
        }
    }
}

fn soak_tests(binary: &Binary, filter: Option<&str>) -> Result<Vec<String>> {
    let ignored = binary.contents(filter)?.unwrap_or_default().ignored;
    Ok(ignored
        .into_iter()
        .filter(|(_, gate)| *gate == Gate::Soak)
        .map(|(name, _)| name)
        .collect())
}

fn run(
    binary: &Binary,
    name: &str,
    seed: u64,
    environment: &[(String, String)],
    provenance: &Provenance,
) -> Result<Value> {
    let mut command = binary.command();
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    command.args(["--ignored", "--exact", name, "--nocapture"]);
    let start = Instant::now();
    let mut counts = Map::new();
    let mut unreadable = None;
    let status = process::follow(&mut command, |line| {
        if let Some((_, json)) = line.split_once(MARK) {
            match serde_json::from_str(json) {
                Ok(Value::Object(object)) => counts.extend(object),
                _ => unreadable = Some(json.to_owned()),
            }
        }
    })?;
    if let Some(json) = unreadable {
        return Err(format!("{name} printed counts that are no JSON object: {json}").into());
    }
    let seed = counts.remove("seed").unwrap_or(json!(seed));
    Ok(json!({
        "name": format!("{} {name}", binary.package()),
        "outcome": if status.success() { "passed" } else { "FAILED" },
        "seconds": start.elapsed().as_secs(),
        "seed": seed,
        "counts": counts,
        "machine": provenance.machine,
        "commit": provenance.commit,
        "date": provenance.date,
    }))
}

fn keep(docs: &Path, rows: Vec<Value>) -> Result<()> {
    let source = docs.join("soak.jsonl");
    let rows = jsonl::merge(jsonl::read(&source)?, rows, "name");
    jsonl::write(&source, &rows)?;
    let path = docs.join("soak.md");
    std::fs::write(&path, page(&rows)).context(path.display())?;
    println!("written: docs/soak.jsonl and docs/soak.md");
    Ok(())
}

fn page(rows: &[Value]) -> String {
    let mut page = "# Soak runs\n\nMade by `cargo xtask soak` from `docs/soak.jsonl`; the latest run of each test.\n\n\
        | test | outcome | time | seed | counts | date | commit | machine |\n|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for row in rows {
        let text = |name: &str| row[name].as_str().unwrap_or_default().replace('|', "\\|");
        let counts = row["counts"].as_object().into_iter().flatten();
        let counts = counts
            .map(|(name, count)| format!("{name}: {count}"))
            .collect::<Vec<_>>()
            .join(", ");
        page.push_str(&format!(
            "| `{}` | {} | {} s | {} | {} | {} | {} | {} |\n",
            text("name"),
            text("outcome"),
            row["seconds"],
            row["seed"],
            counts.replace('|', "\\|"),
            text("date"),
            text("commit"),
            text("machine"),
        ));
    }
    page
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{keep, page};
    use crate::scratch::Scratch;

    #[test]
    fn the_page_names_seed_counts_commit_and_machine() {
        let row = json!({"name": "kaireon-store-embedded crash", "outcome": "passed", "seconds": 61, "seed": 7,
                         "counts": {"kills": 100, "lost": 0}, "machine": "a CPU", "commit": "c1", "date": "2026-01-02"});
        let line = "| `kaireon-store-embedded crash` | passed | 61 s | 7 | kills: 100, lost: 0 | 2026-01-02 | c1 | a CPU |";
        assert!(page(std::slice::from_ref(&row)).contains(line));

        let docs = Scratch::new(&std::env::temp_dir(), "soak-docs").unwrap();
        keep(docs.path(), vec![row.clone()]).unwrap();
        let mut again = row;
        again["seed"] = json!(8);
        keep(docs.path(), vec![again]).unwrap();
        let kept = std::fs::read_to_string(docs.path().join("soak.md")).unwrap();
        assert!(
            kept.contains("| 8 | kills: 100") && !kept.contains("| 7 | kills"),
            "{kept}"
        );
    }
}

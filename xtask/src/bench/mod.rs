//! `cargo xtask bench`: runs the benches and makes `docs/benchmarks.md` from what they print.
//!
//! A bench prints, for each figure, a line `kaireon-figure ` followed by one JSON object (see [`figure`]).
//! `KAIREON_BENCH_SMOKE=1` asks it for a short run, `KAIREON_BENCH_ONLY=id,id` for some figures only. A full
//! run keeps its figures in `docs/benchmarks.jsonl`, each with the machine, commit and day it was taken on; one
//! with `--only` replaces those it took. The page is made from that file, and from `docs/benchmarks-reasons.json`, in
//! which people say why figures are missed.
//!
//! The servers of a backend's figures are started for the run, and stopped after it.
//!
//! A figure that needs a backend has that backend's feature in the benches package under the first part of its
//! id (`kafka` for `kafka.publish`): `--only` compiles what was asked for, everything else is left out.

mod figure;
mod goal;
mod page;

use std::path::PathBuf;

use serde_json::Value;

use crate::args::Args;
use crate::failure::{Context, Result};
use crate::provenance::Provenance;
use crate::services::Session;
use crate::workspace::{Package, Workspace};
use crate::{jsonl, process};
use figure::Figure;

/// The package that holds the benches.
const BENCHES: &str = "kaireon-benches";

/// Features whose benches need no server; all others are measured against the real ones, which are started for it.
const LOCAL: [&str; 4] = ["cache", "embedded", "events", "memory"];

/// `cargo xtask bench [--only ID…] [--json FILE] [--smoke]`, or `--page`, which makes the page anew and measures nothing.
pub(crate) fn command(workspace: &Workspace, mut args: Args) -> Result<()> {
    let smoke = args.flag("--smoke");
    let page_alone = args.flag("--page");
    let only = args.list("--only")?;
    let json = args.option("--json")?.map(PathBuf::from);
    if let Some(name) = args.name()? {
        return Err(format!("bench takes no name; did you mean --only {name}?").into());
    }

    let source = workspace.root.join("docs/benchmarks.jsonl");
    if page_alone {
        return write_page(workspace, &jsonl::read(&source)?);
    }
    let figures = run(workspace, &only, smoke)?;
    let provenance = Provenance::now(workspace)?;
    let rows: Vec<Value> = figures.iter().map(|figure| figure.row(&provenance)).collect();
    println!();
    for figure in &figures {
        println!("{}", figure.json());
    }
    if let Some(path) = json {
        jsonl::write(&path, &rows)?;
    }
    let kept = jsonl::read(&source)?;
    if smoke {
        return only_known(&kept, &figures, &only);
    }
    let rows = if only.is_empty() {
        rows
    } else {
        jsonl::merge(kept, rows, "id")
    };
    jsonl::write(&source, &rows)?;
    println!("\nwritten: docs/benchmarks.jsonl");
    write_page(workspace, &rows)
}

fn write_page(workspace: &Workspace, rows: &[Value]) -> Result<()> {
    let path = workspace.root.join("docs/benchmarks.md");
    std::fs::write(&path, page::of(rows, &reasons(workspace)?)?).context(path.display())?;
    println!("written: docs/benchmarks.md");
    Ok(())
}

/// Why figures are missed, as people wrote it.
fn reasons(workspace: &Workspace) -> Result<page::Reasons> {
    let path = workspace.root.join("docs/benchmarks-reasons.json");
    let text = std::fs::read_to_string(&path).context(path.display())?;
    let reasons: page::Reasons = serde_json::from_str(&text).context(path.display())?;
    match reasons.iter().find(|(_, reason)| !reason.is_string()) {
        Some((id, _)) => Err(format!("{}: the reason of {id} is no text", path.display()).into()),
        None => Ok(reasons),
    }
}

fn run(workspace: &Workspace, only: &[String], smoke: bool) -> Result<Vec<Figure>> {
    let package = workspace.package(BENCHES)?;
    let mut cargo = workspace.cargo(["bench", "--package", BENCHES, "--benches"]);
    let features = features(package, only);
    if !features.is_empty() {
        cargo.arg(format!("--features={}", features.join(",")));
    }
    if smoke {
        // What the examples are compiled with as well, so that CI compiles the dependencies once.
        cargo.arg("--profile=release").env("KAIREON_BENCH_SMOKE", "1");
    }
    if !only.is_empty() {
        cargo.env("KAIREON_BENCH_ONLY", only.join(","));
    }
    let mut session = None;
    if features.iter().any(|feature| !LOCAL.contains(&feature.as_str())) {
        let started = Session::start(workspace)?;
        if !started.not_started().is_empty() {
            return Err(format!("not started: {:?}", started.not_started()).into());
        }
        cargo.envs(started.environment());
        session = Some(started);
    }
    let mut figures = Vec::new();
    let mut unreadable = Vec::new();
    let status = process::follow(&mut cargo, |line| match Figure::from_line(line) {
        Some(Ok(figure)) => figures.push(figure),
        Some(Err(failure)) => unreadable.push(failure.to_string()),
        None => {}
    })?;
    if let Some(mut session) = session {
        session.stop()?;
    }
    if !unreadable.is_empty() {
        return Err(unreadable.join("; ").into());
    }
    if !status.success() {
        return Err(format!("{status}: the benches").into());
    }
    if let Some(twice) = figures
        .iter()
        .enumerate()
        .find(|(i, f)| figures[..*i].iter().any(|g| g.id == f.id))
    {
        return Err(format!("two figures are called {}", twice.1.id).into());
    }
    if let Some(missing) = only
        .iter()
        .find(|id| !figures.iter().any(|figure| figure.is_of(id)))
    {
        return Err(format!("no bench measured {missing}").into());
    }
    if figures.is_empty() {
        Err("no bench printed a figure".into())
    } else {
        Ok(figures)
    }
}

/// The backends to compile in: those of the figures asked for, or all.
fn features(package: &Package, only: &[String]) -> Vec<String> {
    let wanted = |feature: &&String| {
        let asked = only.is_empty()
            || only
                .iter()
                .any(|id| id.split('.').next() == Some(feature.as_str()));
        asked && *feature != "default"
    };
    package.features.iter().filter(wanted).cloned().collect()
}

/// The id and the shown value of each kept figure.
pub(crate) fn values(rows: &[Value]) -> Result<Vec<(String, String)>> {
    let figures = rows
        .iter()
        .map(|row| Figure::of(row.clone()).context("docs/benchmarks.jsonl"));
    figures
        .map(|figure| figure.map(|figure| (figure.id.clone(), figure.cell("value"))))
        .collect()
}

/// A published figure that no bench measures any more would stand in the page for ever.
fn only_known(kept: &[Value], figures: &[Figure], only: &[String]) -> Result<()> {
    let measured = |id: &str| figures.iter().any(|figure| figure.id == id);
    let mut stale = kept
        .iter()
        .filter_map(|row| row["id"].as_str())
        .filter(|id| !measured(id));
    match stale.next().filter(|_| only.is_empty()) {
        Some(id) => Err(format!("docs/benchmarks.jsonl has {id}, which no bench measures").into()),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Figure, features, only_known};
    use crate::workspace::Package;

    #[test]
    fn the_backends_of_the_figures_asked_for_are_compiled_in() {
        let backends = ["default", "embedded", "kafka"].map(str::to_owned).into();
        let package = Package {
            features: backends,
            ..Package::default()
        };
        assert_eq!(features(&package, &[]), ["embedded", "kafka"]);
        assert_eq!(
            features(
                &package,
                &["kafka.publish".to_owned(), "core.overhead".to_owned()]
            ),
            ["kafka"]
        );
        assert!(features(&package, &["core.overhead".to_owned()]).is_empty());
    }

    #[test]
    fn a_published_figure_that_nothing_measures_is_noticed() {
        let line = r#"kaireon-figure {"id":"a","value":1,"unit":"x","goal":null,"raw":1,"ours":1,"runs":1}"#;
        let figures = [Figure::from_line(line).unwrap().unwrap()];
        assert!(only_known(&[json!({"id": "a"})], &figures, &[]).is_ok());
        assert!(only_known(&[json!({"id": "b"})], &figures, &[]).is_err());
        assert!(only_known(&[json!({"id": "b"})], &figures, &["a".to_owned()]).is_ok());
    }
}

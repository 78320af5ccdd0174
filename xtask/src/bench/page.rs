//! `docs/benchmarks.md`, made from the kept figures.

use std::fmt::Write;

use serde_json::Value;

use super::figure::Figure;
use super::goal::Verdict;
use crate::failure::{Context, Result};

const HEAD: &str = "\
# Benchmarks

Made by `cargo xtask bench` from `docs/benchmarks.jsonl`, and by nothing else. Each figure compares kaireon with
the raw driver doing the same durable work, in one run on one machine; the value is the median of the runs.
";

/// The page: one table per machine, commit and day on which figures were taken, in the order of the rows.
pub(crate) fn of(rows: &[Value]) -> Result<String> {
    let mut page = HEAD.to_owned();
    let figures = rows
        .iter()
        .map(|row| Figure::of(row.clone()).context("docs/benchmarks.jsonl"));
    let figures = figures.collect::<Result<Vec<_>>>()?;
    let origin = |figure: &Figure| ["date", "commit", "machine"].map(|name| figure.cell(name));
    let mut origins: Vec<[String; 3]> = Vec::new();
    for figure in &figures {
        if !origins.contains(&origin(figure)) {
            origins.push(origin(figure));
        }
    }
    for these in &origins {
        let [date, commit, machine] = these;
        page.push_str(&format!("\n## {date}, commit {commit}\n\n{machine}\n\n"));
        page.push_str(
            "| id | value | unit | goal | | raw | ours | runs |\n|---|---|---|---|---|---|---|---|\n",
        );
        let taken: Vec<&Figure> = figures.iter().filter(|figure| origin(figure) == *these).collect();
        for figure in &taken {
            page.push_str(&line(figure, figure.verdict()?));
        }
        notes(&mut page, &taken);
    }
    Ok(page)
}

fn line(figure: &Figure, verdict: Verdict) -> String {
    let [value, unit, goal, raw, ours, runs] =
        ["value", "unit", "goal", "raw", "ours", "runs"].map(|n| figure.cell(n));
    format!(
        "| `{}` | {value} | {unit} | {goal} | {} | {raw} | {ours} | {runs} |\n",
        figure.id,
        verdict.shown()
    )
}

fn notes(page: &mut String, figures: &[&Figure]) {
    let noted = figures.iter().filter(|figure| !figure.cell("note").is_empty());
    for (place, figure) in noted.enumerate() {
        if place == 0 {
            page.push('\n');
        }
        // Writing to a String cannot fail.
        let _ = writeln!(page, "- `{}`: {}", figure.id, figure.cell("note"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::of;

    fn row(id: &str, value: f64, commit: &str) -> Value {
        json!({"id": id, "value": value, "unit": "×", "goal": "≥ 0.8", "raw": 120_000, "ours": 100_000.0, "runs": 5,
               "machine": "a CPU", "commit": commit, "date": "2026-01-02"})
    }

    #[test]
    fn figures_are_shown_under_the_run_they_come_from() {
        let mut noted = row("b", 0.7, "c1");
        noted["note"] = json!("why it is missed");
        let page = of(&[row("a", 0.9, "c1"), noted, row("c", 0.9, "c2")]).unwrap();
        assert!(
            page.contains("| `a` | 0.9 | × | ≥ 0.8 | met | 120,000 | 100,000 | 5 |"),
            "{page}"
        );
        assert!(page.contains("| `b` | 0.7 | × | ≥ 0.8 | **missed** |"), "{page}");
        assert!(page.contains("\n- `b`: why it is missed\n"), "{page}");
        assert_eq!(page.matches("## 2026-01-02, commit c1").count(), 1);
        assert!(page.find("commit c1").unwrap() < page.find("commit c2").unwrap());
    }

    #[test]
    fn a_row_that_is_no_figure_makes_no_page() {
        assert!(of(&[json!({"id": "a"})]).is_err());
    }
}

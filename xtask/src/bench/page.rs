//! `docs/benchmarks.md`, made from the kept figures.

use std::fmt::Write;

use serde_json::Value;

use super::figure::Figure;
use super::goal::Verdict;
use crate::failure::{Context, Result};

const HEAD: &str = "\
# Benchmarks

Made by `cargo xtask bench` from `docs/benchmarks.jsonl`, and by nothing else but the reasons of what is missed, which
people write into `docs/benchmarks-reasons.json`. Each figure compares kaireon with the raw driver doing the same
durable work, in one run on one machine; the value is the median of the runs.
";

/// Why figures are missed, by their ids: of one figure, or of all whose ids begin with it before a variant.
pub(crate) type Reasons = serde_json::Map<String, Value>;

/// The page: one table per machine, commit and day on which figures were taken, in the order of the rows. What is
/// missed has its reason beside its note.
pub(crate) fn of(rows: &[Value], reasons: &Reasons) -> Result<String> {
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
        notes(&mut page, &taken, reasons)?;
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

fn notes(page: &mut String, figures: &[&Figure], reasons: &Reasons) -> Result<()> {
    let mut first = true;
    for figure in figures {
        let mut said = figure.cell("note");
        if figure.verdict()? == Verdict::Missed
            && let Some(reason) = reason(figure, reasons)
        {
            said.push_str(if said.is_empty() { "missed: " } else { ". Missed: " });
            said.push_str(reason);
        }
        if said.is_empty() {
            continue;
        }
        if first {
            page.push('\n');
            first = false;
        }
        // Writing to a String cannot fail.
        let _ = writeln!(page, "- `{}`: {said}", figure.id);
    }
    Ok(())
}

/// The most particular reason that is given for a figure.
fn reason<'a>(figure: &Figure, reasons: &'a Reasons) -> Option<&'a str> {
    let given = reasons.iter().filter(|(id, _)| figure.is_of(id));
    given
        .max_by_key(|(id, _)| id.len())
        .and_then(|(_, reason)| reason.as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Reasons, of};

    fn row(id: &str, value: f64, commit: &str) -> Value {
        json!({"id": id, "value": value, "unit": "×", "goal": "≥ 0.8", "raw": 120_000, "ours": 100_000.0, "runs": 5,
               "machine": "a CPU", "commit": commit, "date": "2026-01-02"})
    }

    #[test]
    fn figures_are_shown_under_the_run_they_come_from() {
        let mut noted = row("b", 0.7, "c1");
        noted["note"] = json!("why it is missed");
        let page = of(
            &[row("a", 0.9, "c1"), noted, row("c", 0.9, "c2")],
            &Reasons::new(),
        )
        .unwrap();
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
        assert!(of(&[json!({"id": "a"})], &Reasons::new()).is_err());
    }

    #[test]
    fn what_is_missed_has_its_reason_and_what_is_met_has_none() {
        let mut noted = row("b.x/zipf", 0.7, "c1");
        noted["note"] = json!("in µs");
        let reasons =
            json!({"b.x": "of all", "b.x/zipf": "of this one", "a": "of what is met", "c": "alone"});
        let reasons = reasons.as_object().unwrap();
        let rows = [
            row("a", 0.9, "c1"),
            noted,
            row("b.x/uniform", 0.7, "c1"),
            row("c", 0.7, "c1"),
        ];
        let page = of(&rows, reasons).unwrap();
        assert!(
            page.contains("\n- `b.x/zipf`: in µs. Missed: of this one\n"),
            "{page}"
        );
        assert!(page.contains("\n- `b.x/uniform`: missed: of all\n"), "{page}");
        assert!(page.contains("\n- `c`: missed: alone\n"), "{page}");
        assert!(!page.contains("of what is met"), "{page}");
    }
}

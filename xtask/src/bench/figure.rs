//! One measured figure, as a bench prints it.

use serde_json::{Value, json};

use super::goal::{Goal, Verdict};
use crate::failure::{Context, Result};
use crate::provenance::Provenance;

/// What a line of output begins with when a figure follows.
const MARK: &str = "kaireon-figure ";

/// `{"id", "value", "unit", "goal", "raw", "ours", "runs"}` and, where a bench has something to say, `"note"`.
///
/// `goal` is null or a text such as `≤ 1.03` (see [`Goal`]); `raw`, `ours` and `runs` are numbers or arrays.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    pub(crate) id: String,
    object: Value,
}

impl Figure {
    /// Reads a line of a bench's output; most are not figures.
    pub(crate) fn from_line(line: &str) -> Option<Result<Self>> {
        // Criterion leaves its progress on the line without ending it.
        let (_, json) = line.split_once(MARK)?;
        Some(Self::parse(json).context(format_args!("the figure {json}")))
    }

    /// Reads a kept row or a printed object.
    pub(crate) fn of(object: Value) -> Result<Self> {
        let id = object["id"]
            .as_str()
            .filter(|id| !id.is_empty())
            .context("it has no id")?
            .to_owned();
        object["value"].as_f64().context("its value is no number")?;
        object["unit"].as_str().context("its unit is no text")?;
        for name in ["goal", "raw", "ours", "runs"] {
            object.get(name).context(format_args!("it has no {name}"))?;
        }
        let figure = Self { id, object };
        figure.verdict()?;
        Ok(figure)
    }

    fn parse(json: &str) -> Result<Self> {
        Self::of(serde_json::from_str(json).context("not JSON")?)
    }

    /// The object as it was printed.
    pub(crate) fn json(&self) -> &Value {
        &self.object
    }

    /// The object with where and when it was taken.
    pub(crate) fn row(&self, provenance: &Provenance) -> Value {
        let mut row = self.object.clone();
        row["machine"] = json!(provenance.machine);
        row["commit"] = json!(provenance.commit);
        row["date"] = json!(provenance.date);
        row
    }

    /// Whether `id` asks for it: its own name, or the name before a variant (`cache.l1_hit/2_threads`).
    pub(crate) fn is_of(&self, id: &str) -> bool {
        self.id
            .strip_prefix(id)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '/', '@']))
    }

    pub(crate) fn verdict(&self) -> Result<Verdict> {
        let number = |name: &str| self.object[name].as_f64();
        match &self.object["goal"] {
            Value::Null => Ok(Verdict::NoGoal),
            Value::String(text) => {
                let unit = self.object["unit"].as_str().unwrap_or_default();
                Goal::parse(text, unit)?.judge(number("value"), number("ours"))
            }
            other => Err(format!("its goal is a text such as \"≤ 1.03\" or null, not {other}").into()),
        }
    }

    /// A member as a cell of a table.
    pub(crate) fn cell(&self, name: &str) -> String {
        match &self.object[name] {
            Value::Null => String::new(),
            Value::String(text) => text.replace('|', "\\|"),
            Value::Number(number) => number.as_f64().map_or_else(|| number.to_string(), rounded),
            Value::Array(runs) => {
                let mut numbers: Vec<f64> = runs.iter().filter_map(Value::as_f64).collect();
                numbers.sort_by(f64::total_cmp);
                match (numbers.first(), numbers.last()) {
                    (Some(&low), Some(&high)) => {
                        format!("{}: {} to {}", numbers.len(), rounded(low), rounded(high))
                    }
                    _ => String::new(),
                }
            }
            other => other.to_string(),
        }
    }
}

/// Four significant digits, and thousands set apart.
fn rounded(number: f64) -> String {
    let size = number.abs();
    if size >= 1000.0 {
        let digits = format!("{:.0}", size);
        let mut text = String::new();
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        return if number < 0.0 { format!("-{text}") } else { text };
    }
    let decimals = match size {
        s if s >= 100.0 => 1,
        s if s >= 10.0 => 2,
        s if s >= 1.0 || s == 0.0 => 3,
        _ => 4,
    };
    let text = format!("{number:.decimals$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Figure, rounded};
    use crate::bench::goal::Verdict;

    fn figure(goal: serde_json::Value) -> serde_json::Value {
        json!({"id": "core.overhead", "value": 1.02, "unit": "×", "goal": goal, "raw": 21.5, "ours": 22, "runs": [1.01, 1.03]})
    }

    #[test]
    fn a_figure_is_found_in_a_line_and_judged() {
        let line = format!("core/overhead: kaireon-figure {}", figure(json!("≤ 1.03")));
        let read = Figure::from_line(&line).unwrap().unwrap();
        assert_eq!(read.id, "core.overhead");
        assert_eq!(read.verdict().unwrap(), Verdict::Met);
        assert_eq!(read.cell("runs"), "2: 1.01 to 1.03");
        assert_eq!(read.cell("note"), "");
        assert!(Figure::from_line("time: [1 2 3]").is_none());
    }

    #[test]
    fn an_object_that_lacks_something_is_refused() {
        for name in ["id", "value", "unit", "goal", "raw", "ours", "runs"] {
            let mut object = figure(json!(null));
            object.as_object_mut().unwrap().remove(name);
            assert!(Figure::of(object).is_err(), "{name}");
        }
        assert!(Figure::of(figure(json!(1.03))).is_err());
        assert!(Figure::of(figure(json!("about one"))).is_err());
        assert!(Figure::from_line("kaireon-figure {").unwrap().is_err());
    }

    #[test]
    fn a_variant_answers_to_the_name_before_it() {
        let mut object = figure(json!(null));
        object["id"] = json!("cache.l1_hit/2_threads");
        let variant = Figure::of(object).unwrap();
        assert!(variant.is_of("cache.l1_hit") && variant.is_of("cache.l1_hit/2_threads"));
        assert!(!variant.is_of("cache.l1") && !variant.is_of("cache.l2_hit"));
    }

    #[test]
    fn numbers_are_shown_with_what_matters_of_them() {
        let shown = [1_234_567.8, 999.96, 12.345, 1.0, 0.0, 0.012_34, -1500.0].map(rounded);
        assert_eq!(
            shown,
            ["1,234,568", "1000", "12.35", "1", "0", "0.0123", "-1,500"]
        );
    }
}

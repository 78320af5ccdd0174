//! One line of output per figure, as `cargo xtask bench` reads it.

use serde_json::{Value, json};

/// What a figure is to reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// This text, in the form that `docs/testing.md` describes (`≤ 1.03`).
    Reach(&'static str),
    /// None: reported for the reader.
    None,
}

/// A measured figure.
#[derive(Clone, Debug)]
pub struct Figure {
    /// Its name in DESIGN section 7, with a variant behind a slash.
    pub id: String,
    /// The figure.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// What it is to reach.
    pub goal: Goal,
    /// What the raw side measured, in the unit that `note` names, or nothing.
    pub raw: Option<f64>,
    /// What our side measured.
    pub ours: Option<f64>,
    /// The figure of each round.
    pub runs: Vec<f64>,
    /// What a reader must know of it: what `raw` and `ours` are, and why a goal is missed.
    pub note: String,
}

impl Figure {
    /// Prints it, on a line of its own.
    pub fn print(&self) {
        let goal = match self.goal {
            Goal::Reach(text) => Value::from(text),
            Goal::None => Value::Null,
        };
        let line = json!({
            "id": self.id, "value": self.value, "unit": self.unit, "goal": goal, "raw": self.raw,
            "ours": self.ours, "runs": self.runs, "note": self.note,
        });
        println!("\nkaireon-figure {line}");
    }
}

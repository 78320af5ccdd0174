//! Whether a figure reaches its goal.

use crate::failure::{Context, Result};

/// `≤ 1.03`, `≥ 0.8 × and ≥ 100k events/s`, `= 1`: every clause must hold. A clause whose unit is the figure's
/// own, or `×`, or none, is held against `value`; one with another unit is held against `ours`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Goal(Vec<Clause>);

#[derive(Debug, Clone, PartialEq)]
struct Clause {
    relation: Relation,
    bound: f64,
    of: Of,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    AtMost,
    AtLeast,
    Exactly,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Value,
    Ours,
}

/// How a figure stands to its goal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Met,
    Missed,
    NoGoal,
}

impl Verdict {
    pub(crate) fn shown(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Missed => "**missed**",
            Self::NoGoal => "–",
        }
    }
}

impl Goal {
    pub(crate) fn parse(text: &str, unit: &str) -> Result<Self> {
        let clauses = text.split([';', ',']).flat_map(|part| part.split(" and "));
        let clauses = clauses.map(str::trim).filter(|clause| !clause.is_empty());
        let clauses = clauses.map(|clause| {
            Clause::parse(clause, unit)
                .context(format_args!("the goal {text:?} cannot be judged at {clause:?}"))
        });
        let clauses = clauses.collect::<Result<Vec<_>>>()?;
        if clauses.is_empty() {
            Err("an empty goal; null says that there is none".into())
        } else {
            Ok(Self(clauses))
        }
    }

    pub(crate) fn judge(&self, value: Option<f64>, ours: Option<f64>) -> Result<Verdict> {
        for clause in &self.0 {
            let number = match clause.of {
                Of::Value => value.context("its value is no number")?,
                Of::Ours => ours.context("its goal is about `ours`, which is no number")?,
            };
            let holds = match clause.relation {
                Relation::AtMost => number <= clause.bound,
                Relation::AtLeast => number >= clause.bound,
                Relation::Exactly => (number - clause.bound).abs() < f64::EPSILON,
            };
            if !holds {
                return Ok(Verdict::Missed);
            }
        }
        Ok(Verdict::Met)
    }
}

impl Clause {
    fn parse(text: &str, unit: &str) -> Option<Self> {
        let relations = [
            ("≤", Relation::AtMost),
            ("<=", Relation::AtMost),
            ("≥", Relation::AtLeast),
            (">=", Relation::AtLeast),
            ("==", Relation::Exactly),
            ("=", Relation::Exactly),
        ];
        let (rest, relation) = relations
            .iter()
            .find_map(|&(sign, relation)| Some((text.strip_prefix(sign)?.trim(), relation)))?;
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_')
            .unwrap_or(rest.len());
        let (number, rest) = rest.split_at(end);
        let number: f64 = number.replace('_', "").parse().ok()?;
        let (factor, rest) = match rest.split_at_checked(1) {
            Some(("k", rest)) if !rest.starts_with(char::is_alphabetic) => (1e3, rest),
            Some(("M", rest)) if !rest.starts_with(char::is_alphabetic) => (1e6, rest),
            _ => (1.0, rest),
        };
        let named = rest.trim();
        let own = |mark: &str| !mark.is_empty() && named.strip_prefix(mark).is_some_and(is_apart);
        let of = if named.is_empty() || own("×") || own("x") || own(unit) {
            Of::Value
        } else {
            Of::Ours
        };
        Some(Self {
            relation,
            bound: number * factor,
            of,
        })
    }
}

/// Whether what follows a unit is no part of its word: `× bare` but not `xyz`.
fn is_apart(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with(' ')
}

#[cfg(test)]
mod tests {
    use super::{Goal, Verdict};

    fn judge(goal: &str, unit: &str, value: f64, ours: f64) -> Verdict {
        Goal::parse(goal, unit)
            .unwrap()
            .judge(Some(value), Some(ours))
            .unwrap()
    }

    #[test]
    fn a_bound_without_unit_is_about_the_value() {
        assert_eq!(judge("≤ 1.03", "×", 1.03, 0.0), Verdict::Met);
        assert_eq!(judge("≤ 1.03 × bare", "ratio", 1.04, 0.0), Verdict::Missed);
        assert_eq!(judge(">= 0.8x", "ratio", 0.79, 9.0), Verdict::Missed);
        assert_eq!(judge("= 1", "fetches", 1.0, 0.0), Verdict::Met);
        assert_eq!(judge("≤ 256 MiB", "MiB", 200.0, 900.0), Verdict::Met);
    }

    #[test]
    fn a_bound_in_another_unit_is_about_ours_and_all_bounds_must_hold() {
        let goal = "≥ 0.8 × and ≥ 100k events/s";
        assert_eq!(judge(goal, "×", 0.9, 100_000.0), Verdict::Met);
        assert_eq!(judge(goal, "×", 0.9, 99_999.0), Verdict::Missed);
        assert_eq!(judge(goal, "×", 0.7, 200_000.0), Verdict::Missed);
        assert_eq!(judge("≥ 1.5M rows/s", "×", 0.0, 1_500_000.0), Verdict::Met);
    }

    #[test]
    fn what_cannot_be_judged_is_an_error() {
        assert!(Goal::parse("flat", "×").is_err());
        assert!(Goal::parse("", "×").is_err());
        assert!(Goal::parse("≥ many", "×").is_err());
        assert!(
            Goal::parse("≥ 1 events/s", "×")
                .unwrap()
                .judge(Some(1.0), None)
                .is_err()
        );
    }
}

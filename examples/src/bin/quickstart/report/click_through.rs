//! Click-through rate per campaign and policy.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::estimate::{Estimate, Shown, observed, of_choosing_with};
use crate::table::{Table, count, percent};

/// An estimate that rests on fewer rows is marked.
const FEW_ROWS: f64 = 100.0;

/// The rate as it was, and the rate that drawing items uniformly would have had, estimated from the same log.
///
/// The log of `bts` and that of `random` estimate the same thing in the last column, so `random`'s own rate tells
/// how good the estimate from `bts` is.
pub(crate) fn click_through(
    samples: &BTreeMap<(&str, &str), Vec<Shown>>,
    catalogue: &BTreeMap<String, usize>,
) -> String {
    let head = [
        "campaign",
        "policy",
        "shown",
        "clicks",
        "click-through",
        "if drawn at random",
    ];
    let mut table = Table::new(
        "Click-through rate per campaign and policy (± one standard error)",
        head,
    );
    let mut doubts = String::new();
    for ((campaign, policy), sample) in samples {
        let items = catalogue.get(*campaign).filter(|items| **items > 0);
        let drawn = items.and_then(|items| of_choosing_with(1.0 / *items as f64, sample));
        let doubtful = drawn.filter(|drawn| drawn.effective_rows < FEW_ROWS);
        if let Some(Estimate { effective_rows, .. }) = doubtful {
            // A string takes whatever is written to it.
            let _ = write!(
                doubts,
                "\n  (!) {campaign}, {policy}: a few rows with tiny propensities outweigh all others; the estimate \
                 is worth {effective_rows:.0} rows, and not to be relied on."
            );
        }
        table.push([
            (*campaign).to_owned(),
            (*policy).to_owned(),
            count(sample.len() as u64),
            count(sample.iter().filter(|shown| shown.clicked).count() as u64),
            observed(sample).map_or_else(String::new, |rate| shown(rate, "   ")),
            drawn.map_or_else(String::new, |rate| {
                shown(rate, if doubtful.is_some() { "(!)" } else { "   " })
            }),
        ]);
    }
    format!(
        "{table}  Last column: what a policy that draws each of the campaign's items with equal probability would\n  \
         have had, from this policy's log by inverse propensity: mean of click × (1 ÷ items) ÷ propensity.{doubts}\n"
    )
}

fn shown(estimate: Estimate, mark: &str) -> String {
    let Estimate {
        rate,
        standard_error,
        effective_rows: _,
    } = estimate;
    format!("{} ± {} {mark}", percent(rate), percent(standard_error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_that_rests_on_few_rows_is_marked() {
        let row = |propensity, clicked| Shown { propensity, clicked };
        let mut even = vec![row(0.5, false); 999];
        even.push(row(0.5, true));
        let mut skewed = even.clone();
        skewed.push(row(0.0001, false));
        let samples = BTreeMap::from([(("men", "random"), even), (("men", "bts"), skewed)]);
        let text = click_through(&samples, &BTreeMap::from([("men".to_owned(), 2)]));
        assert!(text.contains("0.10 % ± 0.10 %"), "{text}");
        assert_eq!(text.matches("(!) men, bts").count(), 1, "{text}");
        assert!(!text.contains("(!) men, random"), "{text}");
    }
}

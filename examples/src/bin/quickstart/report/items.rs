//! The items that were clicked most.

use std::cmp::Reverse;

use crate::ledger::{Ledger, Tally};
use crate::table::{Table, count, percent};

/// How many are shown.
const TOP: usize = 8;

/// The items with the most clicks, both policies together.
pub(crate) fn items(ledger: &Ledger) -> Table {
    let mut items: Vec<(&str, Tally)> = ledger
        .tallies(|interaction| interaction.offer.as_str())
        .into_iter()
        .collect();
    // Stable: of equal ones the first by name comes first.
    items.sort_by_key(|(_, tally)| (Reverse(tally.clicks), tally.shown));
    let mut table = Table::new(
        "Top items (campaign-item)",
        ["item", "shown", "clicks", "click-through"],
    );
    for (item, Tally { shown, clicks }) in items.into_iter().take(TOP) {
        let rate = clicks as f64 / shown.max(1) as f64;
        table.push([item.to_owned(), count(shown), count(clicks), percent(rate)]);
    }
    table
}

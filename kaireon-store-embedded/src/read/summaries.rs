//! Summaries: the packed value, and the closed rows that a query needs beside it.

use std::ops::Bound;
use std::sync::Arc;

use kaireon_core::store::{Generation, SummaryQuery};
use kaireon_core::summary::packed::{ClosedSpan, stats_of};
use kaireon_core::wire::corrupt;
use kaireon_core::{Result, Summary};

use crate::client::{Space, View};
use crate::folds::Own;
use crate::keys;

/// Answers from a customer's own value alone; `None` where closed rows are needed.
pub(crate) fn from_memory(own: &Own, query: &SummaryQuery) -> Option<Vec<Summary>> {
    let enough = own.packed.closed_spans(query).is_empty();
    enough.then(|| own.packed.answer(query, Vec::new()))
}

/// Answers from a customer's own value and closed rows.
pub(crate) fn summaries(view: &View, key: &[u8], own: Own, query: &SummaryQuery) -> Result<Vec<Summary>> {
    let spans = own.packed.closed_spans(query);
    let mut closed = closed_rows(view, key, own.generation, &spans)?;
    closed.extend(own.closed);
    Ok(own.packed.answer(query, closed))
}

/// Reads the closed rows of some spans.
fn closed_rows(
    view: &View,
    key: &[u8],
    generation: Generation,
    spans: &[ClosedSpan],
) -> Result<Vec<Summary>> {
    let rows = keys::rows(key, generation);
    let mut closed = Vec::new();
    for span in spans {
        let from = keys::closed_period(&rows, span.period_type, span.newest);
        let mut until = keys::closed_period(&rows, span.period_type, span.oldest);
        // Behind every dimension and value of the oldest period.
        until.push(0xff);
        for found in view.range(Space::Closed, Bound::Included(from), Bound::Excluded(until)) {
            let (key, row) = found?;
            let named =
                keys::read_closed(rows.len(), &key).ok_or_else(|| corrupt("a closed row has no period"))?;
            let (period, dimension, value) = named;
            closed.push(Summary::new(dimension, Arc::from(value), period, stats_of(&row)?));
        }
    }
    Ok(closed)
}

/// How many summaries a customer has, whose own value is given.
pub(crate) fn count(view: &View, key: &[u8], value: &[u8], query: &SummaryQuery) -> Result<u64> {
    let own = Own::of(Some(value), &[])?;
    let summaries = own.map(|own| summaries(view, key, own, query)).transpose()?;
    Ok(summaries.map_or(0, |summaries| summaries.len() as u64))
}

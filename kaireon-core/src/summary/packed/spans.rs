//! Which closed rows a query needs.

use crate::store::{PeriodRange, SummaryQuery};
use crate::{Period, PeriodType};

/// A stretch of closed periods of one type, both ends included. The spans of one answer do not overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClosedSpan {
    /// The type.
    pub period_type: PeriodType,
    /// The first day of the oldest period; `i32::MIN` where the query has no lower bound.
    pub oldest: i32,
    /// The first day of the newest period.
    pub newest: i32,
}

pub(super) fn of(closed: [Option<i32>; 3], totals_spilled: bool, query: &SummaryQuery) -> Vec<ClosedSpan> {
    let everything = PeriodType::ALL.map(PeriodRange::every);
    let ranges = if query.periods.is_empty() {
        &everything[..]
    } else {
        &query.periods[..]
    };
    let mut spans: Vec<ClosedSpan> = Vec::new();
    for range in ranges {
        let period_type = range.period_type();
        let mark = match period_type {
            PeriodType::AllTime => totals_spilled.then_some(Period::ALL_TIME.first_day()),
            _ => closed[super::slot_of(period_type)],
        };
        let Some(mark) = mark else { continue };
        let newest = range.to().map_or(mark, |to| to.first_day().min(mark));
        let oldest = range.from().map_or(i32::MIN, Period::first_day);
        if oldest <= newest {
            spans.push(ClosedSpan {
                period_type,
                oldest,
                newest,
            });
        }
    }
    // Overlapping ranges of a query must not make a row be read, and so counted, twice.
    spans.sort_unstable_by_key(|span| (span.period_type, span.oldest));
    spans.dedup_by(|next, first| {
        let overlap = next.period_type == first.period_type && next.oldest <= first.newest;
        if overlap {
            first.newest = first.newest.max(next.newest);
        }
        overlap
    });
    spans
}

//! Counts over the documents that match.

use std::collections::BTreeMap;

use crate::Period;
use crate::search::{Document, Facet, FacetCounts, Keyword};

pub(super) fn count(facet: &Facet, found: &[&Document]) -> FacetCounts {
    match facet {
        Facet::Terms { field, limit } => {
            let mut counts: BTreeMap<&Keyword, u64> = BTreeMap::new();
            let values = found.iter().filter_map(|document| document.keywords.get(field));
            for value in values.flatten() {
                *counts.entry(value).or_default() += 1;
            }
            let mut terms: Vec<_> = counts
                .into_iter()
                .map(|(value, count)| (value.clone(), count))
                .collect();
            // The sort is stable, so equal counts stay in the order of the values.
            terms.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
            terms.truncate(usize::try_from(*limit).unwrap_or(usize::MAX));
            FacetCounts::Terms(terms)
        }
        Facet::NumberRanges { field, ranges } => {
            let values: Vec<_> = found
                .iter()
                .filter_map(|document| document.numbers.get(field))
                .collect();
            let within = ranges
                .iter()
                .map(|range| values.iter().filter(|value| range.contains(value)).count() as u64);
            FacetCounts::NumberRanges(within.collect())
        }
        Facet::DateHistogram {
            field,
            interval,
            limit,
        } => {
            let mut counts: BTreeMap<Period, u64> = BTreeMap::new();
            for &time in found.iter().filter_map(|document| document.dates.get(field)) {
                *counts
                    .entry(Period::containing(interval.period_type(), time))
                    .or_default() += 1;
            }
            let newest = usize::try_from(*limit).unwrap_or(usize::MAX);
            let older = counts.len().saturating_sub(newest);
            FacetCounts::DateHistogram(counts.into_iter().skip(older).collect())
        }
    }
}

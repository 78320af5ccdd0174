//! What a flaw makes of an answer.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use kaireon_core::Period;
use kaireon_core::search::{
    Analyzer, Document, Facet, FacetCounts, Fragment, Fuzziness, HistogramInterval, Hit, SearchQuery,
    SearchResults, SortValue, TextMode, TotalCount,
};

use super::Flaw;

pub(super) fn spoil(flaw: Flaw, query: &SearchQuery, results: &mut SearchResults) {
    match flaw {
        Flaw::ForgetsStems => keep(query, results, forms),
        Flaw::AccentsCount => keep(query, results, accented),
        Flaw::MissingComesFirst => results
            .hits
            .sort_by_key(|hit| SortValue::of(&query.sort, &hit.document, hit.score) != SortValue::Missing),
        Flaw::TotalIsOfThePage => results.total = TotalCount::Exact(results.hits.len() as u64),
        Flaw::FacetsCountOnePage => {
            let hits = &results.hits;
            let on_page = |counts: &mut FacetCounts| {
                if let FacetCounts::Terms(terms) = counts {
                    for (value, count) in terms {
                        let has = |hit: &&Hit| {
                            hit.document
                                .keywords
                                .values()
                                .any(|values| values.contains(value))
                        };
                        *count = hits.iter().filter(has).count() as u64;
                    }
                }
            };
            results.facets.iter_mut().for_each(on_page);
        }
        Flaw::HistogramsInLocalTime => histograms(query, results, |_| TimeDelta::hours(2)),
        Flaw::WeeksBeginOnSunday => histograms(query, results, |interval| match interval {
            HistogramInterval::Week => TimeDelta::days(1),
            HistogramInterval::Day | HistogramInterval::Month => TimeDelta::zero(),
        }),
        Flaw::HighlightsAreTags => {
            for fragment in results.hits.iter_mut().flat_map(|hit| &mut hit.highlights) {
                *fragment = tagged(fragment);
            }
        }
        _ => {}
    }
}

fn forms(text: &str) -> BTreeSet<String> {
    let words = Analyzer::english().words(text);
    words.into_iter().map(|word| word.form).collect()
}

/// Stems, but words with accents as they are written.
fn accented(text: &str) -> BTreeSet<String> {
    let words = Analyzer::english().words(text).into_iter();
    let kept = words.map(|word| match text[word.range].to_lowercase() {
        plain if plain.is_ascii() => word.stem,
        accented => accented,
    });
    kept.collect()
}

/// Keeps the hits that have the words of the text in this form.
fn keep(query: &SearchQuery, results: &mut SearchResults, words: impl Fn(&str) -> BTreeSet<String>) {
    let Some(text) = &query.text else { return };
    if text.mode() != TextMode::AllWords || text.fuzziness() != Fuzziness::Exact {
        return;
    }
    let wanted = words(text.text());
    let of = |document: &Document| words(&format!("{} {}", document.title, document.body));
    results.hits.retain(|hit| wanted.is_subset(&of(&hit.document)));
    if results.next.is_none() && query.cursor.is_none() {
        results.total = TotalCount::Exact(results.hits.len() as u64);
    }
}

/// Counts the histograms over the hits, at shifted times.
fn histograms(
    query: &SearchQuery,
    results: &mut SearchResults,
    shift: impl Fn(HistogramInterval) -> TimeDelta,
) {
    for (facet, counts) in query.facets.iter().zip(&mut results.facets) {
        let Facet::DateHistogram {
            field,
            interval,
            limit,
        } = facet
        else {
            continue;
        };
        let mut periods: BTreeMap<Period, u64> = BTreeMap::new();
        for &time in results
            .hits
            .iter()
            .filter_map(|hit| hit.document.dates.get(field))
        {
            let shifted = time + shift(*interval);
            *periods
                .entry(Period::containing(interval.period_type(), shifted))
                .or_default() += 1;
        }
        let older = periods
            .len()
            .saturating_sub(usize::try_from(*limit).unwrap_or(usize::MAX));
        *counts = FacetCounts::DateHistogram(periods.into_iter().skip(older).collect());
    }
}

fn tagged(fragment: &Fragment) -> Fragment {
    let mut text = fragment.text.clone();
    for mark in fragment.marks.iter().rev() {
        text.insert_str(mark.end, "</em>");
        text.insert_str(mark.start, "<em>");
    }
    Fragment::new(fragment.field, text, fragment.marks.clone())
}

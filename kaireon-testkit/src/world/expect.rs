//! What is expected, and how it is compared.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt::Debug;
use std::sync::Arc;

use kaireon_core::store::HistoryCursor;
use kaireon_core::{Dimension, Error, ErrorKind, Interaction, Period, Result, Stats, Summary, groups};

use super::World;

impl World<'_> {
    /// Checks that a customer consists of exactly these interactions: summaries, and history where there is one.
    pub(crate) async fn holds(&self, customer: &str, events: &[Interaction]) {
        same(
            &self.summaries(customer).await,
            &fold(events),
            "summaries are the fold of what was accepted",
        );
        if self.can.history {
            same(
                &self.history(customer).await,
                &newest_first(events),
                "the history is what was accepted",
            );
        }
    }

    /// Checks that a call was refused so, and that its error says nothing personal.
    pub(crate) fn refused<T: Debug>(&self, result: Result<T>, kind: ErrorKind) -> Error {
        match result {
            Ok(_) => panic!("the call succeeded where {kind} was expected"),
            Err(error) => {
                self.tells_nothing(&error);
                assert_eq!(error.kind(), kind, "{error}");
                error
            }
        }
    }

    /// Checks that an error says nothing personal, on one line.
    pub(crate) fn tells_nothing(&self, error: &Error) {
        let mut texts = vec![error.to_string(), format!("{error:?}")];
        assert_eq!(texts[0].lines().count(), 1, "an error is one line: {}", texts[0]);
        let mut source = StdError::source(error);
        while let Some(inner) = source {
            texts.push(format!("{inner} {inner:?}"));
            source = inner.source();
        }
        for text in texts {
            assert!(
                !text.contains(&self.marker),
                "an error tells personal data: {text}"
            );
        }
    }
}

/// The summaries of these interactions, in the order of reads.
pub(crate) fn fold(events: &[Interaction]) -> Vec<Summary> {
    let mut folded: BTreeMap<(Dimension, &str, Period), Stats> = BTreeMap::new();
    for event in events {
        for group in groups(event) {
            folded.entry(group).or_default().merge(&Stats::of(event));
        }
    }
    let summary = |((dimension, value, period), stats): ((Dimension, &str, Period), Stats)| {
        Summary::new(dimension, Arc::from(value), period, stats)
    };
    let mut summaries: Vec<_> = folded.into_iter().map(summary).collect();
    summaries.sort_by(Summary::read_order);
    summaries
}

/// These interactions as a history returns them.
pub(crate) fn newest_first(events: &[Interaction]) -> Vec<Interaction> {
    let mut events = events.to_vec();
    events.sort_by_cached_key(|event| Reverse(HistoryCursor::after(event)));
    events
}

/// Checks that two lists are equal, and says where they differ first instead of printing all of them.
pub(crate) fn same<T: PartialEq + Debug>(found: &[T], expected: &[T], what: &str) {
    if found == expected {
        return;
    }
    let place = found
        .iter()
        .zip(expected)
        .position(|(found, expected)| found != expected);
    let place = place.unwrap_or(found.len().min(expected.len()));
    panic!(
        "{what}: {} found where {} were expected, first unlike at {place}: {:?} where {:?} was expected",
        found.len(),
        expected.len(),
        found.get(place),
        expected.get(place),
    );
}

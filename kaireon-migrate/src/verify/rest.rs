//! Summaries of a customer who is written to without pause, by what they hold beside the rows that came lately.
//!
//! Such summaries are never seen alike: the other side is always a little behind. But the rows are compared row by row, and a
//! summary less the rows from some time on is the fold of those before it. Once the lane has passed that time it is the same on
//! both sides, however far apart they are, and each side is read for itself. Where the same rows are there before and behind
//! the summaries, the two are of one moment.
//!
//! A row that comes late, with a time before the cut, is in the summaries of the authority before it is in the other side's. So the
//! authority is read before the lane has passed, and again behind it: where its part is the same, nothing came late in between, and
//! all that came before has been applied. What is unlike then is left open; only what is alike is told.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use kaireon_core::store::{HistoryQuery, MAX_PAGE};
use kaireon_core::time::Timestamp;
use kaireon_core::{CustomerId, Dimension, Interaction, LastContact, Period, PeriodType, Stats, Summary};

use super::run::Run;
use super::summaries::{Key, of};
use crate::Side;

/// How often a side is read until nothing was written to it in between.
const TRIES: u32 = 5;

/// What a summary holds beside some rows; of one that lacks what the rows added, it is less than nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Rest {
    counts: [i128; 5],
    micros: i128,
    /// The last contact, where it is none of the rows.
    last: Option<LastContact>,
}

impl Rest {
    fn of(stats: &Stats) -> Self {
        let Stats {
            impressions,
            positive,
            negative,
            neutral,
            conversions,
            total_value,
            last,
        } = stats;
        Self {
            counts: [impressions, positive, negative, neutral, conversions].map(|&count| i128::from(count)),
            micros: total_value.micros(),
            last: last.clone(),
        }
    }

    fn less(&mut self, row: &Stats) {
        let Self { counts, micros, .. } = Self::of(row);
        for (mine, of_row) in self.counts.iter_mut().zip(counts) {
            *mine -= of_row;
        }
        self.micros -= micros;
    }
}

/// A customer's summaries of one side, less the rows from a time on.
pub(super) struct Rests(HashMap<Key, Rest>);

impl Rests {
    /// The summaries that were alike: the authority's before the lane had passed the time and behind it, and the other
    /// side's in between.
    fn alike(&self, between: &Self, behind: &Self) -> HashSet<Key> {
        let sides = [self, between, behind];
        let keys: HashSet<&Key> = sides.iter().flat_map(|side| side.0.keys()).collect();
        let rest = |side: &Self, key: &Key| side.0.get(key).cloned().unwrap_or_default();
        let is_alike = |key: &&Key| {
            let first = rest(self, key);
            // A last contact that is one of the rows says nothing of the others, on whichever side it is.
            let same = |other: Rest| match (&first.last, &other.last) {
                (Some(_), Some(_)) => first == other,
                _ => (first.counts, first.micros) == (other.counts, other.micros),
            };
            same(rest(between, key)) && same(rest(behind, key))
        };
        keys.into_iter().filter(is_alike).cloned().collect()
    }
}

/// Reads what a side's summaries hold beside the rows from a time on; `None` where it cannot be read, did not stand still for as
/// long as that takes, or has more such rows than are read at once.
pub(super) async fn read(
    run: &Run<'_>,
    side: Side,
    customer: &CustomerId,
    since: Timestamp,
) -> Option<Rests> {
    let mut before = recent(run, side, customer, since).await?;
    for _ in 0..TRIES {
        let summaries = of(run, side, customer).await.ok()?;
        let behind = recent(run, side, customer, since).await?;
        if before == behind {
            return rest_of(&summaries, &before, since).map(Rests);
        }
        before = behind;
    }
    None
}

/// Which summaries are alike, by the authority's part before the lane had passed and what both sides hold now.
pub(super) async fn alike(
    run: &Run<'_>,
    customer: &CustomerId,
    before: &Rests,
    since: Timestamp,
) -> Option<HashSet<Key>> {
    let between = read(run, run.replica(), customer, since).await?;
    let behind = read(run, run.of.authority, customer, since).await?;
    Some(before.alike(&between, &behind))
}

/// A customer's rows from a time on, the newest first; `None` where there are more than a page has.
async fn recent(
    run: &Run<'_>,
    side: Side,
    customer: &CustomerId,
    since: Timestamp,
) -> Option<Vec<Interaction>> {
    let query = HistoryQuery {
        from: Some(since),
        limit: MAX_PAGE,
        ..HistoryQuery::new(run.of.tenant.clone(), customer.clone())
    };
    let page = run.ask(side, |store| store.history(query.clone())).await.ok()?;
    run.pace.spend(page.items.len()).await;
    page.next.is_none().then_some(page.items)
}

/// What summaries hold beside rows, all of them from `since` on; `None` where the last contact of one does not fit its rows.
fn rest_of(summaries: &[Summary], rows: &[Interaction], since: Timestamp) -> Option<HashMap<Key, Rest>> {
    let mut rests = HashMap::new();
    for summary in summaries {
        let key: Key = (summary.dimension, Arc::clone(&summary.value), summary.period);
        rests.insert(key, Rest::of(&summary.stats));
    }
    let mut newest: HashMap<Key, Stats> = HashMap::new();
    for row in rows {
        let stats = Stats::of(row);
        for dimension in Dimension::ALL {
            for period_type in PeriodType::ALL {
                let period = Period::containing(period_type, row.timestamp);
                let key: Key = (dimension, Arc::from(dimension.of(row)), period);
                rests.entry(key.clone()).or_default().less(&stats);
                newest.entry(key).or_default().merge(&stats);
            }
        }
    }
    for (key, rest) in &mut rests {
        match newest.get(key) {
            Some(newest) if rest.last == newest.last => rest.last = None,
            // It lacks all of them, which its counts say.
            Some(_) if rest.last.is_none() => {}
            Some(_) => return None,
            None if rest.last.as_ref().is_some_and(|last| last.timestamp >= since) => return None,
            None => {}
        }
    }
    Some(rests)
}

//! Packed summaries: what an adapter keeps per customer in one small value, so that the usual read is one point
//! read.
//!
//! A [`Packed`] holds, per dimension and value, the open periods (the newest day seen, and the week and month it
//! lies in) and the total of all time. When a newer day opens a new period, the tallies of the one before are
//! handed out as *closed* summaries, which the adapter merges into rows of their own ([`put_stats`],
//! [`stats_of`]); late events go there directly. [`Packed::spill`] hands out everything, which bounds the value
//! whatever the number of offers. Its marks say how far closed rows can matter, so that a read of the open periods
//! looks at none ([`Packed::closed_spans`]).
//!
//! All of it rests on [`Stats`] being a commutative monoid: packed and closed parts may be merged in any order and
//! grouping, and what is read is their sum.

mod codec;
mod contacts;
mod spans;
mod tally;

use std::sync::Arc;

pub use codec::{put_stats, stats_of};
pub use spans::ClosedSpan;
use tally::{Contact, Span, Tally};

use super::{Contribution, Dimension, LastContact, Stats, Summary};
use crate::store::SummaryQuery;
use crate::{Interaction, Period, PeriodType, Result};

/// How many bytes a packed value may have before an adapter should [`spill`](Packed::spill) it: 16 KiB.
pub const MAX_PACKED_BYTES: usize = 16 * 1024;

/// The open periods and totals of one customer.
#[derive(Clone, Debug, Default)]
pub struct Packed {
    /// The newest day seen; the open week and month are those that contain it.
    newest: Option<i32>,
    /// Per day, week and month: the first day of the newest period that has closed rows.
    closed: [Option<i32>; 3],
    /// Whether totals of all time have been spilled.
    totals_spilled: bool,
    /// Every text and id that spans point to.
    arena: Vec<u8>,
    contacts: Vec<Contact>,
    /// Sorted by dimension and value.
    entries: Vec<Entry>,
}

/// The tallies of one offer, creative or channel.
#[derive(Clone, Debug)]
struct Entry {
    dimension: Dimension,
    value: Span,
    /// By the place of their type in [`PeriodType::ALL`].
    tallies: [Tally; 4],
}

/// The place of all time in [`PeriodType::ALL`].
const ALL: usize = 3;

impl Packed {
    /// Of a customer who has no interaction.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// `Corrupt`.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        codec::decode(bytes)
    }

    /// Appends the packed value.
    pub fn encode(&self, out: &mut Vec<u8>) {
        codec::encode(self, out);
    }

    /// Appends the packed value; where it is longer than `max_bytes`, it is spilled into `closed` before.
    pub fn encode_within(&mut self, max_bytes: usize, out: &mut Vec<u8>, closed: &mut Vec<Summary>) {
        let start = out.len();
        self.encode(out);
        if out.len() - start > max_bytes {
            out.truncate(start);
            self.spill(closed);
            self.encode(out);
        }
    }

    /// Folds an interaction; what it closes, or is late for, is added to `closed`, to be merged into closed rows
    /// in the same atomic unit.
    pub fn record(&mut self, interaction: &Interaction, closed: &mut Vec<Summary>) {
        self.fold(&Contribution::of(interaction), closed);
    }

    /// As [`record`](Self::record), of what an interaction adds.
    pub fn fold(&mut self, contribution: &Contribution<'_>, closed: &mut Vec<Summary>) {
        let timestamp = contribution.timestamp;
        let periods = PeriodType::ALL.map(|period_type| Period::containing(period_type, timestamp));
        self.advance(periods[0], closed);
        let mut tally = Tally::of(&contribution.counts(), 0);
        tally.last = self.add_contact(
            timestamp.timestamp_millis(),
            contribution.id,
            contribution.outcome,
        );
        for (dimension, value) in Dimension::ALL.into_iter().zip(contribution.values) {
            let at = self.entry(dimension, value);
            for (slot, period) in periods.into_iter().enumerate() {
                if self.is_open(period) {
                    self.merge(at, slot, tally);
                } else {
                    self.mark_closed(period);
                    let stats = contribution.stats();
                    closed.push(Summary::new(dimension, Arc::from(value), period, stats));
                }
            }
        }
    }

    /// Adds all that another packed value holds, which is of other interactions of the same customer; closed rows
    /// of the other stay what they are, and its marks are taken over.
    pub fn absorb(&mut self, mut other: Self, closed: &mut Vec<Summary>) {
        let mut summaries = Vec::with_capacity(other.held());
        let (marks, totals_spilled) = (other.closed, other.totals_spilled);
        other.spill(&mut summaries);
        // Days first: they open the weeks and months that the others lie in.
        summaries.sort_by_key(|summary| summary.period.period_type());
        for summary in &summaries {
            self.add(summary, closed);
        }
        for (mine, mark) in self.closed.iter_mut().zip(marks) {
            *mine = (*mine).max(mark);
        }
        self.totals_spilled |= totals_spilled;
    }

    /// Adds the summary of some other part of the customer's interactions, as [`record`](Self::record) does one.
    pub fn add(&mut self, summary: &Summary, closed: &mut Vec<Summary>) {
        let Summary {
            dimension,
            value,
            period,
            stats,
        } = summary;
        if period.period_type() == PeriodType::Daily {
            self.advance(*period, closed);
        }
        if !self.is_open(*period) {
            self.mark_closed(*period);
            closed.push(summary.clone());
            return;
        }
        let last = stats.last.as_ref().map_or(0, |last| {
            self.contact_of(
                last.timestamp.timestamp_millis(),
                last.id.as_str(),
                last.outcome.as_str(),
            )
        });
        let at = self.entry(*dimension, value);
        self.merge(at, slot_of(period.period_type()), Tally::of(stats, last));
    }

    /// Hands out everything that is held, open periods and totals included.
    pub fn spill(&mut self, closed: &mut Vec<Summary>) {
        let open = self.open_periods();
        for entry in &self.entries {
            let value: Arc<str> = Arc::from(self.text(entry.value));
            for (tally, period) in entry.tallies.iter().zip(open) {
                if let Some(period) = period
                    && !tally.is_empty()
                {
                    closed.push(Summary::new(
                        entry.dimension,
                        Arc::clone(&value),
                        period,
                        self.stats(tally),
                    ));
                }
            }
        }
        for period in open.into_iter().flatten() {
            self.mark_closed(period);
        }
        self.entries.clear();
        self.contacts.clear();
        self.arena.clear();
    }

    /// Which closed rows a query needs beside this value; none for the usual read of open periods.
    #[must_use]
    pub fn closed_spans(&self, query: &SummaryQuery) -> Vec<ClosedSpan> {
        spans::of(self.closed, self.totals_spilled, query)
    }

    /// Answers a query in the order of [`Summary::read_order`]; `closed` are the rows of
    /// [`closed_spans`](Self::closed_spans), of which those that do not match are passed over.
    #[must_use]
    pub fn answer(&self, query: &SummaryQuery, closed: Vec<Summary>) -> Vec<Summary> {
        let open = self.open_periods();
        let wanted = open.map(|period| period.filter(|&period| query.wants_period(period)));
        let mut values: Vec<Option<Arc<str>>> = vec![None; self.entries.len()];
        let mut lasts: Vec<Option<LastContact>> = vec![None; self.contacts.len()];
        let mut found = Vec::with_capacity(self.entries.len() * 4 + closed.len());
        for (slot, period) in wanted.into_iter().enumerate() {
            let Some(period) = period else { continue };
            for (entry, value) in self.entries.iter().zip(&mut values) {
                let tally = &entry.tallies[slot];
                if tally.is_empty() || !query.wants(entry.dimension, self.text(entry.value)) {
                    continue;
                }
                let value = value.get_or_insert_with(|| Arc::from(self.text(entry.value)));
                let last = tally.last.checked_sub(1).map(|at| {
                    lasts[at as usize]
                        .get_or_insert_with(|| self.last_contact(at))
                        .clone()
                });
                found.push(Summary::new(
                    entry.dimension,
                    Arc::clone(value),
                    period,
                    tally.stats(last),
                ));
            }
        }
        if closed.is_empty() {
            return found;
        }
        found.extend(closed.into_iter().filter(|summary| query.matches(summary)));
        // Equal groups become neighbours, and merging is commutative.
        found.sort_by(Summary::read_order);
        found.dedup_by(|next, first| {
            let same = next.read_order(first).is_eq();
            if same {
                first.stats.merge(&next.stats);
            }
            same
        });
        found
    }

    /// Whether nothing is held here or in closed rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.newest.is_none()
    }

    /// How many summaries are held here, those of closed rows not counted.
    #[must_use]
    pub fn held(&self) -> usize {
        let tallies = self.entries.iter().flat_map(|entry| &entry.tallies);
        tallies.filter(|tally| !tally.is_empty()).count()
    }

    fn open_periods(&self) -> [Option<Period>; 4] {
        PeriodType::ALL.map(|period_type| {
            if period_type == PeriodType::AllTime {
                return Some(Period::ALL_TIME);
            }
            self.newest
                .and_then(|day| Period::from_day(period_type, day).ok())
        })
    }

    /// Whether tallies of a period are held here. Only days open periods, so before the first none but all time is
    /// open.
    fn is_open(&self, period: Period) -> bool {
        match period.period_type() {
            PeriodType::AllTime => true,
            PeriodType::Daily => self.newest == Some(period.first_day()),
            period_type => self
                .newest
                .and_then(|day| Period::from_day(period_type, day).ok())
                .is_some_and(|open| open == period),
        }
    }

    fn mark_closed(&mut self, period: Period) {
        match self.closed.get_mut(slot_of(period.period_type())) {
            Some(mark) => *mark = (*mark).max(Some(period.first_day())),
            None => self.totals_spilled = true,
        }
    }

    /// Opens a day if it is newer than the open one, and hands out what closes with that.
    fn advance(&mut self, day: Period, closed: &mut Vec<Summary>) {
        let Some(before) = self.newest else {
            self.newest = Some(day.first_day());
            return;
        };
        if day.first_day() <= before {
            return;
        }
        let were_open = self.open_periods();
        self.newest = Some(day.first_day());
        let are_open = self.open_periods();
        for slot in 0..ALL {
            let (Some(period), true) = (were_open[slot], were_open[slot] != are_open[slot]) else {
                continue;
            };
            let mut any = false;
            for at in 0..self.entries.len() {
                let tally = std::mem::take(&mut self.entries[at].tallies[slot]);
                if tally.is_empty() {
                    continue;
                }
                any = true;
                let entry = &self.entries[at];
                let value = Arc::from(self.text(entry.value));
                closed.push(Summary::new(entry.dimension, value, period, self.stats(&tally)));
            }
            if any {
                self.mark_closed(period);
            }
        }
    }

    /// The place of an entry, which is made where there is none.
    fn entry(&mut self, dimension: Dimension, value: &str) -> usize {
        let found = self.entries.binary_search_by(|entry| {
            (entry.dimension.cmp(&dimension)).then_with(|| self.bytes(entry.value).cmp(value.as_bytes()))
        });
        found.unwrap_or_else(|at| {
            let value = self.keep(value.as_bytes());
            let tallies = [Tally::default(); 4];
            self.entries.insert(
                at,
                Entry {
                    dimension,
                    value,
                    tallies,
                },
            );
            at
        })
    }

    fn merge(&mut self, at: usize, slot: usize, tally: Tally) {
        let mine = self.entries[at].tallies[slot].last;
        let last = if self.is_newer(tally.last, mine) {
            tally.last
        } else {
            mine
        };
        self.entries[at].tallies[slot].add(&tally, last);
    }

    fn stats(&self, tally: &Tally) -> Stats {
        tally.stats(tally.last.checked_sub(1).map(|at| self.last_contact(at)))
    }
}

const fn slot_of(period_type: PeriodType) -> usize {
    period_type as usize
}

#[cfg(test)]
mod tests;

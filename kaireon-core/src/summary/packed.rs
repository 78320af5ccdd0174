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
mod spans;
mod tally;

use std::sync::Arc;

pub use codec::{put_stats, stats_of};
pub use spans::ClosedSpan;
use tally::{Contact, ContactId, Span, Tally};

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

    /// Whether a contact is the greater by (timestamp, id, outcome), as in [`Stats::merge`]; none is the least.
    fn is_newer(&self, last: u32, than: u32) -> bool {
        let contact = |last: u32| self.contacts.get(last.checked_sub(1)? as usize);
        match (contact(last), contact(than)) {
            (Some(one), Some(other)) => (one.timestamp_ms.cmp(&other.timestamp_ms))
                .then_with(|| self.contact_id(one).cmp(&self.contact_id(other)))
                .then_with(|| self.bytes(one.outcome).cmp(self.bytes(other.outcome)))
                .is_gt(),
            (one, _) => one.is_some(),
        }
    }

    fn contact_id(&self, contact: &Contact) -> ContactId<'_> {
        ContactId::new(contact.id_is_uuid, self.bytes(contact.id))
    }

    /// Keeps a contact; its number counts from 1.
    fn add_contact(&mut self, timestamp_ms: i64, id: &str, outcome: &str) -> u32 {
        let uuid = tally::parse_uuid(id);
        let id = match &uuid {
            Some(bytes) => self.keep(bytes),
            None => self.keep(id.as_bytes()),
        };
        let kept = self
            .contacts
            .last()
            .map(|contact| contact.outcome)
            .filter(|&kept| self.bytes(kept) == outcome.as_bytes());
        let outcome = kept.unwrap_or_else(|| self.keep(outcome.as_bytes()));
        self.contacts.push(Contact {
            timestamp_ms,
            id,
            id_is_uuid: uuid.is_some(),
            outcome,
        });
        u32::try_from(self.contacts.len()).expect("fewer than 2^32 contacts fit into memory")
    }

    /// The number of a contact that may be known already.
    fn contact_of(&mut self, timestamp_ms: i64, id: &str, outcome: &str) -> u32 {
        let uuid = tally::parse_uuid(id);
        let id_bytes = uuid.as_ref().map_or(id.as_bytes(), |bytes| &bytes[..]);
        let same = |contact: &Contact| {
            contact.timestamp_ms == timestamp_ms
                && contact.id_is_uuid == uuid.is_some()
                && self.bytes(contact.id) == id_bytes
                && self.bytes(contact.outcome) == outcome.as_bytes()
        };
        match self.contacts.iter().position(same) {
            Some(at) => u32::try_from(at + 1).expect("fewer than 2^32 contacts fit into memory"),
            None => self.add_contact(timestamp_ms, id, outcome),
        }
    }

    fn keep(&mut self, bytes: &[u8]) -> Span {
        let span = Span::after(self.arena.len(), bytes.len());
        self.arena.extend_from_slice(bytes);
        span
    }

    fn bytes(&self, span: Span) -> &[u8] {
        &self.arena[span.range()]
    }

    fn text(&self, span: Span) -> &str {
        std::str::from_utf8(self.bytes(span)).expect("texts are checked when they are kept")
    }

    fn stats(&self, tally: &Tally) -> Stats {
        tally.stats(tally.last.checked_sub(1).map(|at| self.last_contact(at)))
    }

    fn last_contact(&self, at: u32) -> LastContact {
        let contact = &self.contacts[at as usize];
        tally::last_contact(
            contact.timestamp_ms,
            self.contact_id(contact),
            self.text(contact.outcome),
        )
    }
}

const fn slot_of(period_type: PeriodType) -> usize {
    period_type as usize
}

#[cfg(test)]
mod tests;

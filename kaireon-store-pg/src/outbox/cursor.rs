//! How far a range has been read, without I/O.
//!
//! A cursor is two things: a position up to which everything that a snapshot of the server could see is settled or
//! known to be open, and that snapshot. What a later statement sees and the snapshot could not, at or before that
//! position, has come late; everything else that is new lies behind it. So a transaction that commits after others
//! with higher positions is found by its number, at the cost of one look-up, and neither it nor the versions that it
//! keeps from being removed are ever walked over.

use std::collections::{BTreeSet, HashMap, HashSet};

use kaireon_core::wire::corrupt;
use kaireon_core::{Error, Result};

/// The most open entries that are remembered for a range; with more, it is read from the first of them again.
const MAX_OPEN: usize = 100_000;

/// A snapshot of the server's transactions (`pg_snapshot`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Snapshot {
    text: String,
    /// The first number that had not been completed.
    xmax: u64,
    /// Below it, those that were running.
    running: Vec<u64>,
}

impl Snapshot {
    /// Reads the server's text: `xmin:xmax:running,…`.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let damaged = || corrupt("a snapshot is not in the server's form");
        let number = |part: &str| part.parse::<u64>().map_err(|_| damaged());
        let mut parts = text.split(':');
        let (Some(_), Some(xmax), Some(running), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(damaged());
        };
        let running = running.split(',').filter(|part| !part.is_empty());
        Ok(Self {
            text: text.to_owned(),
            xmax: number(xmax)?,
            running: running.map(number).collect::<Result<_>>()?,
        })
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }
}

/// How far a range has been read by the holder of a lease.
#[derive(Clone, Debug)]
pub(super) struct Cursor {
    /// The fencing number of the lease.
    pub(super) token: u64,
    /// Up to here, entries that `seen` can see are settled or in `open`.
    pub(super) low: i64,
    /// `None` where nothing was ever read: `low` is 0 then.
    pub(super) seen: Option<Snapshot>,
    /// Above the numbers of all transactions that were running at `seen`, where that is known.
    pub(super) until: Option<u64>,
    /// Entries up to `low` that may still be there.
    pub(super) open: BTreeSet<i64>,
    /// Whether the last fetch left something unread.
    pub(super) full: bool,
    /// What was saved last.
    pub(super) saved: i64,
}

impl Cursor {
    /// From the beginning.
    pub(super) const fn start(token: u64) -> Self {
        Self {
            token,
            low: 0,
            seen: None,
            until: None,
            open: BTreeSet::new(),
            full: false,
            saved: 0,
        }
    }

    /// From where another left off.
    pub(super) fn resume(token: u64, low: i64, seen: &str, until: &str) -> Result<Self> {
        let until = until
            .parse()
            .map_err(|_| corrupt("a transaction's number is no number"))?;
        Ok(Self {
            low,
            seen: Some(Snapshot::parse(seen)?),
            until: Some(until),
            saved: low,
            ..Self::start(token)
        })
    }

    /// Up to where everything that `seen` can see is settled.
    pub(super) fn settled(&self) -> i64 {
        self.open.first().map_or(self.low, |first| first - 1)
    }

    /// Bounds what is remembered: an entry that is there is open, so reading it again is never wrong.
    fn shorten(&mut self) {
        if self.open.len() > MAX_OPEN {
            self.low = self.settled();
            self.open.clear();
        }
    }
}

/// What is looked for of several ranges in one statement: a superset of what each of them needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Unseen {
    /// Transactions that ran at one of the snapshots.
    pub(super) running: Vec<String>,
    /// The lowest number from which a snapshot saw nothing.
    pub(super) from: Option<String>,
    /// Below this, where it is known for all of them.
    pub(super) until: Option<String>,
}

impl Unseen {
    /// What these cursors have not seen.
    pub(super) fn of<'a>(cursors: impl Iterator<Item = &'a Cursor>) -> Self {
        let (mut running, mut from, mut until) = (BTreeSet::new(), None::<u64>, Some(0_u64));
        for cursor in cursors {
            let Some(seen) = &cursor.seen else { continue };
            running.extend(seen.running.iter().copied());
            from = Some(from.map_or(seen.xmax, |from| from.min(seen.xmax)));
            until = until.zip(cursor.until).map(|(known, until)| known.max(until));
        }
        Self {
            running: running.iter().map(u64::to_string).collect(),
            from: from.map(|from| from.to_string()),
            until: from.and(until).map(|until| until.to_string()),
        }
    }
}

/// What is asked of one range.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) range: u16,
    pub(super) token: u64,
    /// Entries behind this are read on.
    pub(super) reads_from: i64,
    pub(super) quota: usize,
    /// Only entries behind this are shown.
    pub(super) after: i64,
    /// Whether its cursor moves. It does not where the caller skips what the cursor has not read.
    pub(super) tracked: bool,
}

/// A place in a lane, ordered as entries are.
pub(super) type Place = (i64, u16);

/// What the server answered to one round.
#[derive(Debug)]
pub(super) struct Answer<T> {
    pub(super) seen: Snapshot,
    /// Places that came late.
    pub(super) late: Vec<Place>,
    /// Those of the known and late places that are there, the lowest of them.
    pub(super) known: Vec<(Place, T)>,
    /// What was read on.
    pub(super) read: Vec<(Place, T)>,
}

/// What one round gives.
#[derive(Debug)]
pub(super) struct Gained<T> {
    /// In order.
    pub(super) entries: Vec<(Place, T)>,
    /// Ranges that may hold more.
    pub(super) more: Vec<u16>,
}

/// Moves the cursors by what a round answered, and returns up to `limit` entries of it.
///
/// `again` are the open places that were looked up, up to one more than the limit, which shows that some are left over.
/// What the caller has `in_flight` was read before and is not returned.
pub(super) fn advance<T>(
    cursors: &mut HashMap<u16, Cursor>,
    (asks, again): (&[Ask], &[Place]),
    in_flight: &HashSet<Place>,
    answer: Answer<T>,
    limit: usize,
) -> Gained<T> {
    let Answer {
        seen,
        late,
        known,
        read,
    } = answer;
    let mut looked_up: BTreeSet<Place> = again.iter().copied().collect();
    for &(position, range) in &late {
        looked_up.insert((position, range));
        if let Some(cursor) = cursors.get_mut(&range) {
            cursor.open.insert(position);
        }
    }
    // The statement looked up as many as are wanted at most, the lowest first.
    let cut = looked_up.len() > limit;
    let there: BTreeSet<Place> = known.iter().map(|(place, _)| *place).collect();
    for &(position, range) in looked_up.iter().take(limit) {
        if !there.contains(&(position, range))
            && let Some(cursor) = cursors.get_mut(&range)
        {
            cursor.open.remove(&position);
        }
    }
    let of = |range: u16| asks.iter().find(|ask| ask.range == range);
    let mut found: HashMap<u16, usize> = HashMap::new();
    let mut entries: Vec<(Place, T, bool)> = known
        .into_iter()
        .filter(|((position, range), _)| of(*range).is_some_and(|ask| *position > ask.after))
        .map(|(place, entry)| (place, entry, false))
        .collect();
    for (place, entry) in read {
        *found.entry(place.1).or_default() += 1;
        // Where known ones are left over, nothing behind them is taken yet.
        if !cut {
            entries.push((place, entry, true));
        }
    }
    entries.sort_unstable_by_key(|(place, ..)| *place);
    let mut more: BTreeSet<u16> = asks
        .iter()
        .filter(|ask| cut || found.get(&ask.range).is_some_and(|found| *found >= ask.quota))
        .map(|ask| ask.range)
        .collect();
    // Where a cursor was shortened, or is a new one, what is in hand is read again: it takes no room, but is open.
    let mut room = limit;
    let end = entries.iter().position(|(place, ..)| {
        let is_over = room == 0 && !in_flight.contains(place);
        room -= usize::from(room > 0 && !in_flight.contains(place));
        is_over
    });
    let end = end.unwrap_or(entries.len());
    more.extend(entries.iter().skip(end).map(|((_, range), ..)| *range));
    entries.truncate(end);
    for ask in asks.iter().filter(|ask| ask.tracked) {
        let Some(cursor) = cursors.get_mut(&ask.range) else {
            continue;
        };
        cursor.seen = Some(seen.clone());
        cursor.until = None;
        cursor.full = more.contains(&ask.range);
    }
    for ((position, range), _, is_new) in &entries {
        let tracked = of(*range).is_some_and(|ask| ask.tracked);
        if let Some(cursor) = cursors.get_mut(range)
            && *is_new
            && tracked
        {
            cursor.open.insert(*position);
            cursor.low = cursor.low.max(*position);
        }
    }
    for ask in asks {
        if let Some(cursor) = cursors.get_mut(&ask.range) {
            cursor.shorten();
        }
    }
    Gained {
        entries: entries
            .into_iter()
            .filter(|(place, ..)| !in_flight.contains(place))
            .map(|(place, entry, _)| (place, entry))
            .collect(),
        more: more.into_iter().collect(),
    }
}

/// How many entries each range is asked for: those that had more the last time share what is wanted, the others are
/// looked into.
pub(super) fn quotas(full: &[bool], wanted: usize) -> Vec<usize> {
    let busy = full.iter().filter(|full| **full).count();
    let look = wanted.div_ceil(full.len().max(1)).max(8).min(wanted);
    let share = wanted.div_ceil(busy.max(1)).max(1);
    full.iter().map(|full| if *full { share } else { look }).collect()
}

/// The error of a lease whose number is not one of ours.
pub(super) fn token_of(token: u64) -> Result<i64, Error> {
    i64::try_from(token).map_err(|_| kaireon_core::outbox::lease_lost(crate::BACKEND, "lease"))
}

#[cfg(test)]
mod tests;

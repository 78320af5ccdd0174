//! What waits in the lanes.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::ops::Bound;

use kaireon_core::outbox::{
    DeadLetter, DeadLetterId, DeadLetterQuery, FetchFrom, Lane, OutboxEntry, Position, RANGES, Settlement,
    TenantBacklog, Verdict,
};
use kaireon_core::store::{Generation, Page};
use kaireon_core::time::Timestamp;
use kaireon_core::wire::corrupt;
use kaireon_core::{CustomerId, Result, TenantId};

use super::generation;
use crate::client::{Pair, Space, View};
use crate::codec;
use crate::keys;
use crate::shared::{Shared, lane_index};

/// What waits in some ranges.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) entries: Vec<OutboxEntry>,
    /// What cannot be read, to be moved aside: so it stops nobody behind it.
    pub(crate) unreadable: Vec<Settlement>,
}

/// The oldest entries of some ranges whose customers were not erased since.
///
/// The ranges are merged by position while they are read: with a long backlog, reading `limit` entries of each of 64
/// ranges to keep `limit` of them made a drain quadratic.
pub(crate) fn fetch(shared: &Shared, from: Vec<FetchFrom>, limit: usize) -> Result<Waiting> {
    // What is committed later lies at higher positions.
    let (head, view) = shared.present()?;
    let next_position = head.position + 1;
    let mut present = Present::new(shared, &view);
    let mut unreadable = Vec::new();
    let mut sources = Vec::with_capacity(from.len());
    let mut oldest = BinaryHeap::with_capacity(from.len());
    for from in from {
        let FetchFrom {
            lease,
            after,
            in_flight,
        } = from;
        let lane = lane_index(lease.lane);
        let floor = shared.floors.lock()[lane][usize::from(lease.range)];
        let start = after.map_or(floor, |Position(after)| floor.max(after.saturating_add(1)));
        let key = |position| keys::entry(lease.lane, lease.range, Position(position)).to_vec();
        let (start, end) = (Bound::Included(key(start)), Bound::Included(key(u64::MAX)));
        let mut source = Source {
            lane: lease.lane,
            found: Box::new(view.range(Space::Outbox, start, end)),
            in_flight: in_flight.into_iter().collect(),
            first: None,
        };
        let next = source.next(&mut present, &mut unreadable)?;
        // What lies before it was not looked at.
        if after.is_none() {
            let mut floors = shared.floors.lock();
            let floor = &mut floors[lane][usize::from(lease.range)];
            *floor = (*floor).max(source.first.unwrap_or(next_position));
        }
        if let Some(entry) = next {
            oldest.push(Reverse(Next {
                entry,
                source: sources.len(),
            }));
            sources.push(source);
        }
    }
    let mut entries = Vec::new();
    while entries.len() < limit
        && let Some(Reverse(Next { entry, source })) = oldest.pop()
    {
        entries.push(entry);
        if let Some(entry) = sources[source].next(&mut present, &mut unreadable)? {
            oldest.push(Reverse(Next { entry, source }));
        }
    }
    Ok(Waiting { entries, unreadable })
}

/// What is left of a range.
struct Source {
    lane: Lane,
    found: Box<dyn Iterator<Item = Result<Pair>>>,
    /// What the caller has in hand.
    in_flight: HashSet<Position>,
    /// The position of the first entry that is there, shown or not.
    first: Option<u64>,
}

impl Source {
    /// The next entry that is to be shown.
    fn next(
        &mut self,
        present: &mut Present<'_>,
        unreadable: &mut Vec<Settlement>,
    ) -> Result<Option<OutboxEntry>> {
        for found in self.found.by_ref() {
            let (key, value) = found?;
            let place = keys::read_entry(&key).ok_or_else(|| corrupt("an outbox entry has no place"))?;
            self.first.get_or_insert(place.1.0);
            if self.in_flight.contains(&place.1) {
                continue;
            }
            let entry = match codec::entry_of(&value) {
                Ok(entry) => entry.at(self.lane, place),
                Err(error) => {
                    let (lane, (range, position)) = (self.lane, place);
                    tracing::error!(%lane, range, position = position.0, %error, "outbox entry cannot be read, moved to the dead letters");
                    unreadable.push(Settlement {
                        range,
                        position,
                        verdict: Verdict::Poisoned(error.to_string()),
                    });
                    continue;
                }
            };
            if present.shows(&entry)? {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }
}

/// The next entry of a source. Positions are drawn from one counter, so the oldest of several ranges is the lowest.
struct Next {
    entry: OutboxEntry,
    source: usize,
}

impl Next {
    fn order(&self) -> (Position, usize) {
        (self.entry.position, self.source)
    }
}

impl Ord for Next {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order().cmp(&other.order())
    }
}

impl PartialOrd for Next {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Next {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl Eq for Next {}

/// Which generations are present, looked up once per customer.
struct Present<'a> {
    shared: &'a Shared,
    view: &'a View,
    known: HashMap<(TenantId, CustomerId), Generation>,
}

impl<'a> Present<'a> {
    fn new(shared: &'a Shared, view: &'a View) -> Self {
        Self {
            shared,
            view,
            known: HashMap::new(),
        }
    }

    /// Whether an entry is of the present generation.
    fn shows(&mut self, entry: &OutboxEntry) -> Result<bool> {
        let Some(id) = entry.customer() else {
            return Ok(true);
        };
        let tenant = self.shared.tenant(&entry.tenant);
        if !tenant.settings.erasures {
            return Ok(true);
        }
        let known = (entry.tenant.clone(), id.clone());
        if let Some(present) = self.known.get(&known) {
            return Ok(entry.generation >= *present);
        }
        let present = generation(self.view, &entry.tenant, &tenant, id)?;
        self.known.insert(known, present);
        Ok(entry.generation >= present)
    }
}

/// A page of a lane's dead letters.
pub(crate) fn dead_letters(view: &View, query: DeadLetterQuery) -> Result<Page<DeadLetter, DeadLetterId>> {
    let DeadLetterQuery { lane, limit, cursor } = query;
    let first = Bound::Included(keys::entry(lane, 0, Position(0)).to_vec());
    let from = cursor.map_or(first, |id| {
        Bound::Excluded(keys::entry(lane, id.range, id.position).to_vec())
    });
    let until = Bound::Included(keys::entry(lane, u16::MAX, Position(u64::MAX)).to_vec());
    let mut page = Page {
        items: Vec::new(),
        next: None,
    };
    let mut last = None;
    for found in view.range(Space::Dead, from, until) {
        let (key, value) = found?;
        if page.items.len() == limit as usize {
            page.next = last;
            break;
        }
        let (range, position) =
            keys::read_entry(&key).ok_or_else(|| corrupt("a dead letter has no place"))?;
        match codec::dead_of(&value, lane, (range, position)) {
            Ok(letter) => page.items.push(letter),
            // It is counted; there is nothing of it to be shown.
            Err(error) => {
                tracing::warn!(%lane, range, position = position.0, %error, "dead letter cannot be read");
            }
        }
        last = Some(DeadLetterId { range, position });
    }
    Ok(page)
}

/// What a tenant's records have left in a lane.
pub(crate) fn backlog(shared: &Shared, lane: Lane, tenant: &TenantId) -> Result<TenantBacklog> {
    let floors = shared.floors.lock()[lane_index(lane)];
    let view = shared.view()?;
    let mut backlog = TenantBacklog::default();
    for range in 0..RANGES {
        let until = Bound::Included(keys::entry(lane, range, Position(u64::MAX)).to_vec());
        let from = keys::entry(lane, range, Position(floors[usize::from(range)])).to_vec();
        for found in view.range(Space::Outbox, Bound::Included(from), until.clone()) {
            let (key, value) = found?;
            let place = keys::read_entry(&key).ok_or_else(|| corrupt("an outbox entry has no place"))?;
            let entry = codec::entry_of(&value)?.at(lane, place);
            if entry.tenant == *tenant {
                backlog.waiting += 1;
                let oldest = backlog.oldest.get_or_insert(entry.enqueued_at);
                *oldest = (*oldest).min(entry.enqueued_at);
            }
        }
        let from = Bound::Included(keys::entry(lane, range, Position(0)).to_vec());
        for found in view.range(Space::Dead, from, until) {
            let (key, value) = found?;
            let place = keys::read_entry(&key).ok_or_else(|| corrupt("a dead letter has no place"))?;
            let letter = codec::dead_of(&value, lane, place)?;
            backlog.dead_letters += u64::from(letter.entry.tenant == *tenant);
        }
    }
    Ok(backlog)
}

/// When the oldest entry of a lane was written.
pub(crate) fn oldest(shared: &Shared, view: &View, lane: Lane) -> Result<Option<Timestamp>> {
    let floors = shared.floors.lock()[lane_index(lane)];
    let mut oldest = None;
    for range in 0..RANGES {
        let from = keys::entry(lane, range, Position(floors[usize::from(range)])).to_vec();
        let until = keys::entry(lane, range, Position(u64::MAX)).to_vec();
        let found = view
            .range(Space::Outbox, Bound::Included(from), Bound::Included(until))
            .next();
        if let Some((_, value)) = found.transpose()? {
            // What cannot be read is moved aside by whoever comes to it.
            let Ok(entry) = codec::entry_of(&value) else {
                continue;
            };
            let written = entry.enqueued_at;
            oldest = Some(oldest.map_or(written, |oldest: Timestamp| oldest.min(written)));
        }
    }
    Ok(oldest)
}

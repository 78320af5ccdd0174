//! What waits in the lanes.

use std::collections::HashMap;
use std::ops::Bound;

use kaireon_core::outbox::{
    DeadLetter, DeadLetterId, DeadLetterQuery, FetchFrom, Lane, OutboxEntry, Position, RANGES,
};
use kaireon_core::store::{Generation, Page};
use kaireon_core::time::Timestamp;
use kaireon_core::wire::corrupt;
use kaireon_core::{CustomerId, Result, TenantId};

use super::customer;
use crate::client::{Space, View};
use crate::codec;
use crate::keys;
use crate::shared::{Shared, lane_index};

/// The oldest entries of some ranges whose customers were not erased since.
pub(crate) fn fetch(shared: &Shared, from: Vec<FetchFrom>, limit: usize) -> Result<Vec<OutboxEntry>> {
    // Before the view: what is committed later lies at higher positions.
    let next_position = shared.head.lock().position + 1;
    let view = shared.engine()?.view();
    let mut present = Present::new(shared, &view);
    let mut entries = Vec::new();
    for FetchFrom { lease, after } in from {
        let lane = lane_index(lease.lane);
        let floor = shared.floors.lock()[lane][usize::from(lease.range)];
        let start = after.map_or(floor, |Position(after)| floor.max(after.saturating_add(1)));
        let key = |position| keys::entry(lease.lane, lease.range, Position(position)).to_vec();
        let (start, end) = (Bound::Included(key(start)), Bound::Included(key(u64::MAX)));
        let mut first = None;
        let mut taken = 0;
        for found in view.range(Space::Outbox, start, end) {
            let (key, value) = found?;
            let place = keys::read_entry(&key).ok_or_else(|| corrupt("an outbox entry has no place"))?;
            first.get_or_insert(place.1.0);
            let entry = codec::entry_of(&value)?.at(lease.lane, place);
            if present.shows(&entry)? {
                entries.push(entry);
                taken += 1;
            }
            if taken == limit {
                break;
            }
        }
        if after.is_none() {
            let mut floors = shared.floors.lock();
            let floor = &mut floors[lane][usize::from(lease.range)];
            *floor = (*floor).max(first.unwrap_or(next_position));
        }
    }
    // Positions are drawn from one counter, so the oldest of several ranges are the lowest.
    entries.sort_by_key(|entry| entry.position);
    entries.truncate(limit);
    Ok(entries)
}

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
        let present = match customer(self.view, &keys::customer(&entry.tenant, id))? {
            Some((generation, _)) => generation,
            None => {
                let tombstone = keys::by_digest(&entry.tenant, &tenant.key.customer(id));
                let tombstone = self.view.get(Space::Tombstones, &tombstone)?;
                tombstone
                    .map(|value| codec::generation_of(&value))
                    .transpose()?
                    .unwrap_or_default()
            }
        };
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
        page.items.push(codec::dead_of(&value, lane, (range, position))?);
        last = Some(DeadLetterId { range, position });
    }
    Ok(page)
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
            let written = codec::entry_of(&value)?.enqueued_at;
            oldest = Some(oldest.map_or(written, |oldest: Timestamp| oldest.min(written)));
        }
    }
    Ok(oldest)
}

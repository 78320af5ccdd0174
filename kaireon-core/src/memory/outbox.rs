//! The outbox of an in-memory store.

use std::collections::{BTreeMap, HashSet};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::place::{BACKEND, Handle, named};
use crate::outbox::{
    DeadLetter, DeadLetterId, DeadLetterQuery, FetchFrom, HostEvent, Lane, LaneSet, LaneStatus, Lease,
    LeaseRequest, Leased, Outbox, OutboxEntry, OutboxPayload, Position, Settlement, TenantBacklog, Verdict,
    lease_lost, range_of,
};
use crate::store::{Generation, Page};
use crate::{Result, TenantId};

/// The outbox of a [`MemoryStore`](super::MemoryStore), under the same lock.
///
/// Leases expire by the store's clock. One that has expired is no longer held, also when nobody has taken it.
#[derive(Clone, Debug)]
pub struct MemoryOutbox(Arc<Handle>);

impl MemoryOutbox {
    pub(super) fn new(handle: Arc<Handle>) -> Self {
        Self(handle)
    }
}

#[async_trait]
impl Outbox for MemoryOutbox {
    async fn lanes(&self) -> Result<LaneSet> {
        Ok(self.0.enter("lanes")?.lanes)
    }

    async fn set_lanes(&self, lanes: LaneSet) -> Result<()> {
        let mut state = self.0.enter("set_lanes")?;
        state.changes();
        state.lanes = lanes;
        Ok(())
    }

    async fn change_lanes(&self, on: LaneSet, off: LaneSet) -> Result<LaneSet> {
        let mut state = self.0.enter("change_lanes")?;
        state.changes();
        state.lanes = state.lanes.changed(on, off);
        Ok(state.lanes)
    }

    async fn append(&self, events: Vec<HostEvent>) -> Result<()> {
        let now = self.0.now();
        let mut state = self.0.enter("append")?;
        state.changes();
        for event in events {
            let generation = event.customer.as_ref().map_or(Generation::ZERO, |customer| {
                let customer = state.customer(&event.tenant, customer);
                customer.map_or(Generation::ZERO, |customer| customer.generation)
            });
            let range = range_of(&event.tenant, event.partition());
            let payload = OutboxPayload::Host(event);
            state.outbox.push(Lane::Publish, range, generation, now, payload);
        }
        Ok(())
    }

    async fn lease(&self, request: LeaseRequest) -> Result<Leased> {
        request
            .destination
            .check()
            .map_err(|error| named("lease", error))?;
        let now = self.0.now();
        Ok(self.0.enter("lease")?.outbox.lease(request, now))
    }

    async fn release(&self, leases: Vec<Lease>) -> Result<()> {
        let mut state = self.0.enter("release")?;
        for lease in &leases {
            state.outbox.release(lease);
        }
        Ok(())
    }

    async fn fetch(&self, from: Vec<FetchFrom>, limit: u32) -> Result<Vec<OutboxEntry>> {
        let now = self.0.now();
        let mut state = self.0.enter("fetch")?;
        for FetchFrom { lease, .. } in &from {
            state.outbox.check(lease, "fetch", now)?;
            if state.outbox.lane(lease.lane).is_recalled(lease.range, now) {
                return Err(lease_lost(BACKEND, "fetch"));
            }
        }
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        // Positions are drawn from one counter, so the oldest of several ranges are the lowest.
        let mut oldest: BTreeMap<Position, OutboxEntry> = BTreeMap::new();
        for from in from {
            let FetchFrom {
                lease,
                after,
                in_flight,
            } = from;
            let in_flight: HashSet<Position> = in_flight.into_iter().collect();
            let start = after.map_or(Bound::Included((lease.range, Position(0))), |after| {
                Bound::Excluded((lease.range, after))
            });
            let of_range = (start, Bound::Included((lease.range, Position(u64::MAX))));
            let waiting = &state.outbox.lane(lease.lane).waiting;
            let entries = waiting.range(of_range).map(|(_, entry)| entry);
            let entries = entries.filter(|entry| !in_flight.contains(&entry.position));
            oldest.extend(entries.take(limit).map(|entry| (entry.position, entry.clone())));
        }
        Ok(oldest.into_values().take(limit).collect())
    }

    async fn settle(&self, leases: &[Lease], settlements: Vec<Settlement>) -> Result<()> {
        let now = self.0.now();
        let mut state = self.0.enter("settle")?;
        // All are checked before any is settled: all or none.
        let mut covered = Vec::with_capacity(settlements.len());
        for settlement in settlements {
            let lease = leases.iter().find(|lease| lease.range == settlement.range);
            let lease = lease.ok_or_else(|| lease_lost(BACKEND, "settle"))?;
            state.outbox.check(lease, "settle", now)?;
            covered.push((lease.lane, settlement));
        }
        state.changes();
        for (lane, settlement) in covered {
            let Settlement {
                range,
                position,
                verdict,
            } = settlement;
            let lane = state.outbox.lane(lane);
            let Some(entry) = lane.waiting.remove(&(range, position)) else {
                continue;
            };
            if let Verdict::Poisoned(reason) = verdict {
                let letter = DeadLetter::new(entry, reason, now);
                lane.dead.insert((range, position), letter);
            }
        }
        Ok(())
    }

    async fn dead_letters(&self, query: DeadLetterQuery) -> Result<Page<DeadLetter, DeadLetterId>> {
        query.check().map_err(|error| named("dead_letters", error))?;
        let DeadLetterQuery { lane, limit, cursor } = query;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut state = self.0.enter("dead_letters")?;
        let after = cursor.map_or(Bound::Unbounded, |cursor| {
            Bound::Excluded((cursor.range, cursor.position))
        });
        let dead = &state.outbox.lane(lane).dead;
        let mut behind = dead.range((after, Bound::Unbounded));
        let letters = behind.by_ref().take(limit);
        let items: Vec<DeadLetter> = letters.map(|(_, letter)| letter.clone()).collect();
        let next = match (items.last(), behind.next()) {
            (Some(last), Some(_)) => Some(DeadLetterId {
                range: last.entry.range,
                position: last.entry.position,
            }),
            _ => None,
        };
        Ok(Page { items, next })
    }

    async fn replay(&self, lane: Lane, ids: Vec<DeadLetterId>) -> Result<u64> {
        let now = self.0.now();
        let mut state = self.0.enter("replay")?;
        state.changes();
        let mut found = 0;
        for id in ids {
            found += u64::from(state.outbox.replay(lane, id, now));
        }
        Ok(found)
    }

    async fn status(&self, lane: Lane) -> Result<LaneStatus> {
        let now = self.0.now();
        Ok(self.0.enter("status")?.outbox.lane(lane).status(now))
    }

    async fn backlog(&self, lane: Lane, tenant: &TenantId) -> Result<TenantBacklog> {
        Ok(self.0.enter("backlog")?.outbox.lane(lane).backlog(tenant))
    }

    async fn wait(&self, lane: Lane, seen: u64, at_most: Duration) -> Result<u64> {
        let mut written = self.0.enter("wait")?.outbox.lane(lane).watch();
        // An elapsed wait is an answer too: nothing was written.
        let _ = tokio::time::timeout(at_most, written.wait_for(|&written| written != seen)).await;
        // Who was woken by a disconnect is told so.
        drop(self.0.enter("wait")?);
        let count = *written.borrow();
        Ok(count)
    }
}

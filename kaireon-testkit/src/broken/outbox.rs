//! The outbox of the plain store.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kaireon_core::outbox::{
    Admission, DeadLetter, DeadLetterId, DeadLetterQuery, FetchFrom, HostEvent, Lane, LaneSet, LaneStatus,
    Lease, LeaseRequest, Leased, OutboxEntry, OutboxPayload, Position, Settlement, TenantBacklog, Verdict,
    lease_lost,
};
use kaireon_core::store::{Generation, Page};
use kaireon_core::time::Timestamp;
use kaireon_core::{Error, ErrorKind, Outbox, Result, TenantId};

use super::disk::{Held, LaneData, digest};
use super::flaw::Flaw;
use super::handle::Handle;
use super::leases::{Terms, later};
use super::place::Place;

/// A handle on the outbox of a place.
#[derive(Debug)]
pub(super) struct PlainOutbox {
    place: Arc<Place>,
    handle: Arc<Handle>,
}

impl PlainOutbox {
    pub(super) fn new(place: Arc<Place>, handle: Arc<Handle>) -> Self {
        Self { place, handle }
    }

    fn holds(&self, data: &LaneData, lease: &Lease, now: Timestamp) -> bool {
        let held = data.leases.get(&lease.range);
        self.place.has(Flaw::IgnoresLeaseTokens)
            || held.is_some_and(|held| held.token == lease.token && held.expires > now)
    }
}

#[async_trait]
impl Outbox for PlainOutbox {
    async fn lanes(&self) -> Result<LaneSet> {
        Ok(self.place.disk(&self.handle, "lanes")?.lanes)
    }

    async fn set_lanes(&self, lanes: LaneSet) -> Result<()> {
        self.place.disk_mut(&self.handle, "set_lanes")?.lanes = lanes;
        Ok(())
    }

    async fn change_lanes(&self, on: LaneSet, off: LaneSet) -> Result<LaneSet> {
        if self.place.has(Flaw::ReadsLanesBeforeItChangesThem) {
            let present = self.lanes().await?;
            tokio::task::yield_now().await;
            self.set_lanes(present.changed(on, off)).await?;
            return Ok(present.changed(on, off));
        }
        let mut disk = self.place.disk_mut(&self.handle, "change_lanes")?;
        disk.lanes = disk.lanes.changed(on, off);
        Ok(disk.lanes)
    }

    async fn append(&self, events: Vec<HostEvent>) -> Result<()> {
        let mut disk = self.place.disk_mut(&self.handle, "append")?;
        let now = self.place.now();
        if !disk.lanes.contains(Lane::Publish) && self.place.has(Flaw::HostEventsNeedTheLane) {
            return Ok(());
        }
        for event in events {
            let digest = event
                .customer
                .as_ref()
                .map(|customer| digest(&self.place.key, &event.tenant, customer));
            let generation = digest
                .map(|digest| disk.generation(&event.tenant, &digest))
                .unwrap_or_default();
            disk.enqueue(Lane::Publish, generation, now, OutboxPayload::Host(event));
        }
        drop(disk);
        self.place.wake();
        Ok(())
    }

    async fn lease(&self, mut request: LeaseRequest) -> Result<Leased> {
        if self.place.has(Flaw::LeasesNeverExpire) {
            request.ttl = Duration::from_secs(1_000_000);
        }
        let mut disk = self.place.disk_mut(&self.handle, "lease")?;
        let now = self.place.now();
        request.destination.check()?;
        let data = disk.outbox.entry(request.lane).or_default();
        data.askers.retain(|_, until| *until > now);
        let has_relays = !data.askers.is_empty();
        match request
            .destination
            .admission(data.destination.as_ref(), has_relays, now)
        {
            Admission::Refused if !self.place.has(Flaw::LaneLeadsEverywhere) => {
                let in_force = data.destination.as_ref().map(|in_force| in_force.name.clone());
                let relays = u16::try_from(data.askers.len()).unwrap_or(u16::MAX);
                return Ok(Leased::elsewhere(in_force.unwrap_or_default(), relays));
            }
            Admission::TakesOver if has_relays && self.place.has(Flaw::RelaysKeepTheirLane) => {
                let in_force = data.destination.as_ref().map(|in_force| in_force.name.clone());
                let relays = u16::try_from(data.askers.len()).unwrap_or(u16::MAX);
                return Ok(Leased::elsewhere(in_force.unwrap_or_default(), relays));
            }
            Admission::TakesOver => {
                data.leases.clear();
                data.askers.clear();
            }
            Admission::Joins | Admission::Refused => {}
        }
        data.destination = Some(request.destination.clone().granted(now, request.ttl));
        let terms = Terms {
            shared: self.place.has(Flaw::LeasesAreShared),
            renumbers: self.place.has(Flaw::RenumbersWhatExpired),
            extends: !self.place.has(Flaw::RenewalsDoNotExtend),
            keeps_all: self.place.has(Flaw::KeepsRangesBeyondTheBound),
        };
        let leases = data.lease(&request, now, terms);
        data.askers.insert(request.owner.clone(), later(now, request.ttl));
        let owners = u16::try_from(data.askers.len()).unwrap_or(u16::MAX);
        let recalled = leases.iter().map(|lease| lease.range);
        let recalled = recalled.filter(|range| data.is_recalled(*range, now)).collect();
        Ok(Leased::new(leases, owners).recalling(recalled))
    }

    async fn release(&self, leases: Vec<Lease>) -> Result<()> {
        let mut disk = self.place.disk_mut(&self.handle, "release")?;
        for lease in leases {
            let data = disk.outbox.entry(lease.lane).or_default();
            let holds = |held: &Held| held.token == lease.token || self.place.has(Flaw::ReleasesWhatWasLost);
            if data.leases.get(&lease.range).is_some_and(holds)
                && let Some(Held { owner, .. }) = data.leases.remove(&lease.range)
                && data.leases.values().all(|held| held.owner != owner)
                && !self.place.has(Flaw::CountsWhoHasLeft)
            {
                data.askers.remove(&owner);
            }
        }
        Ok(())
    }

    async fn fetch(&self, from: Vec<FetchFrom>, limit: u32) -> Result<Vec<OutboxEntry>> {
        let disk = self.place.disk(&self.handle, "fetch")?;
        let now = self.place.now();
        let mut found = Vec::new();
        for from in from {
            let FetchFrom {
                lease,
                after,
                in_flight,
            } = from;
            let after = after.filter(|_| !self.place.has(Flaw::BeginsEachPageAnew));
            let Some(data) = disk
                .outbox
                .get(&lease.lane)
                .filter(|data| self.holds(data, &lease, now) && !data.is_recalled(lease.range, now))
            else {
                return Err(lease_lost("plain", "fetch"));
            };
            let range = (lease.range, Position(0))..=(lease.range, Position(u64::MAX));
            let entries = data.entries.range(range).map(|(_, entry)| entry);
            let entries = entries.filter(|entry| after.is_none_or(|after| entry.position > after));
            let mut waiting: Vec<_> = entries
                .filter(|entry| match self.place.has(Flaw::ReadsOnBehindWhatIsInFlight) {
                    true => in_flight.iter().all(|place| entry.position > *place),
                    false => !in_flight.contains(&entry.position),
                })
                .cloned()
                .collect();
            if self.place.has(Flaw::OutboxReordersACustomer) {
                waiting.reverse();
            }
            found.extend(waiting);
        }
        found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(found)
    }

    async fn settle(&self, leases: &[Lease], settlements: Vec<Settlement>) -> Result<()> {
        let mut disk = self.place.disk_mut(&self.handle, "settle")?;
        let now = self.place.now();
        let mut lanes = BTreeSet::new();
        for lease in leases {
            lanes.insert(lease.lane);
        }
        let Some(&lane) = lanes.first() else {
            let error = lease_lost("plain", "settle");
            return if settlements.is_empty() {
                Ok(())
            } else {
                Err(error)
            };
        };
        let data = disk.outbox.entry(lane).or_default();
        for settlement in &settlements {
            let covers = |lease: &Lease| lease.range == settlement.range && self.holds(data, lease, now);
            let unasked = self.place.has(Flaw::SettlesWithoutLease)
                || (self.place.has(Flaw::PoisonsWithoutLease) && settlement.verdict != Verdict::Delivered);
            if !leases.iter().any(covers) && !unasked {
                return Err(lease_lost("plain", "settle"));
            }
        }
        for Settlement {
            range,
            position,
            verdict,
        } in settlements
        {
            let Some(entry) = data.entries.remove(&(range, position)) else {
                if self.place.has(Flaw::SettlingAgainFails) {
                    return Err(lease_lost("plain", "settle"));
                }
                continue;
            };
            match verdict {
                Verdict::Poisoned(reason) if !self.place.has(Flaw::DropsPoisonedEntries) => {
                    data.dead
                        .insert((range, position), DeadLetter::new(entry, reason, now));
                }
                Verdict::Poisoned(_) | Verdict::Delivered => {}
            }
        }
        Ok(())
    }

    async fn dead_letters(&self, query: DeadLetterQuery) -> Result<Page<DeadLetter, DeadLetterId>> {
        query.check()?;
        let DeadLetterQuery { lane, limit, cursor } = query;
        let disk = self.place.disk(&self.handle, "dead_letters")?;
        let dead = disk.outbox.get(&lane).into_iter().flat_map(|data| &data.dead);
        let behind = |at: &(u16, Position)| cursor.is_none_or(|cursor| *at > (cursor.range, cursor.position));
        let mut found: Vec<_> = dead.filter(|(at, _)| behind(at)).collect();
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(|(at, _)| DeadLetterId {
            range: at.0,
            position: at.1,
        });
        if self.place.has(Flaw::DeadLettersNewestFirst) {
            found.reverse();
        }
        Ok(Page {
            items: found.into_iter().map(|(_, letter)| letter.clone()).collect(),
            next,
        })
    }

    async fn replay(&self, lane: Lane, ids: Vec<DeadLetterId>) -> Result<u64> {
        let mut disk = self.place.disk_mut(&self.handle, "replay")?;
        let now = self.place.now();
        let mut found = 0;
        for DeadLetterId { range, position } in ids {
            let data = disk.outbox.entry(lane).or_default();
            let letter = match self.place.has(Flaw::ReplayKeepsTheLetter) {
                true => data.dead.get(&(range, position)).cloned(),
                false => data.dead.remove(&(range, position)),
            };
            if let Some(DeadLetter { entry, .. }) = letter {
                let generation = match self.place.has(Flaw::ReplayForgetsTheGeneration) {
                    true => Generation::ZERO,
                    false => entry.generation,
                };
                disk.enqueue(lane, generation, now, entry.payload);
                found += 1;
            }
        }
        drop(disk);
        self.place.wake();
        Ok(found)
    }

    async fn status(&self, lane: Lane) -> Result<LaneStatus> {
        let disk = self.place.disk(&self.handle, "status")?;
        let Some(data) = disk.outbox.get(&lane) else {
            return Ok(LaneStatus::default());
        };
        let since = data.entries.values().map(|entry| entry.enqueued_at);
        let oldest = match self.place.has(Flaw::StatusTellsTheNewest) {
            true => since.max(),
            false => since.min(),
        };
        let now = self.place.now();
        let relays = data.askers.values().filter(|until| **until > now).count();
        let in_force = data.destination.as_ref().map(|in_force| in_force.name.clone());
        let status = LaneStatus::new(data.entries.len() as u64, oldest, data.dead.len() as u64);
        Ok(status.read_by(u16::try_from(relays).unwrap_or(u16::MAX), in_force))
    }

    async fn backlog(&self, lane: Lane, tenant: &TenantId) -> Result<TenantBacklog> {
        let disk = self.place.disk(&self.handle, "backlog")?;
        let Some(data) = disk.outbox.get(&lane) else {
            return Ok(TenantBacklog::default());
        };
        let all = self.place.has(Flaw::BacklogOfEverybody);
        let is_of = |entry: &OutboxEntry| all || entry.tenant == *tenant;
        let waiting: Vec<_> = data.entries.values().filter(|entry| is_of(entry)).collect();
        let oldest = waiting.iter().map(|entry| entry.enqueued_at).min();
        let dead = data.dead.values().filter(|letter| is_of(&letter.entry)).count();
        Ok(TenantBacklog::new(waiting.len() as u64, oldest, dead as u64))
    }

    async fn wait(&self, lane: Lane, seen: u64, at_most: Duration) -> Result<u64> {
        let mut changes = self.place.written.subscribe();
        let written = || -> Result<u64> {
            let disk = self.place.disk(&self.handle, "wait")?;
            Ok(disk.outbox.get(&lane).map_or(0, |data| data.written))
        };
        let until = tokio::time::Instant::now() + at_most;
        loop {
            let now = written()?;
            if now > seen {
                return Ok(now);
            }
            if tokio::time::timeout_at(until, changes.changed()).await.is_err() {
                return match self.place.has(Flaw::QuietWaitsFail) {
                    true => Err(Error::new(ErrorKind::Timeout, "nothing was written")),
                    false => Ok(now),
                };
            }
        }
    }
}

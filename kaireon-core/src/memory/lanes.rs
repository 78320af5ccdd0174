//! The lanes of an in-memory outbox: what waits, what was moved aside, and who may touch which range.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use tokio::sync::watch;

use super::place::BACKEND;
use crate::outbox::{
    Admission, DeadLetter, DeadLetterId, Lane, LaneDestination, LaneStatus, Lease, LeaseRequest, Leased,
    OutboxEntry, OutboxPayload, Position, RANGES, TenantBacklog, lease_lost,
};
use crate::store::Generation;
use crate::time::Timestamp;
use crate::{Result, TenantId};

/// A range and a position: where an entry lies in its lane.
pub(super) type Place = (u16, Position);

/// Every lane, and the counters they share.
pub(super) struct OutboxState {
    lanes: BTreeMap<Lane, LaneState>,
    last_position: u64,
    last_token: u64,
    /// Grows when leases change hands; who waits for a range to be given back watches it.
    pub(super) handed: watch::Sender<u64>,
}

/// One lane.
#[derive(Default)]
pub(super) struct LaneState {
    pub(super) waiting: BTreeMap<Place, OutboxEntry>,
    pub(super) dead: BTreeMap<Place, DeadLetter>,
    leases: BTreeMap<u16, Held>,
    /// Until when each owner counts, by its last request.
    owners: BTreeMap<String, Timestamp>,
    destination: Option<LaneDestination>,
    /// Ranges that holders of these numbers are to give back: entries were erased that they may have in hand.
    recalls: BTreeMap<u16, u64>,
    /// Grows when an entry is written; whoever waits watches it.
    written: watch::Sender<u64>,
}

struct Held {
    owner: String,
    token: u64,
    expires: Timestamp,
}

impl Default for OutboxState {
    fn default() -> Self {
        Self {
            lanes: Lane::ALL
                .into_iter()
                .map(|lane| (lane, LaneState::default()))
                .collect(),
            last_position: 0,
            last_token: 0,
            handed: watch::Sender::default(),
        }
    }
}

impl OutboxState {
    /// One lane.
    pub(super) fn lane(&mut self, lane: Lane) -> &mut LaneState {
        self.lanes.entry(lane).or_default()
    }

    /// Writes an entry behind all others and wakes who waits for it.
    pub(super) fn push(
        &mut self,
        lane: Lane,
        range: u16,
        generation: Generation,
        now: Timestamp,
        payload: OutboxPayload,
    ) {
        self.last_position += 1;
        let place = (range, Position(self.last_position));
        let entry = OutboxEntry::new(lane, place, generation, now, payload);
        let lane = self.lane(lane);
        lane.waiting.insert(place, entry);
        lane.written.send_modify(|written| *written += 1);
    }

    /// Removes entries and dead letters from every lane; returns how many.
    pub(super) fn remove(&mut self, unwanted: impl Fn(&OutboxEntry) -> bool) -> u64 {
        let mut removed = 0;
        for lane in self.lanes.values_mut() {
            let before = lane.waiting.len() + lane.dead.len();
            lane.waiting.retain(|_, entry| !unwanted(entry));
            lane.dead.retain(|_, letter| !unwanted(&letter.entry));
            removed += before - lane.waiting.len() - lane.dead.len();
        }
        removed as u64
    }

    /// Wakes everybody who waits on any lane.
    pub(super) fn wake_all(&self) {
        for lane in self.lanes.values() {
            lane.written.send_modify(|written| *written += 1);
        }
    }

    /// Renews what the owner holds, gives back what is beyond the bound, takes what is free up to it. What has expired
    /// is its owner's to renew until another takes it.
    pub(super) fn lease(&mut self, request: LeaseRequest, now: Timestamp) -> Leased {
        let LeaseRequest {
            lane: name,
            owner,
            ttl,
            max_ranges,
            destination,
        } = request;
        let lasts = ttl;
        let ttl = chrono::TimeDelta::from_std(ttl).unwrap_or(chrono::TimeDelta::MAX);
        let expires = now.checked_add_signed(ttl).unwrap_or(Timestamp::MAX_UTC);
        let mut token = self.last_token;
        let lane = self.lane(name);
        lane.owners.retain(|_, until| now < *until);
        match destination.admission(lane.destination.as_ref(), !lane.owners.is_empty(), now) {
            Admission::Joins => {}
            Admission::TakesOver => {
                lane.leases.clear();
                lane.owners.clear();
            }
            Admission::Refused => {
                let in_force = lane.destination.as_ref().map(|in_force| in_force.name.clone());
                return Leased::elsewhere(in_force.unwrap_or_default(), lane.relays(now));
            }
        }
        lane.destination = Some(destination.granted(now, lasts));
        lane.owners.insert(owner.clone(), expires);

        let mut mine = 0;
        lane.leases.retain(|_, held| {
            if held.owner != owner {
                return true;
            }
            mine += 1;
            held.expires = expires;
            mine <= max_ranges
        });
        let mut mine = mine.min(max_ranges);
        for range in 0..RANGES {
            let is_free =
                (lane.leases.get(&range)).is_none_or(|held| held.owner != owner && held.expires <= now);
            if mine < max_ranges && is_free {
                mine += 1;
                token += 1;
                let owner = owner.clone();
                lane.leases.insert(
                    range,
                    Held {
                        owner,
                        token,
                        expires,
                    },
                );
            }
        }
        let leases = lane.leases_of(name, &owner);
        let owners = lane.relays(now);
        let mut recalled: Vec<u16> = lane.recalls.keys().copied().collect();
        recalled.retain(|range| {
            lane.is_recalled(*range, now) && leases.iter().any(|lease| lease.range == *range)
        });
        self.last_token = token;
        self.handed.send_modify(|handed| *handed += 1);
        Leased::new(leases, owners).recalling(recalled)
    }

    /// Gives a lease back, if it is still held.
    pub(super) fn release(&mut self, lease: &Lease) {
        self.handed.send_modify(|handed| *handed += 1);
        let LaneState { leases, owners, .. } = self.lane(lease.lane);
        if let Entry::Occupied(held) = leases.entry(lease.range)
            && held.get().token == lease.token
        {
            let Held { owner, .. } = held.remove();
            if leases.values().all(|held| held.owner != owner) {
                owners.remove(&owner);
            }
        }
    }

    /// Checks that a lease is still held.
    ///
    /// # Errors
    /// `Fenced` when it expired, was given back or was taken by another.
    pub(super) fn check(&mut self, lease: &Lease, operation: &'static str, now: Timestamp) -> Result<()> {
        let held = self.lane(lease.lane).leases.get(&lease.range);
        match held {
            Some(held) if held.token == lease.token && now < held.expires => Ok(()),
            _ => Err(lease_lost(BACKEND, operation)),
        }
    }

    /// Puts a dead letter back behind all others; whether it was there.
    pub(super) fn replay(&mut self, lane: Lane, id: DeadLetterId, now: Timestamp) -> bool {
        let DeadLetterId { range, position } = id;
        let Some(letter) = self.lane(lane).dead.remove(&(range, position)) else {
            return false;
        };
        let OutboxEntry {
            generation, payload, ..
        } = letter.entry;
        self.push(lane, range, generation, now, payload);
        true
    }
}

impl LaneState {
    /// Asks the holder of a range, if there is one, to give it back.
    pub(super) fn recall(&mut self, range: u16, now: Timestamp) {
        if let Some(held) = self.leases.get(&range).filter(|held| now < held.expires) {
            self.recalls.insert(range, held.token);
            self.written.send_modify(|written| *written += 1);
        }
    }

    /// Whether the holder of a range has been asked to give it back, and has not yet.
    pub(super) fn is_recalled(&mut self, range: u16, now: Timestamp) -> bool {
        let token = self.recalls.get(&range);
        let held = self.leases.get(&range);
        let stays = held.is_some_and(|held| token == Some(&held.token) && now < held.expires);
        if !stays {
            self.recalls.remove(&range);
        }
        stays
    }

    /// Ranges whose holders, of those numbers, have been asked to give them back, and have not yet.
    pub(super) fn recalled(&mut self, now: Timestamp) -> BTreeSet<(u16, u64)> {
        let asked: Vec<(u16, u64)> = self
            .recalls
            .iter()
            .map(|(&range, &token)| (range, token))
            .collect();
        let stays = |(range, _): &(u16, u64)| self.is_recalled(*range, now);
        asked.into_iter().filter(stays).collect()
    }

    fn leases_of(&self, lane: Lane, owner: &str) -> Vec<Lease> {
        let mine = self.leases.iter().filter(|(_, held)| held.owner == owner);
        mine.map(|(&range, held)| Lease {
            lane,
            range,
            token: held.token,
            expires: held.expires,
        })
        .collect()
    }

    /// How it stands.
    pub(super) fn status(&self, now: Timestamp) -> LaneStatus {
        let in_force = self.destination.as_ref().map(|in_force| in_force.name.clone());
        let oldest = self.waiting.values().map(|entry| entry.enqueued_at).min();
        LaneStatus::new(self.waiting.len() as u64, oldest, self.dead.len() as u64)
            .read_by(self.relays(now), in_force)
    }

    /// What a tenant's records have left.
    pub(super) fn backlog(&self, tenant: &TenantId) -> TenantBacklog {
        let waiting: Vec<_> = self
            .waiting
            .values()
            .filter(|entry| entry.tenant == *tenant)
            .collect();
        let oldest = waiting.iter().map(|entry| entry.enqueued_at).min();
        let dead = self.dead.values().filter(|letter| letter.entry.tenant == *tenant);
        TenantBacklog::new(waiting.len() as u64, oldest, dead.count() as u64)
    }

    /// How many owners count.
    fn relays(&self, now: Timestamp) -> u16 {
        let count = self.owners.values().filter(|until| now < **until).count();
        u16::try_from(count).unwrap_or(u16::MAX)
    }

    /// The count of what was written, to watch.
    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.written.subscribe()
    }
}

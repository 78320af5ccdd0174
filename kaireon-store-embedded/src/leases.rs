//! Who may touch which range of which lane.
//!
//! Leases are kept in memory: only one process can open a directory, so when it ends, every lease has ended. Their
//! tokens never go back across restarts, because each opening of the directory has a number that is kept, and
//! leads the token.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use kaireon_core::Result;
use kaireon_core::outbox::{
    Admission, Lane, LaneDestination, Lease, LeaseRequest, Leased, RANGES, lease_lost,
};
use kaireon_core::time::Timestamp;
use tokio::sync::watch;

#[derive(Debug)]
pub(crate) struct Leases {
    /// Of each lane in the order of `Lane::ALL`.
    lanes: [Holders; 3],
    last_token: u64,
    /// Grows when leases change hands.
    handed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Holders {
    held: BTreeMap<u16, Held>,
    /// Until when each owner counts, by its last request.
    owners: BTreeMap<String, Timestamp>,
    destination: Option<LaneDestination>,
    /// Ranges that holders of these numbers are to give back: entries were erased that they may have in hand.
    recalls: BTreeMap<u16, u64>,
}

impl Holders {
    /// Whether the holder of a range has been asked to give it back, and has not yet.
    fn is_recalled(&mut self, range: u16, now: Timestamp) -> bool {
        let token = self.recalls.get(&range);
        let held = self.held.get(&range);
        let stays = held.is_some_and(|held| token == Some(&held.token) && now < held.expires);
        if !stays {
            self.recalls.remove(&range);
        }
        stays
    }

    /// How many owners count.
    fn relays(&self, now: Timestamp) -> u16 {
        let count = self.owners.values().filter(|until| now < **until).count();
        u16::try_from(count).unwrap_or(u16::MAX)
    }
}

#[derive(Debug)]
struct Held {
    owner: String,
    token: u64,
    expires: Timestamp,
}

impl Leases {
    /// Of the opening of that number.
    pub(crate) fn new(opening: u32) -> Self {
        Self {
            lanes: Default::default(),
            last_token: u64::from(opening) << 32,
            handed: watch::Sender::default(),
        }
    }

    /// Renews what the owner holds, gives back what is beyond the bound, takes what is free up to it. What has expired
    /// is its owner's to renew until another takes it.
    pub(crate) fn lease(&mut self, request: LeaseRequest, now: Timestamp) -> Leased {
        let LeaseRequest {
            lane: name,
            owner,
            ttl,
            max_ranges,
            destination,
        } = request;
        let lasts = ttl;
        let ttl = TimeDelta::from_std(ttl).unwrap_or(TimeDelta::MAX);
        let expires = now.checked_add_signed(ttl).unwrap_or(Timestamp::MAX_UTC);
        let Self {
            lanes, last_token, ..
        } = self;
        let lane = &mut lanes[crate::shared::lane_index(name)];
        lane.owners.retain(|_, until| now < *until);
        match destination.admission(lane.destination.as_ref(), !lane.owners.is_empty(), now) {
            Admission::Joins => {}
            Admission::TakesOver => {
                lane.held.clear();
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
        lane.held.retain(|_, held| {
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
                (lane.held.get(&range)).is_none_or(|held| held.owner != owner && held.expires <= now);
            if mine < max_ranges && is_free {
                mine += 1;
                *last_token += 1;
                let held = Held {
                    owner: owner.clone(),
                    token: *last_token,
                    expires,
                };
                lane.held.insert(range, held);
            }
        }
        let of_owner = lane.held.iter().filter(|(_, held)| held.owner == owner);
        let leases = of_owner.map(|(&range, held)| Lease {
            lane: name,
            range,
            token: held.token,
            expires: held.expires,
        });
        let leases: Vec<Lease> = leases.collect();
        let mut recalled: Vec<u16> = lane.recalls.keys().copied().collect();
        recalled.retain(|range| {
            lane.is_recalled(*range, now) && leases.iter().any(|lease| lease.range == *range)
        });
        self.handed.send_modify(|handed| *handed += 1);
        Leased::new(leases, lane.relays(now)).recalling(recalled)
    }

    /// Asks the holder of a range, if there is one, to give it back; whether there is one.
    pub(crate) fn recall(&mut self, lane: Lane, range: u16, now: Timestamp) -> bool {
        let lane = &mut self.lanes[crate::shared::lane_index(lane)];
        let held = lane.held.get(&range).filter(|held| now < held.expires);
        if let Some(held) = held {
            lane.recalls.insert(range, held.token);
        }
        held.is_some()
    }

    /// Whether the holder of a range has been asked to give it back, and has not yet.
    pub(crate) fn is_recalled(&mut self, lane: Lane, range: u16, now: Timestamp) -> bool {
        self.lanes[crate::shared::lane_index(lane)].is_recalled(range, now)
    }

    /// Ranges whose holders, of those numbers, have been asked to give them back, and have not yet.
    pub(crate) fn recalled(&mut self, lane: Lane, now: Timestamp) -> BTreeSet<(u16, u64)> {
        let lane = &mut self.lanes[crate::shared::lane_index(lane)];
        let asked: Vec<(u16, u64)> = lane
            .recalls
            .iter()
            .map(|(&range, &token)| (range, token))
            .collect();
        let stays = |(range, _): &(u16, u64)| lane.is_recalled(*range, now);
        asked.into_iter().filter(stays).collect()
    }

    /// Tells when leases change hands.
    pub(crate) fn handed(&self) -> watch::Receiver<u64> {
        self.handed.subscribe()
    }

    /// How many relays read a lane, and where to.
    pub(crate) fn readers(&self, lane: Lane, now: Timestamp) -> (u16, Option<String>) {
        let lane = self.lane(lane);
        let in_force = lane.destination.as_ref().map(|in_force| in_force.name.clone());
        (lane.relays(now), in_force)
    }

    /// Gives a lease back, if it is still held.
    pub(crate) fn release(&mut self, lease: &Lease) {
        self.handed.send_modify(|handed| *handed += 1);
        let Holders { held, owners, .. } = &mut self.lanes[crate::shared::lane_index(lease.lane)];
        if let Entry::Occupied(of_range) = held.entry(lease.range)
            && of_range.get().token == lease.token
        {
            let Held { owner, .. } = of_range.remove();
            if held.values().all(|held| held.owner != owner) {
                owners.remove(&owner);
            }
        }
    }

    /// Checks that a lease is still held.
    ///
    /// # Errors
    /// `Fenced` when it expired, was given back or was taken by another.
    pub(crate) fn check(&self, lease: &Lease, operation: &'static str, now: Timestamp) -> Result<()> {
        match self.lane(lease.lane).held.get(&lease.range) {
            Some(held) if held.token == lease.token && now < held.expires => Ok(()),
            _ => Err(lease_lost(crate::BACKEND, operation)),
        }
    }

    fn lane(&self, lane: Lane) -> &Holders {
        &self.lanes[crate::shared::lane_index(lane)]
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kaireon_core::time::from_millis;

    use super::*;

    #[test]
    fn tokens_of_a_later_opening_are_higher() {
        let request = |owner: &str| LeaseRequest {
            lane: Lane::Publish,
            owner: owner.to_owned(),
            ttl: Duration::from_secs(1),
            max_ranges: RANGES,
            destination: kaireon_core::outbox::Destination::unnamed(),
        };
        let now = from_millis(0).unwrap();
        let mut first = Leases::new(1);
        let before = first.lease(request("a"), now).leases;
        for _ in 0..1_000 {
            before.iter().for_each(|lease| first.release(lease));
            first.lease(request("b"), now);
        }
        let last = first.lease(request("b"), now).leases.pop().unwrap();
        let next = Leases::new(2).lease(request("a"), now).leases.remove(0);
        assert!(next.token > last.token);
        assert!(first.check(&before[0], "settle", now).is_err());
        assert!(first.check(&last, "settle", now).is_ok());
        assert!(first.check(&last, "settle", last.expires).is_err());
    }
}

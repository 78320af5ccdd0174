//! How the plain store leases ranges, and how its flaws do.

use std::time::Duration;

use chrono::TimeDelta;
use kaireon_core::outbox::{Lease, LeaseRequest, RANGES};
use kaireon_core::time::Timestamp;

use super::disk::{Held, LaneData};

/// How a lane's ranges are leased: soundly, but for a flaw.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) shared: bool,
    pub(super) renumbers: bool,
    pub(super) extends: bool,
    pub(super) keeps_all: bool,
}

pub(super) fn later(now: Timestamp, ttl: Duration) -> Timestamp {
    now + TimeDelta::from_std(ttl).unwrap_or(TimeDelta::days(1))
}

impl LaneData {
    /// Renews what the owner holds, gives back what is too much, takes what is free.
    pub(super) fn lease(&mut self, request: &LeaseRequest, now: Timestamp, terms: Terms) -> Vec<Lease> {
        let LeaseRequest {
            lane: _,
            owner,
            ttl,
            max_ranges,
            destination: _,
        } = request;
        let expires = later(now, *ttl);
        let Terms {
            shared,
            renumbers,
            extends,
            keeps_all,
        } = terms;
        if renumbers {
            self.leases.retain(|_, held| held.expires > now);
        }
        let mut room = usize::from(*max_ranges);
        self.leases.retain(|_, held| {
            if held.owner != *owner {
                return true;
            }
            if extends {
                held.expires = expires;
            }
            let kept = room > 0 || keeps_all;
            room = room.saturating_sub(1);
            kept
        });
        for range in 0..RANGES {
            let taken = self.leases.get(&range);
            let mine = taken.is_some_and(|held| held.owner == *owner);
            let taken = taken.filter(|held| held.expires > now);
            if room == 0 || mine || (taken.is_some() && !shared) {
                continue;
            }
            self.tokens += 1;
            self.leases.insert(
                range,
                Held {
                    owner: owner.clone(),
                    token: self.tokens,
                    expires,
                },
            );
            room -= 1;
        }
        let mine = self.leases.iter().filter(|(_, held)| held.owner == *owner);
        mine.map(|(&range, held)| Lease {
            lane: request.lane,
            range,
            token: held.token,
            expires: held.expires,
        })
        .collect()
    }
}

//! The outbox: appending, settling, replaying.

use std::collections::HashSet;

use fjall::Slice;
use kaireon_core::Result;
use kaireon_core::outbox::{
    DeadLetterId, HostEvent, Lane, Lease, OutboxPayload, Settlement, Verdict, lease_lost, range_of,
};
use kaireon_core::store::Generation;

use super::{Answer, Unit};
use crate::client::Space;
use crate::codec;
use crate::keys;
use crate::shared::lane_index;

impl Unit<'_> {
    pub(super) fn append(&mut self, events: &[HostEvent]) -> Result<Answer> {
        // All or none: what can fail comes first.
        let mut generations = Vec::with_capacity(events.len());
        for HostEvent { tenant, customer, .. } in events {
            generations.push(match customer {
                Some(customer) => self.generation(tenant, customer)?,
                None => Generation::ZERO,
            });
        }
        for (event, generation) in events.iter().zip(generations) {
            let HostEvent { tenant, customer, .. } = event;
            if let Some(customer) = customer {
                self.fold(
                    &keys::customer(tenant, customer).into(),
                    generation,
                    Slice::empty(),
                );
            }
            let range = range_of(tenant, event.partition());
            let mut entry = Vec::new();
            let payload = OutboxPayload::Host(event.clone());
            codec::put_entry(&mut entry, generation, self.now, &payload);
            self.enqueue(Lane::Publish, range, entry.into());
        }
        Ok(Answer::Done)
    }

    pub(super) fn settle(&mut self, leases: &[Lease], settlements: &[Settlement]) -> Result<Answer> {
        let mut found = Vec::with_capacity(settlements.len());
        let mut named = HashSet::new();
        for settlement in settlements {
            let lease = leases.iter().find(|lease| lease.range == settlement.range);
            let lease = lease.ok_or_else(|| lease_lost(crate::BACKEND, "settle"))?;
            self.shared.leases.lock().check(lease, "settle", self.now)?;
            let key = Slice::from(keys::entry(lease.lane, settlement.range, settlement.position));
            // Named twice, the second time it is gone.
            if let Some(entry) = self.get(Space::Outbox, &key)?
                && named.insert(key.clone())
            {
                found.push((lease.lane, key, entry, &settlement.verdict));
            }
        }
        for (lane, key, entry, verdict) in found {
            let counter = lane_index(lane);
            self.stage(Space::Outbox, key.clone(), None);
            self.head.waiting[counter] = self.head.waiting[counter].saturating_sub(1);
            if let Verdict::Poisoned(reason) = verdict {
                let mut letter = Vec::new();
                codec::put_dead(&mut letter, &entry, reason, self.now);
                self.stage(Space::Dead, key, Some(letter.into()));
                self.head.dead[counter] += 1;
            }
        }
        Ok(Answer::Done)
    }

    pub(super) fn replay(&mut self, lane: Lane, ids: &[DeadLetterId]) -> Result<Answer> {
        let mut found = Vec::new();
        for DeadLetterId { range, position } in ids {
            let key = Slice::from(keys::entry(lane, *range, *position));
            if let Some(letter) = self.get(Space::Dead, &key)?
                && found.iter().all(|(_, known, _)| *known != key)
            {
                let entry = codec::dead_of(&letter, lane, (*range, *position))?.entry;
                let mut again = Vec::new();
                codec::put_entry(&mut again, entry.generation, self.now, &entry.payload);
                found.push((*range, key, again));
            }
        }
        let count = found.len() as u64;
        for (range, key, again) in found {
            self.stage(Space::Dead, key, None);
            let counter = lane_index(lane);
            self.head.dead[counter] = self.head.dead[counter].saturating_sub(1);
            self.enqueue(lane, range, again.into());
        }
        Ok(Answer::Count(count))
    }
}

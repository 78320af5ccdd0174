//! Erasure, tombstones, and the deletion of what was found to be deleted.

use fjall::Slice;
use kaireon_core::outbox::Lane;
use kaireon_core::store::{Erasure, ErasureReceipt, Generation, Tombstone};
use kaireon_core::wire::corrupt;
use kaireon_core::{CustomerId, Result, TenantId};

use super::{Answer, Raised, Removal, Unit};
use crate::client::Space;
use crate::codec::{self, Pending, StoredReceipt};
use crate::keys;
use crate::shared::lane_index;

impl Unit<'_> {
    /// Commits the tombstone and the receipt to be; or finds the receipt of an earlier call.
    pub(super) fn begin_erasure(&mut self, erasure: &Erasure) -> Result<Answer> {
        let Erasure { tenant, customer, id } = erasure;
        let digest = self.tenant(tenant).0.key.customer(customer);
        let receipt_key: Slice = keys::receipt(tenant, &digest, id).into();
        if let Some(stored) = self.get(Space::Receipts, &receipt_key)? {
            return Ok(Answer::Receipt(StoredReceipt::decode(&stored)?));
        }
        let generation = self.generation(tenant, customer)?.next()?;
        self.raise(Raised {
            tenant,
            customer: Some(customer),
            digest,
            generation,
        })?;
        let mut receipt = ErasureReceipt::new(id.clone(), generation, self.now);
        for place in ["history", "summaries", "decisions", "outbox"] {
            receipt.add(place, 0);
        }
        let stored = StoredReceipt {
            receipt,
            finished: false,
        };
        self.stage(Space::Receipts, receipt_key, Some(stored.encode().into()));
        Ok(Answer::Receipt(stored))
    }

    pub(super) fn end_erasure(&mut self, receipt_key: &[u8]) -> Result<Answer> {
        let receipt_key = Slice::from(receipt_key);
        let stored = self.get(Space::Receipts, &receipt_key)?;
        let mut stored = StoredReceipt::decode(&stored.ok_or_else(|| corrupt("a receipt is missing"))?)?;
        stored.finished = true;
        self.stage(Space::Receipts, receipt_key, Some(stored.encode().into()));
        Ok(Answer::Receipt(stored))
    }

    /// Nothing is left below that generation.
    pub(super) fn swept(&mut self, customer_key: &[u8], below: Generation) -> Result<Answer> {
        let key = Slice::from(customer_key);
        if let Some(pending) = self.get(Space::Pending, &key)?
            && Pending::decode(&pending)?.below == below
        {
            self.stage(Space::Pending, key, None);
        }
        Ok(Answer::Done)
    }

    /// Raises a generation to another store's.
    pub(super) fn install(&mut self, tenant: &TenantId, tombstone: &Tombstone) -> Result<Answer> {
        let Tombstone { customer, generation } = tombstone;
        let by_digest: Slice = keys::by_digest(tenant, customer).into();
        let present = self.get(Space::Tombstones, &by_digest)?;
        let present = present.map(|value| codec::generation_of(&value)).transpose()?;
        if *generation <= present.unwrap_or_default() {
            return Ok(Answer::Done);
        }
        let known = self.get(Space::Registry, &by_digest)?;
        let known = known.map(|id| customer_id(&id)).transpose()?;
        self.raise(Raised {
            tenant,
            customer: known.as_ref(),
            digest: *customer,
            generation: *generation,
        })?;
        Ok(Answer::Done)
    }

    /// Deletes keys, keeps count of what really was there, and adds it to the receipt.
    pub(super) fn remove_all(&mut self, removal: &Removal) -> Result<Answer> {
        let Removal {
            keys,
            expiries,
            receipt,
            counts,
        } = removal;
        let receipt = match receipt {
            None => None,
            Some(key) => {
                let key = Slice::from(key.as_slice());
                let stored = self.get(Space::Receipts, &key)?;
                let stored = StoredReceipt::decode(&stored.ok_or_else(|| corrupt("a receipt is missing"))?)?;
                Some((key, stored))
            }
        };
        let mut present = Vec::with_capacity(keys.len());
        for (space, key) in keys {
            // A relay may have settled an entry since it was found.
            let counted = matches!(space, Space::Outbox | Space::Dead);
            if !counted || self.get(*space, key)?.is_some() {
                present.push((*space, key, counted));
            }
        }
        let mut entries = 0;
        for (space, key, counted) in present {
            self.stage(space, key.clone(), None);
            if counted {
                entries += 1;
                let lane = Lane::ALL
                    .into_iter()
                    .find(|lane| keys::lane_byte(*lane) == key[0]);
                let lane = lane_index(lane.unwrap_or(Lane::Publish));
                let counts = if space == Space::Outbox {
                    &mut self.head.waiting
                } else {
                    &mut self.head.dead
                };
                counts[lane] = counts[lane].saturating_sub(1);
            }
        }
        for expiry in expiries {
            self.put(Space::Expiry, expiry.clone(), Some(Slice::empty()));
        }
        if let Some((key, mut stored)) = receipt {
            for (place, count) in counts {
                stored.receipt.add(place, *count);
            }
            stored.receipt.add("outbox", entries);
            self.stage(Space::Receipts, key, Some(stored.encode().into()));
        }
        Ok(Answer::Count(entries))
    }
}

fn customer_id(bytes: &[u8]) -> Result<CustomerId> {
    let id = std::str::from_utf8(bytes)
        .ok()
        .and_then(|id| CustomerId::new(id).ok());
    id.ok_or_else(|| corrupt("a stored customer is out of bounds"))
}

//! How the plain store erases and purges, and what its flaws leave.

use std::ops::Bound;
use std::time::Duration;

use kaireon_core::digest::Digest;
use kaireon_core::outbox::{ERASURE_PATIENCE, Lane, still_in_hand};
use kaireon_core::store::{
    Erasure, ErasureReceipt, Generation, Page, Purge, PurgeReceipt, ScanCursor, Tombstone, TombstoneQuery,
};
use kaireon_core::{Result, TenantId};

use super::disk::digest;
use super::flaw::Flaw;
use super::page::{after, page};
use super::store::Store;

/// How often it is looked whether a range was given back.
const LOOK_EVERY: Duration = Duration::from_millis(5);

impl Store {
    /// Erases at once, or repeats the receipt.
    pub(super) fn erase(&self, request: Erasure) -> Result<ErasureReceipt> {
        let Erasure { tenant, customer, id } = request;
        let mut disk = self.disk_mut("erase_customer")?;
        let digest = digest(&self.place.key, &tenant, &customer);
        let known = disk.tenant(&tenant).receipts.get(&(digest, id.clone())).cloned();
        if let Some(known) = known.filter(|_| !self.has(Flaw::ErasureRepeatsItself)) {
            return Ok(known);
        }
        let generation = match disk.generation(&tenant, &digest) {
            last if last == Generation::MAX_GIVEN && self.has(Flaw::ErasureEndsAtTheHighestGeneration) => {
                let receipt = ErasureReceipt::new(id.clone(), last, self.place.now());
                return Ok(receipt);
            }
            present => present.next()?,
        };
        let removed = self.place.raise(&mut disk, &tenant, &customer, generation);
        if self.has(Flaw::ErasureReachesNeighbours) {
            let others = disk.customers.values().filter(|found| found.id == customer);
            let others: Vec<_> = others.map(|found| found.tenant.clone()).collect();
            for other in others {
                self.place.raise(&mut disk, &other, &customer, generation);
            }
        }
        let mut receipt = ErasureReceipt::new(id.clone(), generation, self.place.now());
        for (place, count) in ["history", "summaries", "decisions", "outbox"]
            .into_iter()
            .zip(removed)
        {
            receipt.add(place, count);
        }
        disk.tenant(&tenant)
            .receipts
            .insert((digest, id), receipt.clone());
        Ok(receipt)
    }

    /// Whether a relay may have entries of a range in hand.
    pub(super) fn is_held(&self, range: u16) -> Result<bool> {
        let now = self.place.now();
        let disk = self.disk("erase_customer")?;
        let publish = disk.outbox.get(&Lane::Publish);
        Ok(publish.is_some_and(|data| data.is_held(range, now)))
    }

    /// Waits until relays that were asked to give ranges back have done so.
    pub(super) async fn until_given_back(&self, operation: &'static str) -> Result<()> {
        let given_back = async {
            while self.is_any_recalled(operation)? {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            Ok(())
        };
        let given_back = tokio::time::timeout(ERASURE_PATIENCE, given_back).await;
        given_back.unwrap_or_else(|_| Err(still_in_hand("plain", operation)))
    }

    fn is_any_recalled(&self, operation: &'static str) -> Result<bool> {
        let now = self.place.now();
        let disk = self.disk(operation)?;
        let publish = disk.outbox.get(&Lane::Publish);
        Ok(publish.is_some_and(|data| data.recalls.keys().any(|range| data.is_recalled(*range, now))))
    }

    pub(super) fn read_tombstones(&self, query: TombstoneQuery) -> Result<Page<Tombstone, ScanCursor>> {
        if !self.has(Flaw::IgnoresTombstoneLimits) {
            query.check()?;
        }
        let TombstoneQuery {
            tenant,
            limit,
            cursor,
        } = query;
        let behind: Option<u128> = after(cursor.as_ref())?;
        let disk = self.disk("tombstones")?;
        let number = |digest: &Digest| u128::from_be_bytes(*digest.as_bytes());
        let from = behind.map_or(Bound::Unbounded, |behind| {
            Bound::Excluded(Digest::from_bytes(behind.to_be_bytes()))
        });
        let everybody = self.has(Flaw::TombstonesOfEverybody);
        let found = disk
            .tenants
            .iter()
            .filter(|(name, _)| **name == tenant || everybody);
        let found = found.flat_map(|(_, tenant)| tenant.generations.range((from, Bound::Unbounded)));
        let stone = |(&customer, &generation): (&Digest, &_)| {
            (number(&customer).to_string(), Tombstone { customer, generation })
        };
        Ok(page(found.map(stone).collect(), limit))
    }

    pub(super) fn install(&self, tenant: &TenantId, tombstones: Vec<Tombstone>) -> Result<()> {
        if !self.has(Flaw::TakesAnyTombstone) {
            tombstones
                .iter()
                .try_for_each(|stone| stone.generation.check_given())?;
        }
        let mut disk = self.disk_mut("install_tombstones")?;
        for Tombstone {
            customer: stone,
            generation,
        } in tombstones
        {
            if generation <= disk.generation(tenant, &stone) {
                continue;
            }
            let customers = disk.customers_of(tenant);
            for customer in customers
                .iter()
                .filter(|customer| digest(&self.place.key, tenant, customer) == stone)
                .filter(|_| !self.has(Flaw::InstallingErasesNothing))
            {
                self.place.raise(&mut disk, tenant, customer, generation);
            }
            disk.tenant(tenant).generations.insert(stone, generation);
        }
        Ok(())
    }

    pub(super) fn purge(&self, request: Purge) -> Result<PurgeReceipt> {
        let Purge { tenant, before } = request;
        let mut disk = self.disk_mut("purge_before")?;
        let present = disk.tenant(&tenant).watermark;
        let watermark = match self.has(Flaw::WatermarkMovesBack) {
            true => before,
            false => present.map_or(before, |present| present.max(before)),
        };
        disk.tenant(&tenant).watermark = Some(watermark);
        let mut interactions = 0;
        let customers = disk.customers.values_mut().filter(|found| found.tenant == tenant);
        for found in customers.filter(|_| !self.has(Flaw::ShowsPurgedRows)) {
            let rows = found.rows.len();
            found.rows.retain(|place, _| place.timestamp >= watermark);
            interactions += rows - found.rows.len();
        }
        let decisions = &mut disk.tenant(&tenant).decisions;
        let count = decisions.len();
        let stays = self.has(Flaw::PurgeForgetsDecisions);
        decisions.retain(|_, decision| stays || decision.value.timestamp >= watermark);
        let gone = count - decisions.len();
        self.place.forget_keys(&mut disk, &tenant);
        if self.has(Flaw::PurgeDropsEntries) {
            disk.drop_entries_before(&tenant, watermark);
        }
        Ok(PurgeReceipt::new(watermark, interactions as u64, gone as u64))
    }
}

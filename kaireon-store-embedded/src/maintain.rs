//! Erasing and purging: long work in small commits, resumed where it was interrupted.
//!
//! What is to go is found on a view, off the writer, and handed to it in pieces. Nothing is found late: a
//! generation or a watermark is committed before, and the writer accepts nothing below it any more.

use std::ops::Bound;
use std::sync::Arc;

use fjall::Slice;
use kaireon_core::coalesce::Submitter;
use kaireon_core::outbox::{Lane, range_of};
use kaireon_core::store::{
    Erasure, ErasureReceipt, Generation, Purge, PurgeReceipt, SummaryQuery, Tombstone,
};
use kaireon_core::time;
use kaireon_core::wire::corrupt;
use kaireon_core::{CustomerId, Error, ErrorKind, RecommendationId, Result, TenantId};
use tokio::runtime::Handle;

use crate::client::{Space, View};
use crate::codec::{self, Dedupe, Pending};
use crate::folds;
use crate::keys::{self, Kind};
use crate::read;
use crate::shared::{Shared, Tenant, lane_index};
use crate::writer::{Answer, Op, Removal};

/// How many keys are deleted in one commit.
const PIECE: usize = 1_000;

/// Works on the blocking pool, one at a time.
pub(crate) struct Maintenance {
    pub(crate) shared: Arc<Shared>,
    pub(crate) submitter: Submitter<Op, Answer>,
    pub(crate) runtime: Handle,
}

impl Maintenance {
    fn submit(&self, op: Op) -> Result<Answer> {
        self.runtime.block_on(self.submitter.submit(op, 1_024))
    }

    /// Erases a customer, or goes on with it, or repeats the receipt.
    pub(crate) fn erase(&self, request: &Erasure) -> Result<ErasureReceipt> {
        let Erasure { tenant, customer, .. } = request;
        // What an earlier erasure left is counted to its own receipt, or to none.
        let digest = self.shared.tenant(tenant).key.customer(customer);
        let receipt_key = keys::receipt(tenant, &digest, &request.id);
        let begun = self.shared.view()?.get(Space::Receipts, &receipt_key)?;
        if begun.is_none() {
            self.sweep(tenant, customer, None)?;
        }
        let Answer::Receipt(begun) = self.submit(Op::BeginErasure(request.clone()))? else {
            return Err(unexpected());
        };
        if begun.finished {
            return Ok(begun.receipt);
        }
        self.sweep(tenant, customer, Some(receipt_key.clone()))?;
        // The log of what was recorded just before names the customer too.
        match folds::fold_all(&self.shared) {
            // Somebody else's value is damaged, which is no reason not to finish.
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                tracing::warn!(%error, "a part of the log stays")
            }
            outcome => outcome?,
        }
        match self.submit(Op::EndErasure(receipt_key))? {
            Answer::Receipt(stored) => Ok(stored.receipt),
            _ => Err(unexpected()),
        }
    }

    /// Raises generations to those of another store, and deletes what lies below.
    pub(crate) fn install(&self, tenant: &TenantId, tombstones: Vec<Tombstone>) -> Result<()> {
        tombstones
            .iter()
            .try_for_each(|stone| stone.generation.check_given())?;
        for tombstone in tombstones {
            self.submit(Op::Install(tenant.clone(), tombstone))?;
        }
        self.sweep_all()
    }

    /// Deletes everything that is noted as to be deleted.
    pub(crate) fn sweep_all(&self) -> Result<()> {
        let view = self.shared.view()?;
        for found in view.range(Space::Pending, Bound::Unbounded, Bound::Unbounded) {
            let (key, _) = found?;
            let (tenant, customer) =
                keys::read_customer(&key).ok_or_else(|| corrupt("a note of an erasure has no customer"))?;
            self.sweep(&tenant, &customer, None)?;
        }
        Ok(())
    }

    /// Deletes what a customer has below the generation that is noted, if one is.
    fn sweep(&self, tenant: &TenantId, customer: &CustomerId, receipt: Option<Vec<u8>>) -> Result<()> {
        let key = keys::customer(tenant, customer);
        let view = self.shared.view()?;
        let Some(pending) = view.get(Space::Pending, &key)? else {
            return Ok(());
        };
        let Pending { below, customer: own } = Pending::decode(&pending)?;
        let mut pieces = Pieces::new(self, tenant, receipt);
        if !own.is_empty() && pieces.receipt.is_some() {
            let query = SummaryQuery::new(tenant.clone(), customer.clone());
            // What nobody can read is erased all the same, and in no count.
            let summaries = readable(read::count(&view, &key, &own, &query))?;
            pieces.count("summaries", summaries.unwrap_or(0));
        }
        self.sweep_rows(&view, &key, below, &mut pieces)?;
        pieces.flush()?;
        // Again until there is nothing: between a view and what is deleted by it, a relay may move an entry to the dead
        // letters, and somebody replay a letter.
        loop {
            let view = self.shared.view()?;
            if !self.sweep_lanes(&view, (tenant, customer), below, &mut pieces)? {
                break;
            }
            pieces.flush()?;
        }
        self.submit(Op::Swept(key, below)).map(drop)
    }

    fn sweep_rows(&self, view: &View, key: &[u8], below: Generation, pieces: &mut Pieces<'_>) -> Result<()> {
        let from = || Bound::Included(keys::rows(key, Generation::ZERO));
        let until = || Bound::Excluded(keys::rows(key, below));
        for found in view.range(Space::History, from(), until()) {
            let (key, row) = found?;
            pieces.remove_interaction(view, key, &row)?;
        }
        for found in view.range(Space::DecisionsOf, from(), until()) {
            pieces.remove_decision(view, found?.0)?;
        }
        for found in view.range(Space::Closed, from(), until()) {
            pieces.remove(Space::Closed, found?.0)?;
        }
        Ok(())
    }

    /// Asks a relay that may have entries of a range in hand to give it back.
    fn recall(&self, range: u16) {
        let now = self.shared.config.clock.now();
        if self.shared.leases.lock().recall(Lane::Publish, range, now) {
            self.shared.written[lane_index(Lane::Publish)].send_modify(|written| *written += 1);
        }
    }

    /// Deletes entries and letters; whether there were any.
    fn sweep_lanes(
        &self,
        view: &View,
        (tenant, customer): (&TenantId, &CustomerId),
        below: Generation,
        pieces: &mut Pieces<'_>,
    ) -> Result<bool> {
        let range = range_of(tenant, customer.as_str());
        let mut found_any = false;
        for lane in Lane::ALL {
            let prefix = keys::range(lane, range);
            for found in view.prefix(Space::Outbox, &prefix) {
                let (key, value) = found?;
                let place = keys::read_entry(&key).ok_or_else(|| corrupt("an outbox entry has no place"))?;
                let entry = codec::entry_of(&value).map(|entry| entry.at(lane, place));
                let Some(entry) = readable(entry)? else {
                    continue;
                };
                if entry.tenant == *tenant && entry.customer() == Some(customer) && entry.generation < below {
                    if !found_any && lane == Lane::Publish {
                        self.recall(range);
                    }
                    found_any = true;
                    // Where it lies by then: it may be moved aside meanwhile, under the same key.
                    pieces.remove(Space::Dead, key.clone())?;
                    pieces.remove(Space::Outbox, key)?;
                }
            }
            for found in view.prefix(Space::Dead, &prefix) {
                let (key, value) = found?;
                let place = keys::read_entry(&key).ok_or_else(|| corrupt("a dead letter has no place"))?;
                let Some(letter) = readable(codec::dead_of(&value, lane, place))? else {
                    continue;
                };
                let entry = letter.entry;
                if entry.tenant == *tenant && entry.customer() == Some(customer) && entry.generation < below {
                    found_any = true;
                    pieces.remove(Space::Dead, key)?;
                }
            }
        }
        Ok(found_any)
    }

    /// Moves a tenant's watermark, deletes what lies before it, and forgets dedupe records whose time has come.
    pub(crate) fn purge(&self, request: &Purge) -> Result<PurgeReceipt> {
        let tenant = &request.tenant;
        let Answer::Watermark(watermark_ms) = self.submit(Op::SetWatermark(request.clone()))? else {
            return Err(unexpected());
        };
        let view = self.shared.view()?;
        let before = (0, watermark_ms.max(0));
        let mut pieces = Pieces::new(self, tenant, None);
        let of = self.shared.tenant(tenant);
        let mut interactions = 0;
        read::walk(
            &view,
            Space::History,
            (tenant, &of),
            None,
            before,
            |_, key, row| {
                interactions += 1;
                pieces.remove_interaction(&view, key.clone(), row)?;
                Ok(true)
            },
        )?;
        let mut decisions = 0;
        read::walk(
            &view,
            Space::DecisionsOf,
            (tenant, &of),
            None,
            before,
            |_, key, _| {
                decisions += 1;
                pieces.remove_decision(&view, key.clone())?;
                Ok(true)
            },
        )?;
        pieces.flush()?;
        self.forget(tenant)?;
        let watermark =
            time::from_millis(watermark_ms).ok_or_else(|| corrupt("a watermark is out of range"))?;
        Ok(PurgeReceipt::new(watermark, interactions, decisions))
    }

    /// Forgets dedupe records without a row whose time has come.
    fn forget(&self, tenant: &TenantId) -> Result<()> {
        let now = self.shared.config.clock.now().timestamp_millis();
        let view = self.shared.view()?;
        let mut pieces = Pieces::new(self, tenant, None);
        for found in view.prefix(Space::Expiry, &keys::tenant(tenant)) {
            let (key, _) = found?;
            let (expires, dedupe_key) =
                keys::read_expiry(tenant, &key).ok_or_else(|| corrupt("a note of an expiry is damaged"))?;
            if expires >= now {
                break;
            }
            pieces.remove(Space::Dedupe, dedupe_key.into())?;
            pieces.remove(Space::Expiry, key)?;
        }
        pieces.flush()
    }
}

/// Gathers keys until they are worth a commit.
struct Pieces<'a> {
    maintenance: &'a Maintenance,
    tenant: &'a TenantId,
    tenant_of: Tenant,
    receipt: Option<Vec<u8>>,
    removal: Removal,
}

impl<'a> Pieces<'a> {
    fn new(maintenance: &'a Maintenance, tenant: &'a TenantId, receipt: Option<Vec<u8>>) -> Self {
        Self {
            maintenance,
            tenant,
            tenant_of: maintenance.shared.tenant(tenant),
            receipt,
            removal: Removal::default(),
        }
    }

    fn count(&mut self, place: &'static str, count: u64) {
        self.removal.counts.push((place, count));
    }

    fn remove(&mut self, space: Space, key: Slice) -> Result<()> {
        self.removal.keys.push((space, key));
        if self.removal.keys.len() >= PIECE {
            return self.flush();
        }
        Ok(())
    }

    fn remove_interaction(&mut self, view: &View, key: Slice, row: &[u8]) -> Result<()> {
        // The dedupe record of a row that nobody can read, which holds a digest alone, stays.
        if let Some(interaction) = readable(codec::interaction_of(row))? {
            let digest = self.tenant_of.key.idempotency_key(&interaction.idempotency_key);
            self.expire(view, &keys::dedupe(Kind::Interaction, &digest))?;
        }
        self.count("history", 1);
        self.remove(Space::History, key)
    }

    fn remove_decision(&mut self, view: &View, key: Slice) -> Result<()> {
        let row = keys::read_row(self.tenant, &key).ok_or_else(|| corrupt("a decision has no customer"))?;
        let id = RecommendationId::new(row.id).map_err(|_| corrupt("a decision has no id"))?;
        let digest = self.tenant_of.key.recommendation(&id);
        self.expire(view, &keys::dedupe(Kind::Decision, &digest))?;
        self.count("decisions", 1);
        self.removal
            .keys
            .push((Space::Decisions, keys::decision(self.tenant, &id).into()));
        self.remove(Space::DecisionsOf, key)
    }

    /// Notes when the dedupe record of a row that goes may go too.
    fn expire(&mut self, view: &View, dedupe_key: &[u8]) -> Result<()> {
        let Some(record) = view.get(Space::Dedupe, dedupe_key)? else {
            return Ok(());
        };
        let arrived_ms = Dedupe::decode(&record)?.arrived_ms;
        let horizon = self.maintenance.shared.config.dedupe_horizon.as_millis();
        let expires = arrived_ms.saturating_add(i64::try_from(horizon).unwrap_or(i64::MAX));
        let key = keys::expiry(self.tenant, expires, dedupe_key);
        self.removal.expiries.push(key.into());
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let mut removal = std::mem::take(&mut self.removal);
        if removal.keys.is_empty() && removal.counts.is_empty() {
            return Ok(());
        }
        removal.receipt.clone_from(&self.receipt);
        self.maintenance.submit(Op::Remove(removal)).map(drop)
    }
}

/// What was read, if it is not damaged, which is no reason not to finish.
fn readable<T>(read: Result<T>) -> Result<Option<T>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error) if error.kind() == ErrorKind::Corrupt => {
            tracing::warn!(%error, "an erasure or a purge passes over what is damaged");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;

fn unexpected() -> Error {
    Error::new(ErrorKind::Internal, "the writer answered something else")
}

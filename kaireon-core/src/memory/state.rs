//! The state of an in-memory store, and what recording, erasing and raising generations do to it.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use super::lanes::OutboxState;
use super::tenant::{Customer, Known, Tenant, find_known};
use crate::digest::{Digest, MasterKey};
use crate::outbox::{Lane, LaneSet, OutboxEntry, OutboxPayload, range_of};
use crate::store::{
    Accepted, Epoch, Erasure, ErasureReceipt, FenceState, Generation, HistoryCursor, Origin, Record, Recorded,
};
use crate::time::Timestamp;
use crate::{CustomerId, Decision, Error, ErrorKind, Interaction, RecommendationId, Result, TenantId};

/// Everything that a place holds.
pub(super) struct State {
    master_key: MasterKey,
    horizon: TimeDelta,
    incarnation: u64,
    /// Grows with every change.
    sequence: u64,
    /// The lanes in force for tenants whose fence names none.
    pub(super) lanes: LaneSet,
    tenants: BTreeMap<TenantId, Tenant>,
    pub(super) outbox: OutboxState,
}

/// Under what a record is written.
#[derive(Clone, Copy)]
pub(super) struct Terms {
    pub(super) origin: Origin,
    pub(super) epoch: Epoch,
    pub(super) now: Timestamp,
}

/// How many things of a customer were deleted, by place.
#[derive(Default)]
struct Deleted {
    history: u64,
    summaries: u64,
    decisions: u64,
    outbox: u64,
}

impl State {
    pub(super) fn new(master_key: MasterKey, horizon: TimeDelta, lanes: LaneSet) -> Self {
        Self {
            master_key,
            horizon,
            incarnation: fastrand::u64(..),
            sequence: 0,
            lanes,
            tenants: BTreeMap::new(),
            outbox: OutboxState::default(),
        }
    }

    /// Notes that something changes.
    pub(super) fn changes(&mut self) {
        self.sequence += 1;
    }

    /// A tenant, if anything was ever recorded or set for it.
    pub(super) fn tenant(&self, id: &TenantId) -> Option<&Tenant> {
        self.tenants.get(id)
    }

    /// A tenant, made if it is not there.
    pub(super) fn tenant_mut(&mut self, id: &TenantId) -> &mut Tenant {
        self.tenants
            .entry(id.clone())
            .or_insert_with(|| Tenant::new(self.master_key.tenant(id)))
    }

    /// A customer, if anything was ever recorded or set for them.
    pub(super) fn customer(&self, tenant: &TenantId, customer: &CustomerId) -> Option<&Customer> {
        let tenant = self.tenant(tenant)?;
        tenant.customers.get(&tenant.key.customer(customer))
    }

    /// Records one interaction, by the rules of [`record_events`](crate::InteractionStore::record_events).
    pub(super) fn record_interaction(
        &mut self,
        record: Record<Interaction>,
        terms: Terms,
    ) -> Result<Recorded> {
        let Record { value, generation } = record;
        let tenant = self.tenant_mut(&value.tenant);
        check_terms(tenant, terms, generation)?;
        let customer = tenant.key.customer(&value.customer);
        let (key, content) = (
            tenant.key.idempotency_key(&value.idempotency_key),
            tenant.key.identity(&value),
        );
        if let Some(first) = find_known(&tenant.known_interactions, &key, &content)? {
            return Ok(Recorded::Duplicate(first));
        }
        let generation = draw_generation(tenant, &customer, generation)?;
        let purged = check_watermark(tenant, terms.origin, value.timestamp)?;

        self.changes();
        self.raise_generation(&value.tenant, customer, generation, terms.now);
        let tenant = self.tenant_mut(&value.tenant);
        let known = Known {
            id: value.id.clone(),
            content,
            arrived: terms.now,
        };
        tenant.known_interactions.insert(key, known);
        let owner = tenant.customers.entry(customer).or_default();
        owner.fold(&value);
        if !purged {
            let row = Accepted {
                value: value.clone(),
                generation,
            };
            owner.history.insert(HistoryCursor::after(&value), row);
        }
        let id = value.id.clone();
        self.tell(OutboxPayload::Interaction(value), generation, terms);
        Ok(Recorded::New { id, generation })
    }

    /// Records one decision, by the same rules.
    pub(super) fn record_decision(
        &mut self,
        record: Record<Decision>,
        terms: Terms,
    ) -> Result<Recorded<RecommendationId>> {
        let Record { value, generation } = record;
        let tenant = self.tenant_mut(&value.tenant);
        check_terms(tenant, terms, generation)?;
        let customer = tenant.key.customer(&value.customer);
        let (key, content) = (tenant.key.recommendation(&value.id), tenant.key.content(&value));
        if let Some(first) = find_known(&tenant.known_decisions, &key, &content)? {
            return Ok(Recorded::Duplicate(first));
        }
        let generation = draw_generation(tenant, &customer, generation)?;
        let purged = check_watermark(tenant, terms.origin, value.timestamp)?;

        self.changes();
        self.raise_generation(&value.tenant, customer, generation, terms.now);
        let tenant = self.tenant_mut(&value.tenant);
        let known = Known {
            id: value.id.clone(),
            content,
            arrived: terms.now,
        };
        tenant.known_decisions.insert(key, known);
        if !purged {
            let row = Accepted {
                value: value.clone(),
                generation,
            };
            tenant.decisions.insert(value.id.clone(), row);
        }
        let id = value.id.clone();
        self.tell(OutboxPayload::Decision(value), generation, terms);
        Ok(Recorded::New { id, generation })
    }

    /// Writes a live record into the lanes in force.
    fn tell(&mut self, payload: OutboxPayload, generation: Generation, terms: Terms) {
        let (tenant, customer) = match &payload {
            OutboxPayload::Interaction(interaction) => (&interaction.tenant, &interaction.customer),
            OutboxPayload::Decision(decision) => (&decision.tenant, &decision.customer),
            OutboxPayload::Host(_) => return,
        };
        if terms.origin != Origin::Live {
            return;
        }
        let range = range_of(tenant, customer.as_str());
        for lane in self.lanes_of(tenant).iter() {
            self.outbox
                .push(lane, range, generation, terms.now, payload.clone());
        }
    }

    /// The lanes in force for a tenant.
    fn lanes_of(&self, tenant: &TenantId) -> LaneSet {
        self.tenant(tenant)
            .and_then(|tenant| tenant.lanes)
            .unwrap_or(self.lanes)
    }

    /// A tenant's fence.
    pub(super) fn fence(&self, tenant: &TenantId) -> FenceState {
        let epoch = self.tenant(tenant).map_or(Epoch::ZERO, |tenant| tenant.epoch);
        FenceState::new(epoch, self.lanes_of(tenant), self.incarnation, self.sequence)
    }

    /// Erases a customer, or repeats the receipt.
    pub(super) fn erase(&mut self, request: Erasure, now: Timestamp) -> Result<ErasureReceipt> {
        let Erasure { tenant, customer, id } = request;
        let digest = self.tenant_mut(&tenant).key.customer(&customer);
        let owner = self.tenant_mut(&tenant).customers.entry(digest).or_default();
        if let Some(receipt) = owner.receipts.get(&id) {
            return Ok(receipt.clone());
        }
        let generation = owner.generation.next()?;
        self.changes();
        let deleted = self.raise_generation(&tenant, digest, generation, now);
        let mut receipt = ErasureReceipt::new(id.clone(), generation, now);
        receipt.add("history", deleted.history);
        receipt.add("summaries", deleted.summaries);
        receipt.add("decisions", deleted.decisions);
        receipt.add("outbox", deleted.outbox);
        let owner = self.tenant_mut(&tenant).customers.entry(digest).or_default();
        owner.receipts.insert(id, receipt.clone());
        Ok(receipt)
    }

    /// Raises a generation to another store's.
    pub(super) fn install_tombstone(
        &mut self,
        tenant: &TenantId,
        customer: Digest,
        generation: Generation,
        now: Timestamp,
    ) {
        self.changes();
        self.raise_generation(tenant, customer, generation, now);
    }

    /// Raises a customer's generation and deletes all that lies below it, which is all that is there. Dedupe
    /// records stay. Never lowers it.
    fn raise_generation(
        &mut self,
        id: &TenantId,
        customer: Digest,
        generation: Generation,
        now: Timestamp,
    ) -> Deleted {
        let tenant = self.tenant_mut(id);
        if generation <= tenant.generation(&customer) {
            return Deleted::default();
        }
        let key = tenant.key.clone();
        let owner = tenant.customers.entry(customer).or_default();
        owner.generation = generation;
        let history = std::mem::take(&mut owner.history).len() as u64;
        let summaries = std::mem::take(&mut owner.summaries).len() as u64;
        let before = tenant.decisions.len();
        tenant
            .decisions
            .retain(|_, decision| key.customer(&decision.value.customer) != customer);
        let decisions = (before - tenant.decisions.len()) as u64;
        let unwanted = |entry: &OutboxEntry| {
            let about = entry.customer().map(|about| key.customer(about));
            entry.tenant == *id && about == Some(customer)
        };
        let publish = self.outbox.lane(Lane::Publish);
        let in_lane = publish.waiting.values().filter(|entry| unwanted(entry));
        if let Some(range) = in_lane.map(|entry| entry.range).next() {
            publish.recall(range, now);
        }
        let outbox = self.outbox.remove(unwanted);
        Deleted {
            history,
            summaries,
            decisions,
            outbox,
        }
    }

    /// Moves a tenant's watermark; returns it with the counts of removed interactions and decisions.
    pub(super) fn purge(
        &mut self,
        tenant: &TenantId,
        before: Timestamp,
        now: Timestamp,
    ) -> (Timestamp, u64, u64) {
        self.changes();
        let horizon = self.horizon;
        let tenant = self.tenant_mut(tenant);
        let (interactions, decisions) = tenant.purge(before);
        tenant.forget_known(now, horizon);
        (tenant.watermark.unwrap_or(before), interactions, decisions)
    }
}

/// Rules 1 and 2: the epoch and the generation given.
fn check_terms(tenant: &Tenant, terms: Terms, generation: Option<Generation>) -> Result<()> {
    terms.epoch.check(tenant.epoch)?;
    terms.origin.check_generation(generation)
}

/// Rule 4: the generation that a record is accepted under.
fn draw_generation(tenant: &Tenant, customer: &Digest, given: Option<Generation>) -> Result<Generation> {
    let present = tenant.generation(customer);
    match given {
        Some(given) if given < present => Err(Error::new(
            ErrorKind::Erased,
            "the customer was erased after the record was accepted",
        )),
        Some(given) => Ok(given),
        None => Ok(present),
    }
}

/// Rule 5: whether a record lies before the watermark, which a live one must not.
fn check_watermark(tenant: &Tenant, origin: Origin, timestamp: Timestamp) -> Result<bool> {
    let purged = tenant.is_purged(timestamp);
    if purged && origin == Origin::Live {
        return Err(Error::invalid(
            "timestamp",
            "lies before the tenant's retention watermark",
        ));
    }
    Ok(purged)
}

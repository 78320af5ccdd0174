//! What the plain store keeps, and the pure steps on it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kaireon_core::digest::{Digest, MasterKey};
use kaireon_core::outbox::{
    DeadLetter, Lane, LaneDestination, LaneSet, OutboxEntry, OutboxPayload, Position, range_of,
};
use kaireon_core::store::{Accepted, Epoch, ErasureId, ErasureReceipt, Generation, HistoryCursor};
use kaireon_core::time::Timestamp;
use kaireon_core::{
    CustomerId, Decision, Dimension, Interaction, InteractionId, Period, RecommendationId, Stats, TenantId,
};

/// Everything a place holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    pub(super) tenants: BTreeMap<TenantId, Tenant>,
    /// By tenant and customer; a map of its own, so that a flaw can mix up its keys.
    pub(super) customers: BTreeMap<String, Customer>,
    pub(super) lanes: LaneSet,
    pub(super) outbox: BTreeMap<Lane, LaneData>,
    pub(super) sequence: u64,
    positions: u64,
}

/// What a tenant has beside its customers.
#[derive(Clone, Debug, Default)]
pub(super) struct Tenant {
    pub(super) keys: BTreeMap<String, Known<InteractionId>>,
    pub(super) recommendations: BTreeMap<RecommendationId, Known<RecommendationId>>,
    pub(super) decisions: BTreeMap<RecommendationId, Accepted<Decision>>,
    pub(super) generations: BTreeMap<Digest, Generation>,
    pub(super) receipts: BTreeMap<(Digest, ErasureId), ErasureReceipt>,
    pub(super) watermark: Option<Timestamp>,
    pub(super) epoch: Epoch,
    pub(super) lanes: Option<LaneSet>,
}

/// A dedupe record.
#[derive(Clone, Debug)]
pub(super) struct Known<I> {
    pub(super) content: Digest,
    pub(super) id: I,
    pub(super) arrived: Timestamp,
    /// The record's own time; only a flaw asks for it.
    pub(super) timestamp: Timestamp,
}

/// The groups of a customer.
pub(super) type Summaries = BTreeMap<(Dimension, Arc<str>, Period), Stats>;

/// A customer's rows and summaries.
#[derive(Clone, Debug)]
pub(super) struct Customer {
    pub(super) tenant: TenantId,
    pub(super) id: CustomerId,
    pub(super) rows: BTreeMap<HistoryCursor, Accepted<Interaction>>,
    pub(super) summaries: Summaries,
}

/// A lane's entries and leases.
#[derive(Clone, Debug, Default)]
pub(super) struct LaneData {
    pub(super) entries: BTreeMap<(u16, Position), OutboxEntry>,
    pub(super) dead: BTreeMap<(u16, Position), DeadLetter>,
    pub(super) leases: BTreeMap<u16, Held>,
    /// Ranges that holders of these numbers are to give back.
    pub(super) recalls: BTreeMap<u16, u64>,
    pub(super) askers: BTreeMap<String, Timestamp>,
    pub(super) destination: Option<LaneDestination>,
    pub(super) tokens: u64,
    pub(super) written: u64,
}

impl LaneData {
    pub(super) fn is_held(&self, range: u16, now: Timestamp) -> bool {
        self.leases.get(&range).is_some_and(|held| held.expires > now)
    }

    /// Whether the holder of a range was asked to give it back, and has not yet.
    pub(super) fn is_recalled(&self, range: u16, now: Timestamp) -> bool {
        let held = self.leases.get(&range).filter(|held| held.expires > now);
        held.is_some_and(|held| self.recalls.get(&range) == Some(&held.token))
    }
}

/// A lease as the store sees it.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) owner: String,
    pub(super) token: u64,
    pub(super) expires: Timestamp,
}

impl Disk {
    pub(super) fn tenant(&mut self, tenant: &TenantId) -> &mut Tenant {
        self.tenants.entry(tenant.clone()).or_default()
    }

    /// A customer's place, made where there is none.
    pub(super) fn customer(&mut self, name: String, (tenant, id): (&TenantId, &CustomerId)) -> &mut Customer {
        self.customers.entry(name).or_insert_with(|| Customer {
            tenant: tenant.clone(),
            id: id.clone(),
            rows: BTreeMap::new(),
            summaries: BTreeMap::new(),
        })
    }

    pub(super) fn generation(&self, tenant: &TenantId, customer: &Digest) -> Generation {
        let generations = self.tenants.get(tenant).map(|tenant| &tenant.generations);
        generations
            .and_then(|generations| generations.get(customer))
            .copied()
            .unwrap_or_default()
    }

    pub(super) fn lanes_of(&self, tenant: &TenantId) -> LaneSet {
        self.tenants
            .get(tenant)
            .and_then(|tenant| tenant.lanes)
            .unwrap_or(self.lanes)
    }

    pub(super) fn enqueue(
        &mut self,
        lane: Lane,
        generation: Generation,
        now: Timestamp,
        payload: OutboxPayload,
    ) {
        self.positions += 1;
        let position = Position(self.positions);
        let mut entry = OutboxEntry::new(lane, (0, position), generation, now, payload);
        entry.range = range_of(&entry.tenant, entry.partition());
        let data = self.outbox.entry(lane).or_default();
        data.entries.insert((entry.range, position), entry);
        data.written += 1;
    }

    /// Removes a customer's undelivered entries below a generation, dead letters included.
    pub(super) fn drop_entries(
        &mut self,
        tenant: &TenantId,
        customer: &CustomerId,
        below: Generation,
    ) -> u64 {
        let gone = |entry: &OutboxEntry| {
            entry.tenant == *tenant && entry.customer() == Some(customer) && entry.generation < below
        };
        let mut dropped = 0;
        for (lane, data) in &mut self.outbox {
            let before = data.entries.len() + data.dead.len();
            let in_lane = data
                .entries
                .values()
                .filter(|entry| *lane == Lane::Publish && gone(entry));
            let ranges = in_lane.map(|entry| entry.range);
            for range in ranges.collect::<BTreeSet<_>>() {
                if let Some(held) = data.leases.get(&range) {
                    data.recalls.insert(range, held.token);
                }
            }
            data.entries.retain(|_, entry| !gone(entry));
            data.dead.retain(|_, letter| !gone(&letter.entry));
            dropped += before - data.entries.len() - data.dead.len();
        }
        dropped as u64
    }

    /// Removes a tenant's undelivered entries of records before a time; only a flaw does.
    pub(super) fn drop_entries_before(&mut self, tenant: &TenantId, time: Timestamp) {
        for data in self.outbox.values_mut() {
            data.entries.retain(|_, entry| {
                let recorded = match &entry.payload {
                    OutboxPayload::Interaction(interaction) => Some(interaction.timestamp),
                    OutboxPayload::Decision(decision) => Some(decision.timestamp),
                    _ => None,
                };
                entry.tenant != *tenant || recorded.is_none_or(|recorded| recorded >= time)
            });
        }
    }

    /// Every customer that this tenant has something of.
    pub(super) fn customers_of(&self, tenant: &TenantId) -> BTreeSet<CustomerId> {
        let mut customers: BTreeSet<_> = self
            .customers
            .values()
            .filter(|customer| customer.tenant == *tenant)
            .map(|customer| customer.id.clone())
            .collect();
        if let Some(tenant) = self.tenants.get(tenant) {
            customers.extend(
                tenant
                    .decisions
                    .values()
                    .map(|decision| decision.value.customer.clone()),
            );
        }
        for data in self.outbox.values() {
            let entries = data
                .entries
                .values()
                .chain(data.dead.values().map(|letter| &letter.entry));
            customers.extend(
                entries
                    .filter(|entry| entry.tenant == *tenant)
                    .filter_map(|entry| entry.customer().cloned()),
            );
        }
        customers
    }
}

/// What the plain store is handed: its digests follow from it.
pub(super) fn digest(key: &MasterKey, tenant: &TenantId, customer: &CustomerId) -> Digest {
    key.tenant(tenant).customer(customer)
}

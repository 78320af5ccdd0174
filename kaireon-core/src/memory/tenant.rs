//! What a tenant has: its customers, its dedupe records, its fence.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::TimeDelta;

use crate::digest::{Digest, TenantKey};
use crate::outbox::LaneSet;
use crate::store::{Accepted, Epoch, ErasureId, ErasureReceipt, Generation, HistoryCursor};
use crate::summary::groups;
use crate::time::Timestamp;
use crate::{
    Decision, Dimension, Error, Interaction, InteractionId, Period, RecommendationId, Result, Stats, Summary,
};

/// Everything of one tenant. No map in here is shared between tenants.
pub(super) struct Tenant {
    pub(super) key: TenantKey,
    pub(super) epoch: Epoch,
    /// The lanes that its fence names, if it names any.
    pub(super) lanes: Option<LaneSet>,
    /// Rows before it are gone, and stay away.
    pub(super) watermark: Option<Timestamp>,
    /// By the customer's digest, so that what stays of an erased customer is not personal.
    pub(super) customers: BTreeMap<Digest, Customer>,
    pub(super) decisions: BTreeMap<RecommendationId, Accepted<Decision>>,
    /// By the digest of the idempotency key.
    pub(super) known_interactions: BTreeMap<Digest, Known<InteractionId>>,
    /// By the digest of the recommendation id.
    pub(super) known_decisions: BTreeMap<Digest, Known<RecommendationId>>,
}

/// What is remembered of one person. All of its rows are of the present generation.
#[derive(Default)]
pub(super) struct Customer {
    pub(super) generation: Generation,
    pub(super) receipts: BTreeMap<ErasureId, ErasureReceipt>,
    pub(super) history: BTreeMap<HistoryCursor, Accepted<Interaction>>,
    pub(super) summaries: BTreeMap<(Dimension, Arc<str>, Period), Stats>,
}

/// A dedupe record: nothing personal, and kept when its row is gone.
pub(super) struct Known<I> {
    pub(super) id: I,
    /// The digest of the identity fields, or of the whole content.
    pub(super) content: Digest,
    pub(super) arrived: Timestamp,
}

/// The id under which a key is known, if it is.
///
/// # Errors
/// `Conflict` when it was used for other content.
pub(super) fn find_known<I: Clone>(
    known: &BTreeMap<Digest, Known<I>>,
    key: &Digest,
    content: &Digest,
) -> Result<Option<I>> {
    match known.get(key) {
        None => Ok(None),
        Some(first) if first.content == *content => Ok(Some(first.id.clone())),
        Some(_) => Err(Error::conflict("the key was used before for other content")),
    }
}

impl Tenant {
    pub(super) fn new(key: TenantKey) -> Self {
        Self {
            key,
            epoch: Epoch::ZERO,
            lanes: None,
            watermark: None,
            customers: BTreeMap::new(),
            decisions: BTreeMap::new(),
            known_interactions: BTreeMap::new(),
            known_decisions: BTreeMap::new(),
        }
    }

    /// The present generation of a customer.
    pub(super) fn generation(&self, customer: &Digest) -> Generation {
        self.customers
            .get(customer)
            .map_or(Generation::ZERO, |customer| customer.generation)
    }

    /// Whether a timestamp lies before the watermark.
    pub(super) fn is_purged(&self, timestamp: Timestamp) -> bool {
        self.watermark.is_some_and(|watermark| timestamp < watermark)
    }

    /// Moves the watermark and removes what lies before it; returns how many interactions and decisions.
    pub(super) fn purge(&mut self, before: Timestamp) -> (u64, u64) {
        let watermark = self.watermark.map_or(before, |watermark| watermark.max(before));
        self.watermark = Some(watermark);
        let mut interactions = 0;
        for customer in self.customers.values_mut() {
            let rows = customer.history.len();
            customer.history.retain(|place, _| place.timestamp >= watermark);
            interactions += rows - customer.history.len();
        }
        let decisions = self.decisions.len();
        self.decisions
            .retain(|_, decision| decision.value.timestamp >= watermark);
        (interactions as u64, (decisions - self.decisions.len()) as u64)
    }

    /// Drops the dedupe records that arrived longer than `horizon` ago and whose row is gone.
    pub(super) fn forget_known(&mut self, now: Timestamp, horizon: TimeDelta) {
        let rows = self
            .customers
            .values()
            .flat_map(|customer| customer.history.values());
        let kept: BTreeSet<Digest> = rows
            .map(|row| self.key.idempotency_key(&row.value.idempotency_key))
            .collect();
        self.known_interactions
            .retain(|key, known| now - known.arrived <= horizon || kept.contains(key));
        let kept: BTreeSet<Digest> = self
            .decisions
            .keys()
            .map(|id| self.key.recommendation(id))
            .collect();
        self.known_decisions
            .retain(|key, known| now - known.arrived <= horizon || kept.contains(key));
    }
}

impl Customer {
    /// Adds an interaction to the twelve groups it belongs to.
    pub(super) fn fold(&mut self, interaction: &Interaction) {
        let contribution = Stats::of(interaction);
        for (dimension, value, period) in groups(interaction) {
            self.summaries
                .entry((dimension, Arc::from(value), period))
                .or_default()
                .merge(&contribution);
        }
    }

    /// Every summary, in the order of reads.
    pub(super) fn summaries(&self) -> Vec<Summary> {
        let mut all: Vec<Summary> = self
            .summaries
            .iter()
            .map(|((dimension, value, period), stats)| {
                Summary::new(*dimension, Arc::clone(value), *period, stats.clone())
            })
            .collect();
        all.sort_by(Summary::read_order);
        all
    }
}

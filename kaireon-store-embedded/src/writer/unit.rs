//! One commit in the making.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use fjall::Slice;
use kaireon_core::digest::Digest;
use kaireon_core::store::{FenceRequest, Generation, Purge};
use kaireon_core::summary::packed::{MAX_PACKED_BYTES, Packed, put_stats, stats_of};
use kaireon_core::time::Timestamp;
use kaireon_core::{CustomerId, Error, ErrorKind, Result, Stats, Summary, TenantId};

use super::{Answer, Op};
use crate::client::{Change, Engine, Space};
use crate::codec::{self, Head, Pending, Settings};
use crate::keys;
use crate::shared::{Shared, Tenant};

/// Operations that become durable together.
pub(crate) struct Unit<'a> {
    pub(super) engine: &'a Engine,
    pub(super) shared: &'a Shared,
    pub(super) now: Timestamp,
    pub(super) head: Head,
    changes: Vec<Change>,
    /// What this unit has written of that which it may read again.
    staged: HashMap<(Space, Slice), Option<Slice>>,
    tenants: HashMap<TenantId, (Tenant, Settings)>,
    customers: HashMap<Box<[u8]>, Customer>,
    closed: HashMap<Vec<u8>, Stats>,
    told: [bool; 3],
    /// Dedupe records that were looked up ahead or written.
    known: HashMap<Slice, Option<Slice>>,
}

/// From how many operations on it is worth looking up ahead.
const AHEAD: usize = 16;

/// A customer in a unit.
pub(super) struct Customer {
    pub(super) generation: Generation,
    packed: Packed,
    /// The value as it is in the database.
    before: Option<Slice>,
    write: Write,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Write {
    Keep,
    Put,
    Remove,
}

/// A unit that is ready to be committed.
pub(crate) struct Ready {
    pub(crate) changes: Vec<Change>,
    pub(crate) effects: Effects,
}

/// What is to be told to readers once the unit is committed.
pub(crate) struct Effects {
    pub(crate) head: Head,
    pub(crate) settings: Vec<(TenantId, Settings)>,
    /// The customers' new values; `None` was removed.
    pub(crate) customers: Vec<(Box<[u8]>, Option<Slice>)>,
    pub(crate) told: [bool; 3],
}

/// Whose generation is raised, and how far.
#[derive(Clone, Copy)]
pub(crate) struct Raised<'a> {
    pub(crate) tenant: &'a TenantId,
    /// `None` where no such customer is known.
    pub(crate) customer: Option<&'a CustomerId>,
    pub(crate) digest: Digest,
    pub(crate) generation: Generation,
}

impl<'a> Unit<'a> {
    /// An empty unit on what the last commit left.
    pub(crate) fn new(engine: &'a Engine, shared: &'a Shared) -> Self {
        Self {
            engine,
            shared,
            now: shared.config.clock.now(),
            head: *shared.head.lock(),
            changes: Vec::new(),
            staged: HashMap::new(),
            tenants: HashMap::new(),
            customers: HashMap::new(),
            closed: HashMap::new(),
            told: [false; 3],
            known: HashMap::new(),
        }
    }

    /// Looks up the dedupe records of many operations in the order of their keys.
    ///
    /// Digests are random, so one by one each look-up would walk over memory that none before has touched; in
    /// order they share most of the way, and the insertions behind them find it in cache.
    pub(crate) fn look_ahead(&mut self, ops: &[Op]) {
        if ops.len() < AHEAD {
            return;
        }
        let mut keys: Vec<&Slice> = ops.iter().filter_map(Op::dedupe_key).collect();
        keys.sort_unstable();
        self.known.reserve(keys.len());
        self.changes.reserve(keys.len() * 3);
        for key in keys {
            // What cannot be read is read again by the operation that needs it, which then fails alone.
            if let Ok(found) = self.engine.get(Space::Dedupe, key) {
                self.known.insert(key.clone(), found);
            }
        }
    }

    /// Stages one operation, or nothing of it.
    pub(crate) fn apply(&mut self, op: &Op) -> Result<Answer> {
        match op {
            Op::Record(op) => self.record(op),
            Op::Decide(op) => self.decide(op),
            Op::RaiseFence(request) => self.raise_fence(request),
            Op::SetLanes(lanes) => {
                self.head.lanes = *lanes;
                self.change_head();
                Ok(Answer::Done)
            }
            Op::Append(events) => self.append(events),
            Op::Settle { leases, settlements } => self.settle(leases, settlements),
            Op::Replay { lane, ids } => self.replay(*lane, ids),
            Op::SetWatermark(purge) => Ok(self.set_watermark(purge)),
            Op::BeginErasure(erasure) => self.begin_erasure(erasure),
            Op::EndErasure(key) => self.end_erasure(key),
            Op::Swept(customer_key, below) => self.swept(customer_key, *below),
            Op::Install(tenant, tombstone) => self.install(tenant, tombstone),
            Op::Remove(removal) => self.remove_all(removal),
            Op::Nothing => Ok(Answer::Done),
        }
    }

    /// Whether there is anything to commit.
    pub(crate) fn is_empty(&self) -> bool {
        self.changes.is_empty()
            && self
                .customers
                .values()
                .all(|customer| customer.write == Write::Keep)
    }

    /// Encodes what was folded. Reads the closed rows that are added to.
    pub(crate) fn finish(mut self) -> Result<Ready> {
        let mut customers = Vec::with_capacity(self.customers.len());
        for (key, mut customer) in std::mem::take(&mut self.customers) {
            match customer.write {
                Write::Keep => {}
                Write::Remove => {
                    self.put(Space::Customers, key.to_vec(), None);
                    customers.push((key, None));
                }
                Write::Put => {
                    let (mut value, mut closed) = (Vec::with_capacity(512), Vec::new());
                    codec::put_customer(&mut value, customer.generation);
                    customer
                        .packed
                        .encode_within(MAX_PACKED_BYTES, &mut value, &mut closed);
                    self.close(&keys::rows(&key, customer.generation), closed);
                    let value = Slice::from(value);
                    self.put(Space::Customers, key.to_vec(), Some(value.clone()));
                    customers.push((key, Some(value)));
                }
            }
        }
        for (key, mut stats) in std::mem::take(&mut self.closed) {
            if let Some(row) = self.engine.get(Space::Closed, &key)? {
                stats.merge(&stats_of(&row)?);
            }
            let mut row = Vec::with_capacity(64);
            put_stats(&mut row, &stats);
            self.put(Space::Closed, key, Some(row.into()));
        }
        self.head.sequence += 1;
        let head = self.head.encode();
        self.put(Space::Meta, keys::HEAD, Some(head.into()));
        // Neighbours go into the engine's sorted memory one after the other, which finds their places in cache.
        // The order of changes to one key is kept.
        self.changes
            .sort_by(|(space, key, _), (other_space, other_key, _)| {
                (*space as u8, key).cmp(&(*other_space as u8, other_key))
            });
        let changed = self.tenants.into_iter();
        Ok(Ready {
            changes: self.changes,
            effects: Effects {
                head: self.head,
                settings: changed
                    .filter(|(_, (before, after))| before.settings != *after)
                    .map(|(id, (_, after))| (id, after))
                    .collect(),
                customers,
                told: self.told,
            },
        })
    }

    /// Writes or removes a key that this unit does not read again.
    pub(super) fn put(&mut self, space: Space, key: impl Into<Slice>, value: Option<Slice>) {
        self.changes.push((space, key.into(), value));
    }

    /// Writes or removes a key that a later operation of this unit may read.
    pub(super) fn stage(&mut self, space: Space, key: Slice, value: Option<Slice>) {
        if space == Space::Dedupe {
            self.known.insert(key.clone(), value.clone());
        } else {
            self.staged.insert((space, key.clone()), value.clone());
        }
        self.put(space, key, value);
    }

    /// Reads what is staged or committed.
    pub(super) fn get(&self, space: Space, key: &Slice) -> Result<Option<Slice>> {
        match self.staged.get(&(space, key.clone())) {
            Some(staged) => Ok(staged.clone()),
            None => self.engine.get(space, key),
        }
    }

    /// Reads a dedupe record: written by this unit, looked up ahead, or committed.
    pub(super) fn dedupe(&self, key: &Slice) -> Result<Option<Slice>> {
        match self.known.get(key) {
            Some(found) => Ok(found.clone()),
            None => self.engine.get(Space::Dedupe, key),
        }
    }

    /// Writes a dedupe record.
    pub(super) fn put_dedupe(&mut self, key: &Slice, value: Slice) {
        self.known.insert(key.clone(), Some(value.clone()));
        self.put(Space::Dedupe, key.clone(), Some(value));
    }

    /// Makes sure that the counters are written, for an operation that changes nothing else.
    fn change_head(&mut self) {
        let head = self.head.encode();
        self.put(Space::Meta, keys::HEAD, Some(head.into()));
    }

    /// Notes that a lane was written to.
    pub(super) fn tell(&mut self, lane: usize) {
        self.told[lane] = true;
    }

    /// What is set for a tenant, as of the operations before.
    pub(super) fn tenant(&mut self, id: &TenantId) -> (&Tenant, Settings) {
        if !self.tenants.contains_key(id) {
            let tenant = self.shared.tenant(id);
            let settings = tenant.settings;
            self.tenants.insert(id.clone(), (tenant, settings));
        }
        let (tenant, settings) = &self.tenants[id];
        (tenant, *settings)
    }

    fn set(&mut self, id: &TenantId, settings: Settings) {
        let (_, present) = self.tenant(id);
        if settings == present {
            return;
        }
        if let Some((_, present)) = self.tenants.get_mut(id) {
            *present = settings;
        }
        self.put(Space::Meta, keys::tenant(id), Some(settings.encode().into()));
    }

    fn raise_fence(&mut self, request: &FenceRequest) -> Result<Answer> {
        let FenceRequest { tenant, epoch, lanes } = request;
        let (_, mut settings) = self.tenant(tenant);
        if *epoch < settings.epoch {
            return Err(Error::new(
                ErrorKind::Fenced,
                "the requested epoch is lower than the tenant's fence",
            ));
        }
        settings.epoch = *epoch;
        settings.lanes = lanes.or(settings.lanes);
        self.set(tenant, settings);
        self.change_head();
        // The number that the commit of this unit will have.
        let mut head = self.head;
        head.sequence += 1;
        Ok(Answer::Fence(self.shared.fence(settings, head)))
    }

    fn set_watermark(&mut self, purge: &Purge) -> Answer {
        let Purge { tenant, before } = purge;
        let (_, mut settings) = self.tenant(tenant);
        let before = before.timestamp_millis();
        let watermark = settings
            .watermark_ms
            .map_or(before, |present| present.max(before));
        settings.watermark_ms = Some(watermark);
        self.set(tenant, settings);
        Answer::Watermark(watermark)
    }

    /// The present generation of a customer.
    pub(super) fn generation(
        &mut self,
        tenant: &TenantId,
        customer: &CustomerId,
        key: &[u8],
    ) -> Result<Generation> {
        if let Some(known) = self.customers.get(key) {
            return Ok(known.generation);
        }
        let found = self.read_customer(tenant, customer, key)?;
        let generation = found.generation;
        self.customers.insert(key.into(), found);
        Ok(generation)
    }

    fn read_customer(&mut self, tenant: &TenantId, customer: &CustomerId, key: &[u8]) -> Result<Customer> {
        let before = match self.shared.hot.get(key) {
            Some(value) => Some(value),
            None => self.engine.get(Space::Customers, key)?,
        };
        if let Some(value) = &before {
            let (generation, packed) = codec::customer_of(value)?;
            return Ok(Customer {
                generation,
                packed: Packed::decode(packed)?,
                write: Write::Keep,
                before,
            });
        }
        let (tenant_of, settings) = self.tenant(tenant);
        let mut generation = Generation::ZERO;
        if settings.erasures {
            let tombstone = keys::by_digest(tenant, &tenant_of.key.customer(customer)).into();
            if let Some(value) = self.get(Space::Tombstones, &tombstone)? {
                generation = codec::generation_of(&value)?;
            }
        }
        Ok(Customer {
            generation,
            packed: Packed::new(),
            before: None,
            write: Write::Keep,
        })
    }

    /// Notes that a customer has something, and folds into their summaries. The customer was read before.
    pub(super) fn with_customer(
        &mut self,
        tenant: &TenantId,
        customer: &CustomerId,
        key: &[u8],
        fold: impl FnOnce(&mut Packed, &mut Vec<Summary>),
    ) {
        let Some(found) = self.customers.get_mut(key) else {
            return;
        };
        let mut closed = Vec::new();
        fold(&mut found.packed, &mut closed);
        let unknown = found.write != Write::Put && (found.before.is_none() || found.write == Write::Remove);
        found.write = Write::Put;
        let generation = found.generation;
        self.close(&keys::rows(key, generation), closed);
        if unknown {
            // So that the customer of a tombstone, which is only a digest, can be found.
            let (tenant_of, _) = self.tenant(tenant);
            let registry = keys::by_digest(tenant, &tenant_of.key.customer(customer));
            self.stage(
                Space::Registry,
                registry.into(),
                Some(Slice::from(customer.as_str().as_bytes())),
            );
        }
    }

    /// Adds to rows of closed periods.
    fn close(&mut self, rows: &[u8], closed: Vec<Summary>) {
        for summary in closed {
            let key = keys::closed(rows, summary.period, summary.dimension, &summary.value);
            match self.closed.entry(key) {
                Entry::Occupied(mut known) => known.get_mut().merge(&summary.stats),
                Entry::Vacant(fresh) => {
                    fresh.insert(summary.stats);
                }
            }
        }
    }

    /// Raises a generation: everything below it is invisible from this commit on, and noted as to be deleted.
    pub(super) fn raise(&mut self, raised: Raised<'_>) -> Result<()> {
        let Raised {
            tenant,
            customer,
            digest,
            generation,
        } = raised;
        let by_digest: Slice = keys::by_digest(tenant, &digest).into();
        if let Some(customer) = customer {
            let key = keys::customer(tenant, customer);
            self.generation(tenant, customer, &key)?;
            let pending_key: Slice = key.as_slice().into();
            let left = self.get(Space::Pending, &pending_key)?;
            let left = left.map(|left| Pending::decode(&left)).transpose()?;
            if let Some(known) = self.customers.get_mut(key.as_slice()) {
                let mut value = Vec::new();
                if known.before.is_some() || known.write == Write::Put {
                    codec::put_customer(&mut value, known.generation);
                    known.packed.encode(&mut value);
                }
                if let Some(left) = left
                    && value.is_empty()
                {
                    value = left.customer;
                }
                known.packed = Packed::new();
                known.generation = generation;
                known.write = if known.before.is_some() {
                    Write::Remove
                } else {
                    Write::Keep
                };
                let pending = Pending {
                    below: generation,
                    customer: value,
                };
                self.stage(Space::Pending, pending_key, Some(pending.encode().into()));
            }
            self.stage(Space::Registry, by_digest.clone(), None);
        }
        let tombstone = codec::put_generation(generation);
        self.stage(Space::Tombstones, by_digest, Some(tombstone.into()));
        let (_, mut settings) = self.tenant(tenant);
        settings.erasures = true;
        self.set(tenant, settings);
        Ok(())
    }
}

//! One commit in the making.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use fjall::Slice;
use kaireon_core::digest::Digest;
use kaireon_core::store::{FenceRequest, Generation, Purge};
use kaireon_core::summary::packed::{put_stats, stats_of};
use kaireon_core::time::Timestamp;
use kaireon_core::{CustomerId, Error, ErrorKind, Result, Stats, Summary, TenantId};
use parking_lot::MutexGuard;

use super::{Answer, Op};
use crate::client::{Change, Engine, Space};
use crate::codec::{self, Head, Pending, Settings};
use crate::folds::{self, Fold, Keyed, Own, Part, Turn};
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
    /// What is logged, to be added to customers' own values later.
    folds: Vec<Fold>,
    /// Customers whose generation was raised.
    forgotten: Vec<Slice>,
    closed: HashMap<Vec<u8>, Stats>,
    /// Kept from the first customer's own value that is read to the end of the commit.
    turn: Option<MutexGuard<'a, Turn>>,
    told: [bool; 3],
    /// Dedupe records that were looked up ahead or written.
    known: HashMap<Slice, Option<Slice>, Keyed>,
}

/// From how many operations on it is worth looking up ahead.
const AHEAD: usize = 16;

/// A unit that is ready to be committed.
pub(crate) struct Ready<'a> {
    pub(crate) changes: Vec<Change>,
    pub(crate) effects: Effects,
    /// To be let go of when the effects were told.
    pub(crate) turn: Option<MutexGuard<'a, Turn>>,
}

/// What is to be told to readers once the unit is committed.
pub(crate) struct Effects {
    pub(crate) head: Head,
    pub(crate) settings: Vec<(TenantId, Settings)>,
    pub(crate) folds: Vec<Fold>,
    /// The customers whose own value was removed.
    pub(crate) forgotten: Vec<Slice>,
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
            head: *shared.present.read(),
            changes: Vec::new(),
            staged: HashMap::new(),
            tenants: HashMap::new(),
            folds: Vec::new(),
            forgotten: Vec::new(),
            closed: HashMap::new(),
            turn: None,
            told: [false; 3],
            known: HashMap::with_hasher(Keyed::new()),
        }
    }

    /// Looks up the dedupe records that many operations may find, in the order of their keys.
    ///
    /// Digests are random, so one by one each look-up would walk over memory that none before has touched; in
    /// order they share most of the way, and the insertions behind them find it in cache.
    pub(crate) fn look_ahead(&mut self, ops: &[Op]) {
        if ops.len() < AHEAD {
            return;
        }
        self.known.reserve(ops.len());
        self.changes.reserve(ops.len() * 3);
        let mut keys: Vec<&Slice> = {
            let seen = self.shared.seen.lock();
            let keys = ops.iter().filter_map(Op::dedupe_key);
            keys.filter(|key| seen.may_hold(key)).collect()
        };
        keys.sort_unstable();
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
            Op::ChangeLanes { on, off } => {
                self.head.lanes = self.head.lanes.changed(*on, *off);
                self.change_head();
                Ok(Answer::Lanes(self.head.lanes))
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

    /// Whether there is nothing to commit.
    pub(crate) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Encodes what was gathered. Reads the closed rows that are added to.
    pub(crate) fn finish(mut self) -> Result<Ready<'a>> {
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
        if !self.folds.is_empty() {
            let row = folds::put_log(&self.folds);
            self.put(Space::Folds, keys::fold(self.head.sequence), Some(row.into()));
        }
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
                folds: self.folds,
                forgotten: self.forgotten,
                told: self.told,
            },
            turn: self.turn,
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
            None if !self.shared.seen.lock().may_hold(key) => Ok(None),
            None => self.engine.get(Space::Dedupe, key),
        }
    }

    /// Writes a dedupe record.
    pub(super) fn put_dedupe(&mut self, key: &Slice, value: Slice) {
        self.shared.seen.lock().insert(key);
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
    pub(super) fn generation(&mut self, tenant: &TenantId, customer: &CustomerId) -> Result<Generation> {
        let (tenant_of, settings) = self.tenant(tenant);
        if !settings.erasures {
            return Ok(Generation::ZERO);
        }
        let tombstone = keys::by_digest(tenant, &tenant_of.key.customer(customer)).into();
        let found = self.get(Space::Tombstones, &tombstone)?;
        Ok(found
            .map(|value| codec::generation_of(&value))
            .transpose()?
            .unwrap_or_default())
    }

    /// Notes what a record adds to its customer, if only that they are there.
    pub(super) fn fold(&mut self, key: &Slice, generation: Generation, contribution: Slice) {
        self.folds.push(Fold {
            key: key.clone(),
            generation,
            contribution,
        });
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
            let key = Slice::from(keys::customer(tenant, customer));
            let mut value = self.take_own(&key)?;
            if value.is_empty()
                && let Some(left) = self.get(Space::Pending, &key)?
            {
                value = Pending::decode(&left)?.customer;
            }
            let pending = Pending {
                below: generation,
                customer: value,
            };
            self.stage(Space::Pending, key, Some(pending.encode().into()));
            self.stage(Space::Registry, by_digest.clone(), None);
        }
        let tombstone = codec::put_generation(generation);
        self.stage(Space::Tombstones, by_digest, Some(tombstone.into()));
        let (_, mut settings) = self.tenant(tenant);
        settings.erasures = true;
        self.set(tenant, settings);
        Ok(())
    }

    /// Takes away a customer's own value, with all that is not yet part of it; empty where there is none.
    fn take_own(&mut self, key: &Slice) -> Result<Vec<u8>> {
        if self.turn.is_none() {
            self.turn = Some(self.shared.folds.turn());
        }
        // A second raising in one unit finds what the first has left: what this unit has recorded since.
        let taken = self.forgotten.contains(key);
        let (mut parts, stored) = match taken {
            true => (Vec::new(), None),
            false => {
                let parts = self.shared.folds.parts(key);
                (parts, self.engine.get(Space::Customers, key)?)
            }
        };
        let (mine, others) = std::mem::take(&mut self.folds)
            .into_iter()
            .partition(|fold| fold.key == *key);
        self.folds = others;
        parts.extend(Part::of(self.head.sequence + 1, mine)?.map(Arc::new));
        let value = match Own::of(stored.as_deref(), &parts) {
            Ok(None) => return Ok(Vec::new()),
            Ok(Some(mut own)) => {
                let value = own.encode().to_vec();
                self.close(&keys::rows(key, own.generation), std::mem::take(&mut own.closed));
                value
            }
            // What nobody can read goes as well, and is counted by nobody.
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                stored.as_deref().unwrap_or_default().to_vec()
            }
            Err(error) => return Err(error),
        };
        if stored.is_some() {
            self.put(Space::Customers, key.clone(), None);
        }
        self.forgotten.push(key.clone());
        Ok(value)
    }
}

//! Where a plain store lies: what handles share, and what a crash leaves.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use kaireon_core::digest::MasterKey;
use kaireon_core::store::Epoch;
use kaireon_core::time::{ManualClock, Timestamp};
use kaireon_core::{InteractionStore, TenantId};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::disk::Disk;
use super::flaw::Flaw;
use super::store::Store;
use crate::StoreFixture;
use crate::world::at;

/// What the handles of one place share.
pub(super) struct Place {
    pub(super) flaw: Option<Flaw>,
    pub(super) key: MasterKey,
    /// In whose name a flaw remembers keys of every tenant.
    pub(super) everybody: TenantId,
    pub(super) clock: ManualClock,
    pub(super) disk: Mutex<Disk>,
    /// What a loss of power leaves, where the store does not write through.
    durable: Mutex<Disk>,
    /// What was there before the last write, where the store forgets its tail.
    pub(super) before_last: Mutex<Disk>,
    /// Raised by every handle that a crash took away.
    pub(super) crashes: Mutex<u64>,
    pub(super) written: watch::Sender<u64>,
    /// How many rows lay before a cursor, by its text, where a flaw counts them.
    pub(super) offsets: Mutex<BTreeMap<String, usize>>,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place")
            .field("flaw", &self.flaw)
            .finish_non_exhaustive()
    }
}

impl Place {
    fn new(flaw: Option<Flaw>, key: MasterKey, clock: ManualClock) -> Arc<Self> {
        Arc::new(Self {
            flaw,
            key,
            everybody: TenantId::new("everybody").expect("a short name is an id"),
            clock,
            disk: Mutex::default(),
            durable: Mutex::default(),
            before_last: Mutex::default(),
            crashes: Mutex::new(0),
            written: watch::Sender::new(0),
            offsets: Mutex::default(),
        })
    }

    pub(super) fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    /// Whether a row lies at or behind the begin of a range.
    pub(super) fn reaches(&self, from: Timestamp, row: Timestamp) -> bool {
        row >= from && !(self.has(Flaw::ReadsTimesUnsigned) && from.timestamp_millis() < 0)
    }

    /// Whether a row lies at or behind its tenant's watermark; what does not was removed, but for a flaw.
    pub(super) fn shows(&self, disk: &Disk, tenant: &TenantId, row: Timestamp) -> bool {
        let watermark = disk.tenants.get(tenant).and_then(|tenant| tenant.watermark);
        !self.has(Flaw::ReadsTimesUnsigned) || watermark.is_none_or(|watermark| self.reaches(watermark, row))
    }

    pub(super) fn now(&self) -> Timestamp {
        kaireon_core::time::Clock::now(&self.clock)
    }

    /// What a disconnect does to the disk.
    pub(super) fn close(&self) {
        self.lose_the_tail();
        // The disk's lock comes first, as in a crash.
        let mut disk = self.disk.lock();
        if self.has(Flaw::OutboxIsNotDurable) {
            disk.outbox.clear();
        }
        if self.has(Flaw::SettingsAreNotDurable) {
            for tenant in disk.tenants.values_mut() {
                (tenant.epoch, tenant.watermark) = (Epoch::ZERO, None);
            }
        }
        self.durable.lock().clone_from(&disk);
    }

    fn crash(&self) {
        *self.crashes.lock() += 1;
        if self.has(Flaw::AcknowledgesBeforeDurable) {
            self.disk.lock().clone_from(&self.durable.lock());
        }
        self.lose_the_tail();
    }

    /// Goes back to what was there before the last write, where that is the flaw. What was recorded is to be lost, and no
    /// lease to come back that was given back: nobody would ever give it back again.
    fn lose_the_tail(&self) {
        if !self.has(Flaw::ReopensWithoutTheTail) {
            return;
        }
        let mut before = self.before_last.lock().clone();
        for lane in before.outbox.values_mut() {
            lane.leases.clear();
            lane.askers.clear();
        }
        *self.disk.lock() = before;
    }
}

/// The fixture of a plain store in memory that passes the whole suite, or of one with a flaw.
#[derive(Debug)]
pub struct Fixture {
    place: Arc<Place>,
    elsewhere: Arc<Place>,
}

impl Fixture {
    /// Of the store without a flaw.
    #[must_use]
    pub fn sound() -> Self {
        Self::new(None)
    }

    /// Of a store with a flaw.
    #[must_use]
    pub fn broken(flaw: Flaw) -> Self {
        Self::new(Some(flaw))
    }

    fn new(flaw: Option<Flaw>) -> Self {
        let clock = ManualClock::at(at("2024-07-01T00:00:00Z"));
        let key = MasterKey::new([11; 32]);
        Self {
            place: Place::new(flaw, key.clone(), clock.clone()),
            elsewhere: Place::new(flaw, key, clock),
        }
    }
}

#[async_trait]
impl StoreFixture for Fixture {
    async fn open(&self) -> Arc<dyn InteractionStore> {
        Arc::new(Store::open(Arc::clone(&self.place)))
    }

    fn clock(&self) -> Option<ManualClock> {
        Some(self.place.clock.clone())
    }

    fn master_key(&self) -> Option<MasterKey> {
        Some(self.place.key.clone())
    }

    async fn elsewhere(&self) -> Option<Arc<dyn InteractionStore>> {
        Some(Arc::new(Store::open(Arc::clone(&self.elsewhere))))
    }

    async fn crash(&self) -> bool {
        self.place.crash();
        true
    }
}

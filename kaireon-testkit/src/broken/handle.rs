//! The handles of a place, and the ways to its disk.

use std::collections::BTreeMap;

use kaireon_core::{Result, Summary};
use parking_lot::{Mutex, MutexGuard};

use super::disk::Disk;
use super::flaw::Flaw;
use super::judge::closed;
use super::place::Place;

/// Whether a handle still works.
#[derive(Debug)]
pub(super) struct Handle {
    closed: Mutex<bool>,
    /// How many crashes the place had seen when it was opened; a later one takes it away.
    crashes: u64,
    /// What a flaw has read of customers since the last write through this handle.
    remembered: Mutex<BTreeMap<String, Vec<Summary>>>,
}

impl Handle {
    pub(super) fn open(place: &Place) -> Self {
        Self {
            closed: Mutex::new(false),
            crashes: *place.crashes.lock(),
            remembered: Mutex::default(),
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        *self.closed.lock()
    }

    /// What was read of a customer first; only a flaw asks for it.
    pub(super) fn remembered(&self, name: String, found: Vec<Summary>) -> Vec<Summary> {
        self.remembered.lock().entry(name).or_insert(found).clone()
    }

    /// Ends it; whether that was to be done.
    pub(super) fn close(&self) -> bool {
        !std::mem::replace(&mut *self.closed.lock(), true)
    }
}

impl Place {
    /// The disk, for a handle that still works.
    pub(super) fn disk(&self, handle: &Handle, operation: &'static str) -> Result<MutexGuard<'_, Disk>> {
        let ended = *handle.closed.lock() && !self.has(Flaw::WorksAfterDisconnect);
        if ended || handle.crashes != *self.crashes.lock() {
            return Err(closed(operation));
        }
        Ok(self.disk.lock())
    }

    /// The disk, for a write.
    pub(super) fn disk_mut(&self, handle: &Handle, operation: &'static str) -> Result<MutexGuard<'_, Disk>> {
        let mut disk = self.disk(handle, operation)?;
        disk.sequence += 1;
        handle.remembered.lock().clear();
        if self.has(Flaw::ReopensWithoutTheTail) {
            self.before_last.lock().clone_from(&disk);
        }
        Ok(disk)
    }

    /// Wakes who waits for entries.
    pub(super) fn wake(&self) {
        self.written.send_modify(|count| *count += 1);
    }

    /// Whether its flaw lies in the gap between a look and the unit that writes.
    pub(super) fn looks_away(&self) -> bool {
        let gaps = [
            Flaw::ChecksKeysOutsideTheUnit,
            Flaw::ChecksEpochsOutsideTheUnit,
            Flaw::ErasureMissesWriters,
            Flaw::ReadsSummariesOutsideTheUnit,
        ];
        gaps.into_iter().any(|flaw| self.has(flaw))
    }
}

//! Epochs: which store is a tenant's authority, checked inside the unit that writes.

use serde::{Deserialize, Serialize};

use crate::outbox::LaneSet;
use crate::{Error, ErrorKind, Result, TenantId};

/// The number of a setting of the tenant switch. A write under a lower one than the store's fence is refused
/// inside the atomic unit that would have applied it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch(pub u64);

impl Epoch {
    /// Of a tenant that was never switched, and of callers that know of no switch.
    pub const ZERO: Self = Self(0);

    /// Checks that a write under this epoch passes a fence: every backend asks this inside the atomic unit that
    /// writes.
    ///
    /// # Errors
    /// `Fenced`, transient and not applied, when this is lower than the fence.
    pub fn check(self, fence: Self) -> Result<()> {
        if self < fence {
            return Err(Error::new(
                ErrorKind::Fenced,
                "the epoch of the write is lower than the tenant's fence",
            ));
        }
        Ok(())
    }
}

/// A request to raise a tenant's fence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FenceRequest {
    /// Whose.
    pub tenant: TenantId,
    /// The lowest epoch that may write from now on.
    pub epoch: Epoch,
    /// The lanes that live records of this tenant are written into from now on; `None` leaves them.
    pub lanes: Option<LaneSet>,
}

/// A tenant's fence, and how far its store has come.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FenceState {
    /// The lowest epoch that may write.
    pub epoch: Epoch,
    /// The lanes in force for this tenant.
    pub lanes: LaneSet,
    /// Drawn when the store was made: another number means another store under the same address, or one that may have
    /// gone back in time, where the store's server can tell: a replica was promoted, a backup restored.
    pub incarnation: u64,
    /// Grows with every commit. Lower than one seen before under the same incarnation means that a backup was
    /// restored.
    pub sequence: u64,
}

impl FenceState {
    /// A fence.
    #[must_use]
    pub fn new(epoch: Epoch, lanes: LaneSet, incarnation: u64, sequence: u64) -> Self {
        Self {
            epoch,
            lanes,
            incarnation,
            sequence,
        }
    }
}

//! Erasure of a customer, and retention.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use super::ScanCursor;
use crate::digest::Digest;
use crate::time::Timestamp;
use crate::{CustomerId, Effect, Error, ErrorKind, InteractionId, Result, TenantId, id};

/// How often a customer has been erased. Records carry the one they were accepted under; what carries a lower
/// one than the present is refused and never shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Generation(pub u32);

impl Generation {
    /// Of a customer who was never erased.
    pub const ZERO: Self = Self(0);

    /// The highest that a store takes from outside, with a record or a tombstone: 2^31 − 1. The erasures of the
    /// store's own count on behind it, so that no record or tombstone, however wrong, leaves them no room.
    pub const MAX_GIVEN: Self = Self(u32::MAX >> 1);

    /// The one after this: of an erasure.
    ///
    /// # Errors
    /// `Internal`, not applied, when there is none: the customer was erased 2^31 times behind
    /// [`MAX_GIVEN`](Self::MAX_GIVEN). Counting on from zero would show again what was erased.
    pub fn next(self) -> Result<Self> {
        let next = self.0.checked_add(1).map(Self);
        next.ok_or_else(|| {
            Error::new(ErrorKind::Internal, "the customer's generation can go no higher")
                .with_effect(Effect::NotApplied)
        })
    }

    /// Checks one that comes from outside: every backend asks this before it raises anything.
    ///
    /// # Errors
    /// `InvalidInput` naming `generation` above [`MAX_GIVEN`](Self::MAX_GIVEN).
    pub fn check_given(self) -> Result<()> {
        if self > Self::MAX_GIVEN {
            return Err(Error::invalid("generation", "is higher than a store takes"));
        }
        Ok(())
    }
}

/// The name of one request to erase: the same name resumes and repeats, another one erases again. 1 to 256 bytes
/// without control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ErasureId(Box<str>);

impl ErasureId {
    /// Takes a name, for example of the ticket that asks for it.
    ///
    /// # Errors
    /// `InvalidInput` naming `erasure_id`.
    pub fn new(name: impl AsRef<str>) -> Result<Self> {
        id::check_id("erasure_id", name.as_ref())?;
        Ok(Self(name.as_ref().into()))
    }

    /// A fresh name.
    #[must_use]
    pub fn fresh() -> Self {
        Self(InteractionId::fresh().as_str().into())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ErasureId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ErasureId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let name = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::new(name).map_err(serde::de::Error::custom)
    }
}

/// A request to erase a customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// Whose customer.
    pub tenant: TenantId,
    /// Who.
    pub customer: CustomerId,
    /// The name of the request.
    pub id: ErasureId,
}

/// The proof of an erasure; it is stored with the tombstone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ErasureReceipt {
    /// The name of the request.
    pub id: ErasureId,
    /// The generation that began with it.
    pub generation: Generation,
    /// When its tombstone was committed.
    pub erased_at: Timestamp,
    /// How many things were deleted, by place: `history`, `summaries`, `decisions`, `outbox`, …
    pub deleted: BTreeMap<String, u64>,
}

impl ErasureReceipt {
    /// A receipt without counts yet.
    #[must_use]
    pub fn new(id: ErasureId, generation: Generation, erased_at: Timestamp) -> Self {
        Self {
            id,
            generation,
            erased_at,
            deleted: BTreeMap::new(),
        }
    }

    /// Adds to the count of a place.
    pub fn add(&mut self, place: &str, deleted: u64) {
        *self.deleted.entry(place.to_owned()).or_default() += deleted;
    }
}

/// What stays of an erased customer: a keyed hash and a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// The customer's [`TenantKey`](crate::digest::TenantKey) digest.
    pub customer: Digest,
    /// The generation that began with the erasure.
    pub generation: Generation,
}

/// Which tombstones to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TombstoneQuery {
    /// Whose.
    pub tenant: TenantId,
    /// How many at most, 1 to [`MAX_PAGE`](super::MAX_PAGE).
    pub limit: u32,
    /// Where the last page ended.
    pub cursor: Option<ScanCursor>,
}

impl TombstoneQuery {
    /// The first page of a tenant.
    #[must_use]
    pub fn new(tenant: TenantId) -> Self {
        Self {
            tenant,
            limit: super::MAX_PAGE,
            cursor: None,
        }
    }

    /// Checks the bounds.
    ///
    /// # Errors
    /// `InvalidInput` naming `limit`.
    pub fn check(&self) -> Result<()> {
        super::query::check_limit(self.limit)
    }
}

/// A request to move a tenant's retention watermark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purge {
    /// Whose rows.
    pub tenant: TenantId,
    /// Rows with a timestamp before this go.
    pub before: Timestamp,
}

/// What a purge removed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PurgeReceipt {
    /// The watermark in force now: the highest ever asked for.
    pub watermark: Timestamp,
    /// Interactions removed by this call.
    pub interactions: u64,
    /// Decisions removed by this call.
    pub decisions: u64,
}

impl PurgeReceipt {
    /// A receipt.
    #[must_use]
    pub fn new(watermark: Timestamp, interactions: u64, decisions: u64) -> Self {
        Self {
            watermark,
            interactions,
            decisions,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_that_can_go_no_higher_does_not_begin_anew() {
        let last = Generation(u32::MAX);
        assert_eq!(Generation(u32::MAX - 1).next().unwrap(), last);
        let error = last.next().unwrap_err();
        assert_eq!(
            (error.kind(), error.effect()),
            (ErrorKind::Internal, Effect::NotApplied)
        );
        assert!(!error.is_transient());
    }

    #[test]
    fn the_name_of_an_erasure_is_bounded_however_it_comes_about() {
        let longest = "x".repeat(256);
        let receipt = ErasureReceipt::new(
            ErasureId::new(&longest).unwrap(),
            Generation(1),
            Timestamp::UNIX_EPOCH,
        );
        let json = serde_json::to_string(&receipt).unwrap();
        assert_eq!(serde_json::from_str::<ErasureReceipt>(&json).unwrap(), receipt);
        for wrong in [String::new(), "x".repeat(257), "a\nb".to_owned()] {
            assert_eq!(ErasureId::new(&wrong).unwrap_err().field(), Some("erasure_id"));
            let json = serde_json::to_string(&wrong).unwrap();
            assert!(serde_json::from_str::<ErasureId>(&json).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn what_is_given_leaves_room_for_erasures() {
        Generation::MAX_GIVEN.check_given().unwrap();
        let next = Generation::MAX_GIVEN.next().unwrap();
        assert_eq!(next.check_given().unwrap_err().field(), Some("generation"));
    }
}

//! The scan cursors of an in-memory store: they hold a customer's digest, not the customer.

use crate::digest::Digest;
use crate::store::{HistoryCursor, ScanCursor};
use crate::{Error, RecommendationId, Result};

fn wrong() -> Error {
    Error::invalid("cursor", "is not a scan cursor of this store")
}

fn hex(digest: &Digest) -> String {
    format!("{:032x}", u128::from_be_bytes(*digest.as_bytes()))
}

fn digest(text: &str) -> Result<Digest> {
    if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    let number = u128::from_str_radix(text, 16).map_err(|_| wrong())?;
    Ok(Digest::from_bytes(number.to_be_bytes()))
}

/// After a row: `i.<customer>.<place>`.
pub(super) fn write_row(customer: &Digest, place: &HistoryCursor) -> ScanCursor {
    ScanCursor::new(format!("i.{}.{place}", hex(customer)))
}

pub(super) fn read_row(cursor: &ScanCursor) -> Result<(Digest, HistoryCursor)> {
    let rest = cursor.as_str().strip_prefix("i.").ok_or_else(wrong)?;
    let (customer, place) = rest.split_once('.').ok_or_else(wrong)?;
    Ok((digest(customer)?, place.parse().map_err(|_| wrong())?))
}

/// After a decision: `d.<id>`.
pub(super) fn write_decision(id: &RecommendationId) -> ScanCursor {
    ScanCursor::new(format!("d.{id}"))
}

pub(super) fn read_decision(cursor: &ScanCursor) -> Result<RecommendationId> {
    let id = cursor.as_str().strip_prefix("d.").ok_or_else(wrong)?;
    RecommendationId::new(id).map_err(|_| wrong())
}

/// After a tombstone: `t.<customer>`.
pub(super) fn write_customer(customer: &Digest) -> ScanCursor {
    ScanCursor::new(format!("t.{}", hex(customer)))
}

pub(super) fn read_customer(cursor: &ScanCursor) -> Result<Digest> {
    digest(cursor.as_str().strip_prefix("t.").ok_or_else(wrong)?)
}

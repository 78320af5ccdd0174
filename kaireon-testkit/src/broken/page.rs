//! Pages of what the plain store scans.

use kaireon_core::store::{HistoryCursor, Page, ScanCursor};
use kaireon_core::{Error, Result};

use super::flaw::Flaw;
use super::place::Place;

impl Place {
    /// How many rows lay before a cursor when it was given; only a flaw asks.
    pub(super) fn offset(&self, cursor: Option<&HistoryCursor>) -> Option<usize> {
        self.offsets.lock().get(&cursor?.to_string()).copied()
    }

    /// Notes it, for the flaw that asks.
    pub(super) fn note_offset(&self, cursor: Option<&HistoryCursor>, rows: usize) {
        if let Some(cursor) = cursor.filter(|_| self.has(Flaw::PagesByOffset)) {
            self.offsets.lock().insert(cursor.to_string(), rows);
        }
    }
}

/// A cursor that is one of this store's.
pub(super) fn after<T: std::str::FromStr>(cursor: Option<&ScanCursor>) -> Result<Option<T>> {
    let wrong = || Error::invalid("cursor", "is not a cursor of this store");
    let read = |cursor: &ScanCursor| cursor.as_str().strip_prefix("plain.")?.parse().ok();
    cursor.map(|cursor| read(cursor).ok_or_else(wrong)).transpose()
}

/// A page of a list that only grows at its end or shrinks.
pub(super) fn page<T>(mut items: Vec<(String, T)>, limit: u32) -> Page<T, ScanCursor> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items
        .last()
        .filter(|_| more)
        .map(|(name, _)| ScanCursor::new(format!("plain.{name}")));
    Page {
        items: items.into_iter().map(|(_, item)| item).collect(),
        next,
    }
}

//! Scan cursors of the switch: the store's name, a colon, and the store's own.

use kaireon_core::store::ScanCursor;
use kaireon_core::{Error, Result};

use crate::Backend;

pub(super) fn write(store: &Backend, cursor: &ScanCursor) -> ScanCursor {
    ScanCursor::new(format!("{store}:{}", cursor.as_str()))
}

/// The store and its cursor.
///
/// # Errors
/// `InvalidInput` naming `cursor`.
pub(super) fn read(cursor: &ScanCursor) -> Result<(Backend, ScanCursor)> {
    let wrong = || Error::invalid("cursor", "is not a scan cursor of this store");
    let (store, inner) = cursor.as_str().split_once(':').ok_or_else(wrong)?;
    Ok((Backend::new(store).map_err(|_| wrong())?, ScanCursor::new(inner)))
}

/// A scan does not go on where its tenant was moved.
pub(super) fn of_another_store() -> Error {
    Error::invalid(
        "cursor",
        "is of a store that the tenant was moved from; the scan begins again",
    )
}

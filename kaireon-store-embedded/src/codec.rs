//! The values: a version byte, then compact binary. What cannot be read back is `Corrupt`.

mod entry;
mod state;

pub(crate) use entry::{Told, dead_of, entry_of, put_dead, put_entry, put_recorded};
pub(crate) use kaireon_core::wire::{decision_of, interaction_of, put_decision, put_interaction};
pub(crate) use state::{
    Birth, Dedupe, Head, Pending, Settings, StoredReceipt, customer_of, generation_of, own_of,
    put_generation, put_own,
};

use kaireon_core::time::{self, Timestamp};
use kaireon_core::wire::{Reader, corrupt};
use kaireon_core::{Error, Result};

/// The version of every value.
const VERSION: u8 = 1;

/// Begins a value.
pub(crate) fn put_version(out: &mut Vec<u8>) {
    out.push(VERSION);
}

/// Begins to read a value.
pub(crate) fn open(bytes: &[u8]) -> Result<Reader<'_>> {
    let mut reader = Reader::new(bytes);
    if reader.byte()? != VERSION {
        return Err(corrupt("a stored value is of an unknown version"));
    }
    Ok(reader)
}

/// Reads a time.
fn timestamp(reader: &mut Reader<'_>) -> Result<Timestamp> {
    time::from_millis(reader.signed()?).ok_or_else(|| corrupt("a stored time is out of range"))
}

/// A stored part that its own type refuses.
fn refused(_: Error) -> Error {
    corrupt("a stored value is out of bounds")
}

#[cfg(test)]
mod tests;

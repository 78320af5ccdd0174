//! The values: a version byte, then compact binary. What cannot be read back is `Corrupt`.

mod entry;
mod record;
mod state;

pub(crate) use entry::{Told, dead_of, entry_of, put_dead, put_entry, put_recorded};
pub(crate) use record::{decision_of, interaction_of, put_decision, put_interaction};
pub(crate) use state::{
    Birth, Dedupe, Head, Pending, Settings, StoredReceipt, customer_of, generation_of, put_customer,
    put_generation,
};

use kaireon_core::wire::{Reader, corrupt};
use kaireon_core::{Error, Result};

/// The version of every value.
const VERSION: u8 = 1;

/// Begins to read a value.
fn open(bytes: &[u8]) -> Result<Reader<'_>> {
    let mut reader = Reader::new(bytes);
    if reader.byte()? != VERSION {
        return Err(corrupt("a stored value is of an unknown version"));
    }
    Ok(reader)
}

/// A stored part that its own type refuses.
fn refused(_: Error) -> Error {
    corrupt("a stored value is out of bounds")
}

#[cfg(test)]
mod tests;

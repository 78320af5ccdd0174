//! Reading: plain functions over a [`View`], run where blocking is allowed.

mod lanes;
mod rows;
mod summaries;

pub(crate) use lanes::{dead_letters, fetch, oldest};
pub(crate) use rows::{decision, history, scan, scan_decisions, tombstones, walk};
pub(crate) use summaries::{count, from_memory, summaries};

use fjall::Slice;
use kaireon_core::Result;
use kaireon_core::store::Generation;

use crate::client::{Space, View};
use crate::codec;

/// A customer's generation and own value; `None` for one who has nothing under the present generation.
pub(crate) fn customer(view: &View, key: &[u8]) -> Result<Option<(Generation, Slice)>> {
    match view.get(Space::Customers, key)? {
        Some(value) => Ok(Some((codec::customer_of(&value)?.0, value))),
        None => Ok(None),
    }
}

//! Reading: plain functions over a [`View`], run where blocking is allowed.

mod lanes;
mod rows;
mod summaries;

pub(crate) use lanes::{Waiting, backlog, dead_letters, fetch, oldest};
pub(crate) use rows::{decision, history, scan, scan_decisions, tombstones, walk};
pub(crate) use summaries::{count, from_memory, summaries};

use kaireon_core::store::Generation;
use kaireon_core::{CustomerId, Result, TenantId};

use crate::client::{Space, View};
use crate::codec;
use crate::keys;
use crate::shared::Tenant;

/// A customer's present generation. The tenant's settings are to be read after the view was taken, so that an erasure
/// that the view has seen is known.
pub(crate) fn generation(
    view: &View,
    tenant: &TenantId,
    of: &Tenant,
    customer: &CustomerId,
) -> Result<Generation> {
    if !of.settings.erasures {
        return Ok(Generation::ZERO);
    }
    let found = view.get(
        Space::Tombstones,
        &keys::by_digest(tenant, &of.key.customer(customer)),
    )?;
    Ok(found
        .map(|value| codec::generation_of(&value))
        .transpose()?
        .unwrap_or_default())
}

//! When the plain store forgets a key, and when its flaws do.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use kaireon_core::TenantId;

use super::disk::{Disk, Known};
use super::flaw::Flaw;
use super::place::Place;

/// How long a key is kept after its arrival, at least.
const HORIZON: TimeDelta = TimeDelta::days(30);

impl Place {
    /// Drops a tenant's keys that arrived longer ago than the horizon and whose row is gone.
    pub(super) fn forget_keys(&self, disk: &mut Disk, tenant: &TenantId) {
        let customers = disk.customers.values().filter(|found| found.tenant == *tenant);
        let rows = customers.flat_map(|found| found.rows.values());
        let standing: BTreeSet<_> = rows.map(|row| self.key_name(&row.value)).collect();
        let tenant = disk.tenant(tenant);
        let (keys, decisions) = (&mut tenant.keys, &tenant.decisions);
        keys.retain(|name, known| !self.forgets(known, standing.contains(name)));
        let known_decisions = &mut tenant.recommendations;
        known_decisions.retain(|id, known| !self.forgets(known, decisions.contains_key(id)));
    }

    fn forgets<I>(&self, known: &Known<I>, row_stands: bool) -> bool {
        let since = match self.has(Flaw::KeysAgeByTimestamp) {
            true => known.timestamp,
            false => known.arrived,
        };
        let old = self.now() - since > HORIZON;
        match self.flaw {
            Some(Flaw::ForgetsKeysOfRowsThatStand) => old,
            Some(Flaw::PurgeForgetsKeys) => !row_stands,
            _ => old && !row_stands,
        }
    }
}

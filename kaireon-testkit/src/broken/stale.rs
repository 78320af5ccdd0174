//! How a flaw writes summaries that it has read before the unit that writes.

use kaireon_core::Interaction;
use kaireon_core::store::Record;

use super::disk::{Disk, Summaries};
use super::flaw::Flaw;
use super::place::Place;

/// The summaries that were read, with the name of their customer.
pub(super) type Stale = (String, Summaries);

impl Place {
    /// What the customers of these records have.
    pub(super) fn stale_summaries(&self, disk: &Disk, records: &[Record<Interaction>]) -> Vec<Stale> {
        if !self.has(Flaw::ReadsSummariesOutsideTheUnit) {
            return Vec::new();
        }
        let read = |record: &Record<Interaction>| {
            let name = self.name(&record.value.tenant, &record.value.customer);
            let found = disk.customers.get(&name).map(|found| found.summaries.clone());
            (name, found.unwrap_or_default())
        };
        records.iter().map(read).collect()
    }
}

impl Disk {
    /// Puts them in the place of what there is by now.
    pub(super) fn bring_back(&mut self, stale: Vec<Stale>) {
        for (name, summaries) in stale {
            if let Some(found) = self.customers.get_mut(&name) {
                found.summaries = summaries;
            }
        }
    }
}

//! How a flaw shows the summaries of a write before its rows.

use kaireon_core::Interaction;
use kaireon_core::store::{Accepted, HistoryCursor};

use super::disk::Disk;
use super::place::Place;

/// A row that is to appear later, with the name of its customer.
pub(super) type Late = (String, Accepted<Interaction>);

impl Place {
    /// Takes the rows of these records out again.
    pub(super) fn hide_rows(&self, disk: &mut Disk, records: &[Interaction]) -> Vec<Late> {
        let hide = |record: &Interaction| {
            let name = self.name(&record.tenant, &record.customer);
            let rows = &mut disk.customers.get_mut(&name)?.rows;
            Some((name, rows.remove(&HistoryCursor::after(record))?))
        };
        records.iter().filter_map(hide).collect()
    }

    /// Puts them in.
    pub(super) fn show_rows(&self, late: Vec<Late>) {
        let mut disk = self.disk.lock();
        for (name, row) in late {
            if let Some(customer) = disk.customers.get_mut(&name) {
                customer.rows.insert(HistoryCursor::after(&row.value), row);
            }
        }
    }
}

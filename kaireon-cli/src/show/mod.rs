//! Reports for people: as they are read on a terminal, and as they are pasted into a ticket.

mod page;
mod rehearsal;
mod runs;
mod status;
mod steps;
mod tables;

use kaireon::core::time::Timestamp;

pub(crate) use page::Page;
pub(crate) use rehearsal::{advice, cleaned_up, rehearsal};
pub(crate) use runs::{backfill, export, verify};
pub(crate) use status::status;
pub(crate) use steps::{finalise, pace, step};
pub(crate) use tables::tables;

/// A time, to the second.
pub(crate) fn moment(at: Timestamp) -> String {
    at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

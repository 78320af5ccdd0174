//! Reading: one statement each, in one snapshot.

mod decisions;
mod history;
mod row;
mod scan;
mod summaries;
mod tombstones;

pub(crate) use decisions::decision;
pub(crate) use history::history;
pub(crate) use scan::scan;
pub(crate) use summaries::{closed_summary, summaries};
pub(crate) use tombstones::tombstones;

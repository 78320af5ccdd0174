//! Reading back, for a backfill: a tenant's days in parallel, each object verified before any of its lines is given
//! out, from wherever an earlier reading ended.

mod day;
mod parallel;
mod position;

use kaireon_core::store::Accepted;

pub use day::DayReader;
pub use parallel::{ReadOptions, Reader};
pub use position::{DayPosition, ReadProgress};

use crate::Day;

/// A line that is no record of its day. Its content is not told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BadLine {
    /// The object, by its name in the folder of the day.
    pub object: String,
    /// The line, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub reason: String,
}

/// Some records of one object, in its order.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Chunk<T> {
    /// Whose partition it lies in.
    pub day: Day,
    /// The object, by its name in the folder of the day.
    pub object: String,
    /// The records, each with the generation it was accepted under.
    pub records: Vec<Accepted<T>>,
    /// The line of each of them, from 1.
    pub lines: Vec<u64>,
    /// Lines between them that are no records, and so are not among them.
    pub bad: Vec<BadLine>,
    /// Where to go on in this day once the chunk was applied.
    pub position: DayPosition,
}

//! Deliberately wrong caches and fetches, by which the suite is shown to bite.

mod cache;
mod fixture;
mod flaw;
mod lease;

pub use fixture::Fixture;
pub use flaw::Flaw;

//! Deliberately wrong stores, by which the suite is shown to bite.
//!
//! One plain store in memory passes the whole suite; each [`Flaw`] alters one rule of it. A test runs the suite
//! against each, and compares the cases that fail with those that [`Flaw::caught_by`] names.

mod apply;
mod disk;
mod expected;
mod flaw;
mod handle;
mod horizon;
mod judge;
mod late;
mod leases;
mod outbox;
mod page;
mod place;
mod read;
mod retention;
mod stale;
mod store;

pub use flaw::Flaw;
pub use place::Fixture;

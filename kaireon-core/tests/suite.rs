//! The one test binary of this crate.
#![allow(clippy::unwrap_used, reason = "a panic in a test is the report")]

mod bounds;
mod concerns;
mod reference;
mod search;
mod vectors;

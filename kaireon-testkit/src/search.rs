//! The search index's suite: what every backend must do, rule by rule.

#![allow(clippy::unwrap_used, reason = "a case is a test: its panic is the report")]

pub mod broken;
pub mod cursors;
pub mod deletion;
pub mod documents;
pub mod erasure;
pub mod facets;
pub mod filters;
mod fixture;
pub mod fuzzy;
pub mod handles;
pub mod highlights;
pub mod hostile;
mod macros;
pub mod rebuilds;
pub mod sorting;
pub mod tenants;
pub mod text;
pub mod versions;
mod world;

pub use fixture::SearchFixture;

use crate::suite::Case;

/// Every case of the search index, as data.
pub static CASES: &[Case<dyn SearchFixture>] = crate::__search_cases! { __case_table () };

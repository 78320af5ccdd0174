//! The fault proxy, before servers of its own tests.

mod links;
mod messages;
mod peer;
mod rules;

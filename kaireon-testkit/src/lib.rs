//! The executable specification of kaireon: conformance suites, model tests, crash and fault drivers.

pub mod broken;
mod captor;
pub mod fault;
mod fixture;
mod macros;
pub mod outbox;
pub mod store;
pub mod suite;
mod world;

pub use fixture::{StoreFixture, Wrapped};

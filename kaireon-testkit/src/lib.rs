//! The executable specification of kaireon: conformance suites, model tests, crash and fault drivers.

pub mod breaker;
pub mod broken;
pub mod cache;
mod captor;
pub mod crash;
mod family;
pub mod fault;
mod fixture;
pub mod limiter;
mod macros;
pub mod model;
pub mod outbox;
pub mod publisher;
pub mod search;
pub mod store;
pub mod suite;
mod world;

pub use fixture::{StoreFixture, Wrapped};

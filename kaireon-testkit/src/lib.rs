//! The executable specification of kaireon: conformance suites, model tests, crash and fault drivers.
//!
//! A backend of your own implements a contract of `kaireon-core` and runs that contract's suite. One line makes one
//! test per behaviour; the names read as sentences:
//!
//! ```
//! # async fn my_store() -> kaireon_testkit::broken::Fixture { kaireon_testkit::broken::Fixture::sound() }
//! // In tests/suite.rs; the expression makes a fixture, which implements `kaireon_testkit::StoreFixture`.
//! kaireon_testkit::store_suite!(my_store().await);
//! # fn main() {}
//! ```
//!
//! What a backend declares away in its capabilities is printed, and then must answer `Unsupported`. Idempotency,
//! summaries, bounds, tenants and errors cannot be declared away. Every case is watched: customer ids, idempotency
//! keys and attributes in a log, a span, a metric's label or an error's text fail it.
//!
//! | for | use |
//! |---|---|
//! | the interaction store and its outbox, case by case | [`store_suite!`], [`StoreFixture`]; as data [`store::CASES`] |
//! | any sequence of operations, against the in-memory reference | [`store_model!`], [`model::check`] |
//! | SIGKILL at random instants | [`crash::Driver`] |
//! | errors before and after the effect, delays, hangs | [`fault::Faulty`], [`fault::Plan`] |
//! | a connection that is cut, delayed or half-open, at a byte or at a message | [`proxy::Proxy`], [`proxy::Rule`] |
//! | a server of a test's own, killed and started again (features `postgres-server`, `redis-server`) | `server::PostgresServer`, `server::RedisServer` |
//! | the suite through wrappers | [`Wrapped`] |
//! | showing that the suite bites | [`broken::Flaw`], [`broken::Fixture`] |
//! | the other contracts | [`publisher`], [`cache`], [`search`], [`limiter`], [`breaker`], [`settings`] |

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
pub mod proxy;
pub mod publisher;
pub mod search;
#[cfg(any(feature = "postgres-server", feature = "redis-server"))]
pub mod server;
pub mod settings;
pub mod store;
pub mod suite;
mod world;

pub use fixture::{StoreFixture, Wrapped};

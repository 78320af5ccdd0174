//! Wrappers: what is the same over every backend, and so never inside an adapter.
//!
//! | wrapper | what it adds |
//! |---|---|
//! | [`Retry`] | tries again what is transient, and either not applied or idempotent |
//! | [`Timeout`] | ends a call that takes too long |
//! | [`ConcurrencyLimit`] | lets at most so many calls through at once |
//! | [`Trace`] | spans and metrics under OpenTelemetry's names |
//!
//! Each wraps any implementation of a contract (`InteractionStore`, `Outbox`, `EventPublisher`, `SearchIndex`,
//! `CacheStore`, `RateLimiter`, `CircuitBreaker`) and implements the same contract; the outbox of a wrapped store is wrapped as
//! well. What answers at once (`capabilities`, `has_subscribers`, `flights`, `peek`) passes through all of them.
//!
//! # Order
//!
//! The outermost wrapper sees a call first, so the order of two changes what they mean:
//!
//! | from outside in | what it means |
//! |---|---|
//! | `Retry<Timeout<S>>` | the limit is for an attempt; a slow attempt is tried again |
//! | `Timeout<Retry<S>>` | the limit is for the whole call, all attempts and pauses together |
//! | `Retry<ConcurrencyLimit<S>>` | a place is held during an attempt, not during a pause |
//! | `ConcurrencyLimit<Retry<S>>` | a place is held until the call has ended, pauses included |
//! | `ConcurrencyLimit<Timeout<S>>` | time spent waiting for a place is not counted against the limit |
//! | `Timeout<ConcurrencyLimit<S>>` | it is |
//! | `Trace<Retry<S>>` | one span and one measurement for a call |
//! | `Retry<Trace<S>>` | one for each attempt |
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//! use kaireon_core::InteractionStore;
//! use kaireon_core::wrap::{ConcurrencyLimit, Retry, RetryPolicy, Timeout, Trace};
//!
//! /// Two seconds for an attempt, ten for the call, 64 attempts at once, measured as the caller sees it.
//! fn guarded(store: Arc<dyn InteractionStore>) -> Arc<dyn InteractionStore> {
//!     let attempt = Timeout::new(ConcurrencyLimit::new(store, 64), Duration::from_secs(2));
//!     let call = Timeout::new(Retry::new(attempt, RetryPolicy::default()), Duration::from_secs(10));
//!     Arc::new(Trace::new(call))
//! }
//! ```
//!
//! # Dropped futures
//! A wrapper adds no task and no state of its own to a call: what a dropped future leaves is what the wrapped
//! call leaves.

mod concurrency;
mod guard;
mod name;
mod operation;
mod retry;
mod timeout;
mod trace;

pub use concurrency::ConcurrencyLimit;
pub use retry::{FullJitter, Jitter, Retry, RetryPolicy};
pub use timeout::Timeout;
pub use trace::{Trace, describe_metrics};

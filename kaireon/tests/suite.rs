//! The facade's tests, in one binary.

#![allow(
    clippy::unwrap_used,
    reason = "also the helpers beside the tests report by panicking"
)]

#[path = "suite/ahead.rs"]
mod ahead;
#[path = "suite/custom.rs"]
mod custom;
#[cfg(feature = "embedded")]
#[path = "suite/embedded.rs"]
mod embedded;
#[path = "suite/erasure.rs"]
mod erasure;
#[path = "suite/events.rs"]
mod events;
#[path = "suite/health.rs"]
mod health;
#[cfg(feature = "logging")]
#[path = "suite/logs.rs"]
mod logs;
#[cfg(feature = "postgres")]
#[path = "suite/postgres.rs"]
mod postgres;
#[path = "suite/reset.rs"]
mod reset;
#[path = "suite/shutdown.rs"]
mod shutdown;
#[cfg(unix)]
#[path = "suite/signals.rs"]
mod signals;
#[path = "suite/support.rs"]
mod support;
#[path = "suite/validation.rs"]
mod validation;

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
#[cfg(all(feature = "http", feature = "embedded"))]
#[path = "suite/http/mod.rs"]
mod http;
#[cfg(feature = "logging")]
#[path = "suite/logs.rs"]
mod logs;
#[cfg(feature = "postgres")]
#[path = "suite/postgres.rs"]
mod postgres;
#[cfg(feature = "redis")]
#[path = "suite/redis.rs"]
mod redis;
#[path = "suite/reset.rs"]
mod reset;
#[cfg(feature = "sessions")]
#[path = "suite/sessions.rs"]
mod sessions;
#[path = "suite/shutdown.rs"]
mod shutdown;
#[cfg(unix)]
#[path = "suite/signals.rs"]
mod signals;
#[path = "suite/support.rs"]
mod support;
#[cfg(all(feature = "switch", feature = "embedded"))]
#[path = "suite/switch/mod.rs"]
mod switch;
#[path = "suite/validation.rs"]
mod validation;

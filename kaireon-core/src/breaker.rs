//! Circuit breakers: stop calling what fails, and probe it with one call at a time.

mod circuit;
mod fallback;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

pub use circuit::Circuit;
pub use fallback::FallbackBreaker;

use crate::{Error, Result};

/// When a breaker opens and closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerConfig {
    /// After how many failures in a row it opens, from 1; 5 by default.
    pub failures: u32,
    /// How long it stays open before one probe is let through; 10 s by default.
    pub open_for: Duration,
    /// How many probes in a row must succeed before it closes, from 1; 1 by default.
    pub probes: u32,
    /// After how long an unanswered probe counts as failed and another is let through; 30 s by default.
    pub probe_timeout: Duration,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            failures: 5,
            open_for: Duration::from_secs(10),
            probes: 1,
            probe_timeout: Duration::from_secs(30),
        }
    }
}

impl BreakerConfig {
    /// Checks the bounds.
    ///
    /// # Errors
    /// `InvalidInput` naming `failures`, `open_for`, `probes` or `probe_timeout`.
    pub fn check(&self) -> Result<()> {
        let Self {
            failures,
            open_for,
            probes,
            probe_timeout,
        } = *self;
        for (field, wrong) in [
            ("failures", failures == 0),
            ("open_for", open_for.is_zero()),
            ("probes", probes == 0),
            ("probe_timeout", probe_timeout.is_zero()),
        ] {
            if wrong {
                return Err(Error::invalid(field, "is zero"));
            }
        }
        Ok(())
    }
}

/// How a breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Calls go through.
    Closed,
    /// Calls are refused.
    Open,
    /// One probe at a time goes through.
    HalfOpen,
}

/// Checks a breaker's name.
///
/// # Errors
/// `InvalidInput` naming `breaker`, when it is not 1 to 256 bytes without control characters.
pub fn check_name(breaker: &str) -> Result<()> {
    crate::id::check_id("breaker", breaker)
}

/// Whether a call may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may. Report its result with this number, by which a late report is told from a timely one.
    Admitted(u64),
    /// It may not; try again after so long.
    Refused(Duration),
}

/// How an admitted call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallResult {
    /// The callee answered.
    Success,
    /// It did not.
    Failure,
}

/// The state of named breakers, in this process or shared between instances.
#[async_trait]
pub trait CircuitBreaker: Send + Sync + fmt::Debug {
    /// Asks whether a call may go on. A caller that is admitted and never reports is taken for a failure after
    /// `probe_timeout` when it was a probe, and for nothing otherwise.
    ///
    /// # Errors
    /// `InvalidInput` naming `breaker` (1 to 256 bytes without control characters); `Unavailable` or `Timeout` where there
    /// is a server (see [`FallbackBreaker`]).
    async fn admit(&self, breaker: &str) -> Result<Admission>;

    /// Reports how an admitted call ended. Reports of calls admitted before the last change of state are
    /// ignored.
    ///
    /// # Errors
    /// As for [`admit`](Self::admit).
    async fn report(&self, breaker: &str, admission: u64, result: CallResult) -> Result<()>;

    /// How the breaker stands now.
    ///
    /// # Errors
    /// As for [`admit`](Self::admit).
    async fn state(&self, breaker: &str) -> Result<BreakerState>;
}

const _: fn(&dyn CircuitBreaker) = |_| {};

/// The error of a refused call.
#[must_use]
pub fn refused(retry_after: Duration) -> Error {
    Error::new(crate::ErrorKind::Unavailable, "the circuit breaker is open")
        .with_effect(crate::Effect::NotApplied)
        .with_retry_after(retry_after)
}

//! The attempts of one call.

use std::time::Duration;

use tokio::time::Instant;

use super::policy::{Jitter, RetryPolicy};
use crate::wrap::operation::{Operation, Repeat};
use crate::{Effect, Error, ErrorKind, Result};

/// What is known of a call after some attempts.
pub(super) struct Attempts<'a> {
    operation: Operation,
    policy: &'a RetryPolicy,
    jitter: &'a dyn Jitter,
    started: Instant,
    made: u32,
    /// Whether one of the attempts may have been applied.
    maybe_applied: bool,
}

impl<'a> Attempts<'a> {
    /// The first attempt begins now.
    pub(super) fn begin(operation: Operation, policy: &'a RetryPolicy, jitter: &'a dyn Jitter) -> Self {
        Self {
            operation,
            policy,
            jitter,
            started: Instant::now(),
            made: 1,
            maybe_applied: false,
        }
    }

    /// Whether what failed so may be sent again.
    pub(super) fn may_repeat(&self, error: &Error) -> bool {
        error.is_transient()
            && error.kind() != ErrorKind::Fenced
            && (error.effect() == Effect::NotApplied || self.operation.repeat() == Repeat::Always)
    }

    /// Whether an earlier attempt of the whole call may have been applied.
    pub(super) fn maybe_applied(&self) -> bool {
        self.maybe_applied
    }

    /// Pauses before the next attempt, or says with which error the call ends.
    pub(super) async fn pause_after(&mut self, error: Error) -> Result<()> {
        let ended = doubtful(error.clone(), self.maybe_applied);
        if !self.may_repeat(&error) {
            return Err(ended);
        }
        if !self.pause(error.retry_after(), error.kind()).await {
            return Err(ended.with_transient(false));
        }
        self.maybe_applied |= error.effect() == Effect::Unknown;
        Ok(())
    }

    /// Pauses before the next attempt, at least as long as the backend asked for; `false` when none is allowed.
    pub(super) async fn pause(&mut self, asked: Option<Duration>, kind: ErrorKind) -> bool {
        let elapsed = self.started.elapsed();
        let Some(pause) = self.policy.pause(self.made, elapsed, asked, self.jitter) else {
            return false;
        };
        tracing::debug!(
            operation = self.operation.name(),
            attempt = self.made,
            "error.type" = kind.as_str(),
            pause_ms = pause.as_secs_f64() * 1e3,
            "trying again"
        );
        tokio::time::sleep(pause).await;
        self.made += 1;
        true
    }
}

/// The error of an attempt after others of which one may have been applied.
pub(super) fn doubtful(error: Error, maybe_applied: bool) -> Error {
    // A conflict is an answer about the record that is there: had an attempt of ours been applied, the record
    // would be ours, and the answer a duplicate.
    if maybe_applied && error.kind() != ErrorKind::Conflict {
        return error.with_effect(Effect::Unknown);
    }
    error
}

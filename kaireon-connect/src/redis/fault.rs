//! A failed call, with what follows from it and without what must not be told.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;

use kaireon_core::{Effect, Error, ErrorKind};
use redis::RedisError;

use super::meaning::{Meaning, meaning};
use crate::text::one_line;

/// A failed call.
///
/// It holds the server's code and never its text, which may quote a key. It is the source of the [`Error`] that
/// [`into_error`](Self::into_error) makes.
#[derive(Clone)]
pub struct RedisFault {
    kind: ErrorKind,
    effect: Effect,
    transient: bool,
    what: &'static str,
    code: Option<Arc<str>>,
    io: Option<Arc<str>>,
    leave: bool,
    /// Whether the command was handed to a connection.
    sent: bool,
}

impl RedisFault {
    fn new(kind: ErrorKind, transient: bool, what: &'static str) -> Self {
        Self {
            kind,
            effect: Effect::NotApplied,
            transient,
            what,
            code: None,
            io: None,
            leave: false,
            sent: true,
        }
    }

    /// The server's refusal.
    pub(crate) fn refused(error: &redis::ServerError) -> Self {
        Self::by_code(error.code(), error.details().unwrap_or_default())
    }

    /// The server's refusal of a command that a script gave it, in the words that the script was told.
    #[must_use]
    pub fn told(text: &str) -> Self {
        let text = text.trim_start_matches('-');
        let (code, details) = text.split_once(' ').unwrap_or((text, ""));
        Self::by_code(code, details)
    }

    fn by_code(code: &str, details: &str) -> Self {
        let Meaning {
            kind,
            transient,
            what,
            leave,
        } = meaning(code, details);
        Self {
            code: Some(code.into()),
            leave,
            ..Self::new(kind, transient, what)
        }
    }

    /// The connection broke after the command was handed to it; whether it was done is unknown.
    pub(crate) fn broken(error: &RedisError) -> Self {
        let mut fault = Self::new(ErrorKind::Unavailable, true, "the connection broke");
        if error.kind() == redis::ErrorKind::Parse {
            fault = Self::new(ErrorKind::Unavailable, true, "the answer is not in the protocol");
        }
        fault.with_effect(Effect::Unknown)
    }

    /// Listening did not begin.
    pub(crate) fn not_listening(error: &RedisError) -> Self {
        match error.code() {
            _ if error.kind() == redis::ErrorKind::AuthenticationFailed => {
                Self::by_code("WRONGPASS", error.detail().unwrap_or_default())
            }
            Some(code) => Self::by_code(code, error.detail().unwrap_or_default()),
            None => Self::broken(error).with_effect(Effect::NotApplied),
        }
    }

    /// No connection was to be had.
    pub(crate) fn unreachable(error: &io::Error) -> Self {
        let mut fault = match error.kind() {
            // rustls reports a refused certificate as this kind.
            io::ErrorKind::InvalidData => Self::new(ErrorKind::Config, false, "the tls handshake failed"),
            _ => Self::new(ErrorKind::Unavailable, true, "the server cannot be reached"),
        };
        fault.io = Some(one_line(&error.to_string()).into());
        fault
    }

    /// Nothing answered in time; before anything was sent, nothing was done.
    pub(crate) fn late(effect: Effect) -> Self {
        let what = match effect {
            Effect::NotApplied => "no connection was to be had in time",
            Effect::Unknown => "no answer came in time",
        };
        let kind = match effect {
            Effect::NotApplied => ErrorKind::Unavailable,
            Effect::Unknown => ErrorKind::Timeout,
        };
        Self::new(kind, true, what).with_effect(effect)
    }

    /// Nothing was tried, because it cannot be for now.
    pub(crate) fn unavailable(what: &'static str) -> Self {
        Self::new(ErrorKind::Unavailable, true, what)
    }

    /// What was asked for is not there.
    pub(crate) fn config(what: &'static str) -> Self {
        Self::new(ErrorKind::Config, false, what)
    }

    /// The server's answer is not what the command's answer can be.
    pub(crate) fn strange(what: &'static str) -> Self {
        Self::new(ErrorKind::Internal, false, what)
    }

    /// This handle was closed.
    pub(crate) fn closed() -> Self {
        Self::new(ErrorKind::Unavailable, false, "this handle was disconnected")
    }

    pub(crate) fn with_effect(mut self, effect: Effect) -> Self {
        self.effect = effect;
        self
    }

    /// The same of a command that there was no connection for.
    pub(crate) fn not_sent(mut self) -> Self {
        self.sent = false;
        self.with_effect(Effect::NotApplied)
    }

    pub(crate) fn was_sent(&self) -> bool {
        self.sent
    }

    /// Whether the connection is not to be used again.
    pub(crate) fn leaves(&self) -> bool {
        self.leave
    }

    /// Whether another node may have the slot by now: this one did not answer, or does not serve it.
    pub(crate) fn asks_for_a_look(&self) -> bool {
        self.sent && (self.leave || matches!(self.code(), None | Some("CLUSTERDOWN")))
    }

    /// The server's code, where the server answered.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether the command may have been done.
    #[must_use]
    pub fn effect(&self) -> Effect {
        self.effect
    }

    /// Whether the same may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.transient
    }

    /// The error of the contracts, with this as its source; the caller adds the operation.
    #[must_use]
    pub fn into_error(self) -> Error {
        Error::new(self.kind, self.what)
            .with_backend(super::BACKEND)
            .with_transient(self.transient)
            .with_effect(self.effect)
            .with_source(self)
    }
}

impl fmt::Display for RedisFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)?;
        if let Some(code) = &self.code {
            write!(f, " ({code})")?;
        }
        if let Some(io) = &self.io {
            write!(f, ": {io}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for RedisFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisFault")
            .field("kind", &self.kind)
            .field("effect", &self.effect)
            .field("transient", &self.transient)
            .field("what", &self.what)
            .field("code", &self.code)
            .field("io", &self.io)
            .finish_non_exhaustive()
    }
}

impl StdError for RedisFault {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_breaks_is_unknown_and_one_that_was_not_there_is_not_applied() {
        let broken = RedisFault::broken(&io::Error::from(io::ErrorKind::ConnectionReset).into()).into_error();
        assert_eq!(
            (broken.kind(), broken.effect()),
            (ErrorKind::Unavailable, Effect::Unknown)
        );
        assert!(broken.is_transient());
        let absent = RedisFault::unreachable(&io::ErrorKind::ConnectionRefused.into()).into_error();
        assert_eq!(
            (absent.kind(), absent.effect()),
            (ErrorKind::Unavailable, Effect::NotApplied)
        );
        assert!(absent.is_transient());
        let tls = RedisFault::unreachable(&io::ErrorKind::InvalidData.into()).into_error();
        assert!(tls.kind() == ErrorKind::Config && !tls.is_transient());
        assert!(!RedisFault::closed().into_error().is_transient());
    }

    #[test]
    fn what_is_late_was_not_done_before_it_was_sent() {
        let before = RedisFault::late(Effect::NotApplied);
        assert_eq!(
            (before.kind(), before.effect()),
            (ErrorKind::Unavailable, Effect::NotApplied)
        );
        let after = RedisFault::late(Effect::Unknown);
        assert_eq!(
            (after.kind(), after.effect()),
            (ErrorKind::Timeout, Effect::Unknown)
        );
    }

    #[test]
    fn the_error_names_the_backend_and_keeps_the_fault() {
        let error = RedisFault::late(Effect::Unknown).into_error();
        assert_eq!(error.to_string(), "redis: timeout: no answer came in time");
        let source = StdError::source(&error).unwrap();
        assert!(source.downcast_ref::<RedisFault>().is_some());
    }
}

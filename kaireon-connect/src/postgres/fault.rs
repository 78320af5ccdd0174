//! A failed call of the driver, with what follows from it and without what must not be told.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::Duration;

use kaireon_core::{Effect, Error, ErrorKind};
use sqlx::postgres::{PgDatabaseError, PgSeverity};

use super::sqlstate::meaning;
use crate::text::one_line;

/// How far a unit of work had come when it failed, which decides whether it may have taken effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Before anything was sent: a connection was waited for or opened.
    Connect,
    /// Inside an explicit transaction whose `COMMIT` was not sent: whatever fails, nothing was applied.
    InTransaction,
    /// At `COMMIT`, or at a lone statement that commits by itself: where no answer came, nobody knows.
    Commit,
}

/// A failed call of the driver.
///
/// It holds the server's code, and of the server's texts only what names objects, never what may quote a value: a
/// unique violation's detail spells out the key, which may be a customer's id. It is the source of the [`Error`] that
/// [`into_error`](Self::into_error) makes.
#[derive(Clone)]
pub struct PgFault {
    kind: ErrorKind,
    effect: Effect,
    transient: bool,
    retry_after: Option<Duration>,
    what: &'static str,
    sqlstate: Option<String>,
    text: Option<String>,
    constraint: Option<String>,
    stale_plan: bool,
}

impl PgFault {
    /// Reads the driver's error.
    #[must_use]
    pub fn new(error: &sqlx::Error, phase: Phase) -> Self {
        let answered = match error {
            sqlx::Error::Database(answer) => {
                if let Some(answer) = answer.try_downcast_ref::<PgDatabaseError>() {
                    return Self::answered(answer, phase);
                }
                true
            }
            _ => false,
        };
        let (kind, transient, what) = unanswered(error, phase);
        let effect = match error {
            // Nothing was sent.
            sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Encode(_) => {
                Effect::NotApplied
            }
            _ if phase == Phase::Commit && !answered => Effect::Unknown,
            _ => Effect::NotApplied,
        };
        Self {
            kind,
            effect,
            transient,
            retry_after: None,
            what,
            sqlstate: None,
            text: text_of(error, phase),
            constraint: None,
            stale_plan: false,
        }
    }

    fn answered(answer: &PgDatabaseError, phase: Phase) -> Self {
        let code = answer.code();
        let mut meaning = meaning(code);
        // A table was altered under a prepared statement; the connection that keeps it must go. The routine's name,
        // unlike the text, is in no language.
        let stale_plan = code == "0A000" && answer.routine() == Some("RevalidateCachedQuery");
        if stale_plan {
            meaning.kind = ErrorKind::Unavailable;
            meaning.transient = true;
            meaning.what = "a table was altered under a prepared statement";
        }
        if code == "23514" && answer.constraint().is_none() {
            // The server says the same of a row for which there is no partition, which is not the row's fault.
            meaning.kind = ErrorKind::Internal;
            meaning.what = "there is no partition for a row";
        }
        // An `ERROR` rolled its statement back. What ends the session may have come when the commit was done, and
        // class 08 is said by a pooler that lost the server.
        let ended =
            !matches!(answer.severity(), PgSeverity::Error) || code.starts_with("08") || code == "40003";
        // Said before the server reads the next message, so before it could have read a commit.
        let waited = matches!(code, "25P03" | "57P05");
        let effect = if phase == Phase::Commit && ended && !waited {
            Effect::Unknown
        } else {
            Effect::NotApplied
        };
        if phase == Phase::Connect && code == "08P01" {
            // A pooler's refusal of what it was asked for at the start.
            meaning.what = "the server or pooler refuses the connection";
        }
        Self {
            kind: meaning.kind,
            effect,
            transient: meaning.transient,
            retry_after: meaning.retry_after,
            what: meaning.what,
            sqlstate: Some(code.to_owned()),
            text: meaning.text_is_plain.then(|| one_line(answer.message())),
            constraint: answer.constraint().map(str::to_owned),
            stale_plan,
        }
    }

    /// The server's code, where the server answered.
    #[must_use]
    pub fn sqlstate(&self) -> Option<&str> {
        self.sqlstate.as_deref()
    }

    /// The violated constraint's name, where one was.
    #[must_use]
    pub fn constraint(&self) -> Option<&str> {
        self.constraint.as_deref()
    }

    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether the unit of work may have been applied.
    #[must_use]
    pub fn effect(&self) -> Effect {
        self.effect
    }

    /// Whether the same may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.transient
    }

    /// Whether the whole transaction, run again from its start at once, is the cure: a serialization failure
    /// (`40001`) or a deadlock (`40P01`), of which the server says that nothing was applied.
    #[must_use]
    pub fn restarts_transaction(&self) -> bool {
        matches!(self.sqlstate(), Some("40001" | "40P01")) && self.effect == Effect::NotApplied
    }

    /// Whether a lock was not to be had in time (`55P03`).
    #[must_use]
    pub fn is_lock_timeout(&self) -> bool {
        self.sqlstate() == Some("55P03")
    }

    /// Whether the connection keeps a prepared statement that no longer fits: close it instead of giving it back.
    #[must_use]
    pub fn spoils_connection(&self) -> bool {
        self.stale_plan
    }

    /// The error of the contracts, with this as its source; the caller adds the operation.
    #[must_use]
    pub fn into_error(self) -> Error {
        let mut error = Error::new(self.kind, self.what)
            .with_backend(super::BACKEND)
            .with_transient(self.transient)
            .with_effect(self.effect);
        if let Some(after) = self.retry_after {
            error = error.with_retry_after(after);
        }
        error.with_source(self)
    }
}

/// Kind, transience and phrase of what the server did not say.
fn unanswered(error: &sqlx::Error, phase: Phase) -> (ErrorKind, bool, &'static str) {
    use ErrorKind as Kind;
    match error {
        sqlx::Error::Io(io) if is_tls(io) => (Kind::Config, false, "the tls handshake failed"),
        sqlx::Error::Io(io) if phase == Phase::Connect && io.kind() == io::ErrorKind::NotFound => {
            (Kind::Config, false, "a file that the connection needs is missing")
        }
        sqlx::Error::Io(_) if phase == Phase::Connect => {
            (Kind::Unavailable, true, "the server cannot be reached")
        }
        sqlx::Error::Io(_) => (Kind::Unavailable, true, "the connection broke"),
        sqlx::Error::Tls(_) => (Kind::Config, false, "the tls handshake failed"),
        sqlx::Error::Configuration(_) | sqlx::Error::InvalidArgument(_) => {
            (Kind::Config, false, "the connection's configuration is wrong")
        }
        sqlx::Error::PoolTimedOut => (Kind::Unavailable, true, "no connection was to be had in time"),
        sqlx::Error::PoolClosed => (Kind::Unavailable, false, "this handle was disconnected"),
        sqlx::Error::BeginFailed => (Kind::Unavailable, true, "no transaction was begun"),
        // A pooler that mixes sessions up answers what nobody asked.
        sqlx::Error::Protocol(_) => (
            Kind::Internal,
            false,
            "the server's answer does not fit what was asked",
        ),
        sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } => {
            (Kind::Corrupt, false, "a stored value cannot be read")
        }
        _ => (Kind::Internal, false, "the driver failed"),
    }
}

/// rustls reports a refused certificate as this kind of `io::Error`, whatever the phase of a handshake.
fn is_tls(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidData
}

/// What may be told of the driver's own text: addresses, files and certificates, never a value.
fn text_of(error: &sqlx::Error, phase: Phase) -> Option<String> {
    match error {
        sqlx::Error::Io(io) => Some(one_line(&io.to_string())),
        sqlx::Error::Tls(tls) => Some(one_line(&tls.to_string())),
        sqlx::Error::Protocol(text) if phase == Phase::Connect => Some(one_line(text)),
        sqlx::Error::ColumnNotFound(column) => Some(format!("column {column}")),
        _ => None,
    }
}

impl fmt::Display for PgFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)?;
        if let Some(code) = &self.sqlstate {
            write!(f, " (sqlstate {code})")?;
        }
        if let Some(constraint) = &self.constraint {
            write!(f, " by {constraint}")?;
        }
        if let Some(text) = &self.text {
            write!(f, ": {text}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for PgFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgFault")
            .field("kind", &self.kind)
            .field("effect", &self.effect)
            .field("transient", &self.transient)
            .field("sqlstate", &self.sqlstate)
            .field("constraint", &self.constraint)
            .field("text", &self.text)
            .finish_non_exhaustive()
    }
}

impl StdError for PgFault {}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken() -> sqlx::Error {
        sqlx::Error::Io(io::ErrorKind::ConnectionReset.into())
    }

    #[test]
    fn a_connection_that_breaks_is_unknown_at_commit_and_not_applied_before() {
        for (phase, effect) in [
            (Phase::Connect, Effect::NotApplied),
            (Phase::InTransaction, Effect::NotApplied),
            (Phase::Commit, Effect::Unknown),
        ] {
            let error = PgFault::new(&broken(), phase).into_error();
            assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, effect));
            assert!(error.is_transient());
        }
    }

    #[test]
    fn what_was_never_sent_is_not_applied_at_commit_either() {
        for error in [sqlx::Error::PoolTimedOut, sqlx::Error::PoolClosed] {
            let fault = PgFault::new(&error, Phase::Commit);
            assert_eq!(
                (fault.kind(), fault.effect()),
                (ErrorKind::Unavailable, Effect::NotApplied)
            );
        }
        assert!(PgFault::new(&sqlx::Error::PoolTimedOut, Phase::Connect).is_transient());
        assert!(!PgFault::new(&sqlx::Error::PoolClosed, Phase::Connect).is_transient());
    }

    #[test]
    fn every_failure_of_the_driver_has_its_kind() {
        let io = |kind: io::ErrorKind| sqlx::Error::Io(kind.into());
        for (error, phase, kind) in [
            (io(io::ErrorKind::InvalidData), Phase::Connect, ErrorKind::Config),
            (io(io::ErrorKind::NotFound), Phase::Connect, ErrorKind::Config),
            (
                io(io::ErrorKind::ConnectionRefused),
                Phase::Connect,
                ErrorKind::Unavailable,
            ),
            (io(io::ErrorKind::NotFound), Phase::Commit, ErrorKind::Unavailable),
            (sqlx::Error::Tls("no".into()), Phase::Connect, ErrorKind::Config),
            (
                sqlx::Error::Configuration("no".into()),
                Phase::Connect,
                ErrorKind::Config,
            ),
            (sqlx::Error::BeginFailed, Phase::Connect, ErrorKind::Unavailable),
            (
                sqlx::Error::Protocol("no".into()),
                Phase::InTransaction,
                ErrorKind::Internal,
            ),
            (
                sqlx::Error::Decode("no".into()),
                Phase::InTransaction,
                ErrorKind::Corrupt,
            ),
            (
                sqlx::Error::RowNotFound,
                Phase::InTransaction,
                ErrorKind::Internal,
            ),
            (sqlx::Error::WorkerCrashed, Phase::Commit, ErrorKind::Internal),
        ] {
            assert_eq!(PgFault::new(&error, phase).kind(), kind, "{error}");
        }
    }

    #[test]
    fn texts_of_the_driver_that_may_hold_a_value_are_not_told() {
        for error in [
            sqlx::Error::Decode("customer-7".into()),
            sqlx::Error::Configuration("customer-7".into()),
            sqlx::Error::Encode("customer-7".into()),
            sqlx::Error::Protocol("customer-7".into()),
        ] {
            let fault = PgFault::new(&error, Phase::InTransaction);
            let shown = format!(
                "{fault} {fault:?} {} {:?}",
                fault.clone().into_error(),
                fault.clone().into_error()
            );
            assert!(!shown.contains("customer-7"), "{shown}");
        }
    }

    #[test]
    fn the_error_names_the_backend_and_keeps_the_fault() {
        let error = PgFault::new(&broken(), Phase::Commit).into_error();
        assert_eq!(error.to_string(), "postgresql: unavailable: the connection broke");
        let source = StdError::source(&error).unwrap();
        assert!(source.downcast_ref::<PgFault>().is_some());
    }
}

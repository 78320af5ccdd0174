//! What the store makes of the table of SQLSTATEs, which is `kaireon-connect`'s.

use std::error::Error as _;

use kaireon_connect::postgres::{PgFault, Phase};
use kaireon_core::{Effect, Error};

use crate::BACKEND;

/// A driver's error of a read, or of a write that was not committed.
pub(crate) fn of_sql(error: sqlx::Error) -> Error {
    PgFault::new(&error, Phase::InTransaction).into_error()
}

/// A driver's error at a commit, or of a statement that commits by itself.
pub(crate) fn of_commit(error: sqlx::Error) -> Error {
    PgFault::new(&error, Phase::Commit).into_error()
}

/// Names the operation.
pub(crate) fn named(operation: &'static str) -> impl Fn(Error) -> Error {
    move |error| error.with_backend(BACKEND).with_operation(operation)
}

/// Of a write that was not committed: nothing of it is there.
pub(crate) fn not_applied(error: Error) -> Error {
    error.with_effect(Effect::NotApplied)
}

/// Of a call that has committed a part of what it does: the rest is done when it is called again.
pub(crate) fn half_done(error: Error) -> Error {
    error.with_effect(Effect::Unknown)
}

/// The server's part in an error.
fn fault(error: &Error) -> Option<&PgFault> {
    error.source()?.downcast_ref()
}

/// Whether the unit of work, run again from its start, is the cure; nothing of it was applied.
pub(crate) fn restarts(error: &Error) -> bool {
    fault(error).is_some_and(PgFault::restarts_transaction)
}

/// Whether a lock was not to be had in time.
pub(crate) fn is_lock_timeout(error: &Error) -> bool {
    fault(error).is_some_and(PgFault::is_lock_timeout)
}

/// What a batch may do about an error before its commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// Try the same again: a serialization failure, a deadlock, a partition that was dropped meanwhile.
    Again,
    /// Somebody else holds what it needs: leave that out.
    Leave,
    /// A part of it is at fault, or it is too much at once: divide it.
    Divide,
    /// The connection is gone, or spoilt: get another.
    Reconnect,
    /// It leads to a server, or into a session, that takes no writes now: close it, because the next one may not. The
    /// same would be said at once again, so the callers are told.
    Elsewhere,
    /// Nothing.
    None,
}

/// What a batch may do about an error before its commit.
pub(crate) fn remedy(error: &sqlx::Error) -> Remedy {
    let fault = PgFault::new(error, Phase::InTransaction);
    if fault.restarts_transaction() {
        return Remedy::Again;
    }
    if fault.is_lock_timeout() {
        return Remedy::Leave;
    }
    if fault.spoils_connection() {
        return Remedy::Reconnect;
    }
    let Some(code) = fault.sqlstate() else {
        return match error {
            sqlx::Error::Io(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed => Remedy::Reconnect,
            sqlx::Error::Encode(_) | sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } => {
                Remedy::Divide
            }
            _ => Remedy::None,
        };
    };
    match code {
        // No partition for a row: it was dropped since it was looked for.
        "23514" if fault.constraint().is_none() => Remedy::Again,
        // A replica's, which may not be what the address leads to now; or of a session that keeps the default it began
        // with, whatever that is now.
        "25006" => Remedy::Elsewhere,
        // A statement timeout: less at once may pass.
        "57014" => Remedy::Divide,
        // An aborted transaction that somebody else left on the connection is no better than none.
        "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "25P02" => Remedy::Reconnect,
        _ => match &code[..2] {
            "08" => Remedy::Reconnect,
            // A constraint or a trigger of the host's refuses one of the rows.
            "22" | "23" | "54" | "P0" => Remedy::Divide,
            _ => Remedy::None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_connection_is_replaced_and_a_full_pool_is_not_pressed() {
        let broken = sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into());
        assert_eq!(remedy(&broken), Remedy::Reconnect);
        assert_eq!(of_commit(broken).effect(), Effect::Unknown);
        assert_eq!(remedy(&sqlx::Error::PoolTimedOut), Remedy::None);
        assert_eq!(remedy(&sqlx::Error::Decode("x".into())), Remedy::Divide);
    }
}

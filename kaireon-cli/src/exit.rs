//! What the exit code says.

use std::error::Error as _;
use std::process::ExitCode;

use kaireon::core::{Effect, Error, ErrorKind};
use kaireon::migrate::Refused;
use serde::Serialize;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Exit {
    /// It was done, or had been.
    Done = 0,
    /// It was looked at, and the answer is no.
    No = 1,
    /// What was asked, or the environment, is wrong.
    Usage = 2,
    /// It was not done, or not wholly, and may be asked for again.
    Again = 3,
    /// Whether it took effect is not known.
    Unknown = 4,
    /// It was not done, and asking again does not help.
    Failed = 5,
    /// It was interrupted.
    Interrupted = 130,
}

/// The codes, as each command's help shows them.
pub(crate) const CODES: [(Exit, &str); 7] = [
    (Exit::Done, "done, also where it had been done before"),
    (
        Exit::No,
        "looked at, and the answer is no: something is lacking, or is not as it should be; nothing was changed by force",
    ),
    (
        Exit::Usage,
        "the arguments or the environment are wrong; nothing was done",
    ),
    (
        Exit::Again,
        "not done, or not all of it, because something is away or busy for now: give the same command again, it goes on",
    ),
    (
        Exit::Unknown,
        "it is not known whether it took effect: look at `kaireon migrate status`, then give the same command again",
    ),
    (
        Exit::Failed,
        "not done, and giving the command again does not help by itself",
    ),
    (
        Exit::Interrupted,
        "interrupted by Ctrl-C or SIGTERM; what was kept, and how to go on, was said",
    ),
];

impl Exit {
    /// Its number.
    pub(crate) const fn code(self) -> u8 {
        self as u8
    }

    /// What an error of a command means. Where `retakes`, giving the command again is safe and goes on, so that an unknown
    /// effect needs no look.
    pub(crate) fn of(error: &Error, retakes: bool) -> Self {
        let for_now = matches!(
            error.kind(),
            ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::RateLimited | ErrorKind::Fenced
        );
        let known = retakes || error.effect() == Effect::NotApplied;
        match error.kind() {
            ErrorKind::Conflict | ErrorKind::NotFound => Self::No,
            ErrorKind::InvalidInput | ErrorKind::Config => Self::Usage,
            _ if !known => Self::Unknown,
            _ if for_now || error.is_transient() => Self::Again,
            _ => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// The refusal that an error was made from.
pub(crate) fn refused(error: &Error) -> Option<&Refused> {
    error.source().and_then(|source| source.downcast_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_is_explained_once() {
        let numbers: Vec<u8> = CODES.iter().map(|(exit, _)| exit.code()).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 130]);
    }

    #[test]
    fn what_is_not_known_to_have_failed_is_not_called_failed() {
        let of = |kind| Error::new(kind, "x");
        let away = of(ErrorKind::Unavailable);
        assert_eq!(Exit::of(&away, false), Exit::Unknown);
        assert_eq!(Exit::of(&away, true), Exit::Again);
        let not_applied = away.clone().with_effect(Effect::NotApplied);
        assert_eq!(Exit::of(&not_applied, false), Exit::Again);
        // A wrapper has tried it as often as it may; a person may try once more.
        assert_eq!(Exit::of(&not_applied.with_transient(false), false), Exit::Again);
        assert_eq!(Exit::of(&of(ErrorKind::Corrupt), false), Exit::Unknown);
        assert_eq!(Exit::of(&of(ErrorKind::Corrupt), true), Exit::Failed);
        assert_eq!(Exit::of(&of(ErrorKind::Unauthorized), false), Exit::Failed);
        assert_eq!(Exit::of(&of(ErrorKind::Conflict), false), Exit::No);
        assert_eq!(Exit::of(&of(ErrorKind::Config), false), Exit::Usage);
        assert_eq!(Exit::of(&of(ErrorKind::InvalidInput), true), Exit::Usage);
    }
}

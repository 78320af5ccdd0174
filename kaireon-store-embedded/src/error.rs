//! The one table from errors of the engine and the file system to kinds.

use std::io;

use kaireon_core::{Effect, Error, ErrorKind};

/// The error of a failed call of the engine.
pub(crate) fn of_engine(error: fjall::Error) -> Error {
    let (kind, context) = match &error {
        fjall::Error::Io(io) => return of_io(io).with_source(error),
        fjall::Error::Storage(fjall::LsmError::Io(io)) => return of_io(io).with_source(error),
        // The engine refuses before it writes, because an earlier write failed.
        fjall::Error::Poisoned => {
            let error = Error::new(ErrorKind::Unavailable, "the engine stopped after a failed write");
            return error.with_effect(Effect::NotApplied);
        }
        fjall::Error::Locked => (ErrorKind::Config, "the directory is in use"),
        fjall::Error::InvalidVersion(_) => {
            (ErrorKind::Config, "the engine's files are of an unknown version")
        }
        fjall::Error::KeyspaceDeleted => (ErrorKind::Internal, "a keyspace was deleted"),
        fjall::Error::Storage(_)
        | fjall::Error::JournalRecovery(_)
        | fjall::Error::Decompress(_)
        | fjall::Error::InvalidTrailer
        | fjall::Error::InvalidTag(_)
        | fjall::Error::Unrecoverable => (ErrorKind::Corrupt, "a stored file is damaged"),
        _ => (ErrorKind::Internal, "the engine failed in an unknown way"),
    };
    Error::new(kind, context).with_source(error)
}

/// The error of a failed call of the file system. Whether a write was applied is unknown.
pub(crate) fn of_io(error: &io::Error) -> Error {
    use io::ErrorKind as Io;
    let (kind, context) = match error.kind() {
        Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge => {
            (ErrorKind::StorageFull, "the disk is full")
        }
        Io::PermissionDenied => (ErrorKind::Unauthorized, "the file system denies access"),
        Io::ReadOnlyFilesystem => (ErrorKind::Config, "the file system is read-only"),
        Io::NotFound => (ErrorKind::Corrupt, "a stored file is missing"),
        Io::UnexpectedEof | Io::InvalidData => (ErrorKind::Corrupt, "a stored file is cut off"),
        _ => (ErrorKind::Unavailable, "the disk failed"),
    };
    Error::new(kind, context).with_effect(Effect::Unknown)
}

/// As [`of_io`], for `map_err`; the source is kept.
pub(crate) fn io_error(error: io::Error) -> Error {
    of_io(&error).with_source(error)
}

/// Names the backend and the operation.
pub(crate) fn named(operation: &'static str) -> impl Fn(Error) -> Error {
    move |error| error.with_backend(crate::BACKEND).with_operation(operation)
}

/// The error of a handle that was disconnected.
pub(crate) fn closed() -> Error {
    Error::new(ErrorKind::Unavailable, "the store is closed")
        .with_effect(Effect::NotApplied)
        .with_transient(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_of_the_disk_has_its_kind() {
        for (from, kind, effect) in [
            (
                io::ErrorKind::StorageFull,
                ErrorKind::StorageFull,
                Effect::Unknown,
            ),
            (
                io::ErrorKind::QuotaExceeded,
                ErrorKind::StorageFull,
                Effect::Unknown,
            ),
            (
                io::ErrorKind::PermissionDenied,
                ErrorKind::Unauthorized,
                Effect::Unknown,
            ),
            (
                io::ErrorKind::ReadOnlyFilesystem,
                ErrorKind::Config,
                Effect::Unknown,
            ),
            (io::ErrorKind::NotFound, ErrorKind::Corrupt, Effect::Unknown),
            (io::ErrorKind::UnexpectedEof, ErrorKind::Corrupt, Effect::Unknown),
            (io::ErrorKind::Other, ErrorKind::Unavailable, Effect::Unknown),
        ] {
            for error in [
                fjall::Error::Io(from.into()),
                fjall::Error::Storage(fjall::LsmError::Io(from.into())),
            ] {
                let error = of_engine(error);
                assert_eq!((error.kind(), error.effect()), (kind, effect), "{from}");
                assert!(std::error::Error::source(&error).is_some());
            }
        }
    }

    #[test]
    fn every_failure_of_the_engine_has_its_kind() {
        for (from, kind) in [
            (fjall::Error::Poisoned, ErrorKind::Unavailable),
            (fjall::Error::Locked, ErrorKind::Config),
            (fjall::Error::InvalidVersion(None), ErrorKind::Config),
            (fjall::Error::KeyspaceDeleted, ErrorKind::Internal),
            (fjall::Error::InvalidTrailer, ErrorKind::Corrupt),
            (fjall::Error::InvalidTag(("x", 1)), ErrorKind::Corrupt),
            (fjall::Error::Unrecoverable, ErrorKind::Corrupt),
            (
                fjall::Error::Storage(fjall::LsmError::Unrecoverable),
                ErrorKind::Corrupt,
            ),
            (
                fjall::Error::JournalRecovery(fjall::JournalRecoveryError::ChecksumMismatch),
                ErrorKind::Corrupt,
            ),
        ] {
            assert_eq!(of_engine(from).kind(), kind);
        }
        let poisoned = of_engine(fjall::Error::Poisoned);
        assert!(poisoned.effect() == Effect::NotApplied && poisoned.is_transient());
    }
}

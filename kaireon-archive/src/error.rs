//! The table from object storage's errors to kinds.

use std::error::Error as StdError;
use std::io;

use kaireon_core::{Effect, Error, ErrorKind};

/// The backend's name in errors and metrics.
pub(crate) const BACKEND: &str = "archive";

/// What an error of the object store means. Paths stay in the source: they hold tenants, never customers.
pub(crate) fn of_store(operation: &'static str, error: object_store::Error) -> Error {
    use object_store::Error as Vendor;
    let (kind, context) = match &error {
        Vendor::NotFound { .. } => (ErrorKind::NotFound, "no such object"),
        Vendor::AlreadyExists { .. } | Vendor::Precondition { .. } => {
            (ErrorKind::Conflict, "another writer was first")
        }
        Vendor::PermissionDenied { .. } | Vendor::Unauthenticated { .. } => (
            ErrorKind::Unauthorized,
            "the object store refused the credentials",
        ),
        Vendor::NotImplemented { .. } | Vendor::NotSupported { .. } => (
            ErrorKind::Unsupported,
            "the object store cannot put on a condition",
        ),
        Vendor::InvalidPath { .. } => (ErrorKind::InvalidInput, "no path of this object store"),
        Vendor::UnknownConfigurationKey { .. } => {
            (ErrorKind::Config, "the object store does not know a setting")
        }
        _ if has_no_room(&error) => (ErrorKind::StorageFull, "the object store has no room"),
        // A lost reply looks the same as a request that never arrived.
        _ => (ErrorKind::Unavailable, "the object store failed"),
    };
    named(Error::new(kind, context).with_source(error), operation)
}

fn has_no_room(error: &object_store::Error) -> bool {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = next {
        let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        if matches!(
            kind,
            Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        ) {
            return true;
        }
        next = error.source();
    }
    false
}

/// The error under the archive's name.
pub(crate) fn named(error: Error, operation: &'static str) -> Error {
    error.with_backend(BACKEND).with_operation(operation)
}

/// Bytes in the archive are not what was written.
pub(crate) fn corrupt(context: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    named(Error::new(ErrorKind::Corrupt, context), "read").with_effect(Effect::NotApplied)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generic(source: impl StdError + Send + Sync + 'static) -> object_store::Error {
        object_store::Error::Generic {
            store: "test",
            source: Box::new(source),
        }
    }

    #[test]
    fn a_full_disk_is_told_from_a_failure_that_may_pass() {
        let full = of_store("put", generic(io::Error::from(io::ErrorKind::StorageFull)));
        assert_eq!(full.kind(), ErrorKind::StorageFull);
        assert!(!full.is_transient());
        let reset = of_store("put", generic(io::Error::from(io::ErrorKind::ConnectionReset)));
        assert_eq!(
            (reset.kind(), reset.is_transient(), reset.effect()),
            (ErrorKind::Unavailable, true, Effect::Unknown)
        );
    }

    #[test]
    fn a_lost_condition_is_a_conflict_that_changed_nothing() {
        let lost = of_store(
            "put",
            object_store::Error::Precondition {
                path: String::new(),
                source: "changed".into(),
            },
        );
        assert_eq!(
            (lost.kind(), lost.effect()),
            (ErrorKind::Conflict, Effect::NotApplied)
        );
    }
}

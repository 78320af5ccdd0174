//! The errors of this backend.

use kaireon_core::{Error, ErrorKind};

use super::BACKEND;

/// The cache was disconnected before the call.
pub(super) fn disconnected(operation: &'static str) -> Error {
    Error::disconnected(BACKEND, operation)
}

/// The limiter remembers as many keys as it may.
pub(super) fn too_many_keys() -> Error {
    Error::new(ErrorKind::RateLimited, "the limiter holds as many keys as it may")
        .with_backend(BACKEND)
        .with_operation("acquire")
}

/// A setting is out of bounds.
pub(super) fn config(field: &'static str, context: &'static str) -> Error {
    Error::new(ErrorKind::Config, context)
        .with_backend(BACKEND)
        .with_field(field)
}

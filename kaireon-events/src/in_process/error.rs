//! The errors of this backend.

use kaireon_core::{Error, ErrorKind};

use super::BACKEND;

/// The publisher was disconnected before the call.
pub(super) fn disconnected(operation: &'static str) -> Error {
    Error::disconnected(BACKEND, operation)
}

/// A subscription asks for something that only a backend with a memory has, or that no order of events allows.
pub(super) fn unsupported(context: &'static str) -> Error {
    Error::new(ErrorKind::Unsupported, context)
        .with_backend(BACKEND)
        .with_operation("subscribe")
}

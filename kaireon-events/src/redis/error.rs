//! The errors of these backends. The table of the server's codes is `kaireon-connect`'s, as is the connection.

use kaireon_connect::redis::RedisFault;
use kaireon_core::{Effect, Error, ErrorKind};

/// The backend's name, as its configuration value.
pub(super) const BACKEND: &str = "redis";

/// A call that failed.
pub(super) fn failed(fault: RedisFault, operation: &'static str) -> Error {
    fault.into_error().with_operation(operation)
}

/// The publisher was disconnected before the call.
pub(super) fn disconnected(operation: &'static str) -> Error {
    Error::disconnected(BACKEND, operation)
}

/// A subscription asks for something that this backend does not have.
pub(super) fn unsupported(context: &'static str) -> Error {
    Error::new(ErrorKind::Unsupported, context)
        .with_backend(BACKEND)
        .with_operation("subscribe")
}

/// An event that can never be published.
pub(super) fn too_large() -> Error {
    Error::invalid("envelope", "is larger than the bound of this publisher")
        .with_backend(BACKEND)
        .with_operation("publish")
}

/// The server's answer is none that the command has.
pub(super) fn strange(operation: &'static str) -> Error {
    Error::new(
        ErrorKind::Internal,
        "the server's answer does not fit what was asked",
    )
    .with_backend(BACKEND)
    .with_operation(operation)
    .with_effect(Effect::Unknown)
}

/// A setting is out of bounds.
pub(super) fn config(field: &'static str, context: &'static str) -> Error {
    Error::new(ErrorKind::Config, context)
        .with_backend(BACKEND)
        .with_field(field)
}

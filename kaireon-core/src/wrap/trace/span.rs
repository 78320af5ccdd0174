//! The spans.

use tracing::Span;
use tracing::field::Empty;

use crate::wrap::operation::{Family, Operation};

/// A span of a call; disabled, at the cost of one comparison, while nobody wants it.
pub(super) fn of(operation: Operation, system: &str) -> Span {
    let name = operation.name();
    match operation.family() {
        Family::Database => tracing::info_span!(
            target: "kaireon",
            "call",
            otel.name = name,
            otel.kind = "client",
            otel.status_code = Empty,
            db.system.name = system,
            db.operation.name = name,
            "error.type" = Empty,
        ),
        Family::Messaging => tracing::info_span!(
            target: "kaireon",
            "call",
            otel.name = name,
            otel.kind = kind(operation),
            otel.status_code = Empty,
            messaging.system = system,
            messaging.operation.name = name,
            "messaging.operation.type" = sends(operation).then_some("send"),
            "error.type" = Empty,
        ),
    }
}

/// Notes in a span that its call failed.
pub(super) fn failed(span: &Span, error_type: &'static str) {
    span.record("error.type", error_type);
    span.record("otel.status_code", "ERROR");
}

const fn sends(operation: Operation) -> bool {
    matches!(operation, Operation::Publish | Operation::PublishBatch)
}

/// The convention wants `producer` for what sends and `client` for the rest.
const fn kind(operation: Operation) -> &'static str {
    if sends(operation) { "producer" } else { "client" }
}

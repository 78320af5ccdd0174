//! Spans and metrics.

mod cache;
mod guards;
mod meter;
mod outbox;
mod publisher;
mod search;
mod span;
mod store;

use std::borrow::Cow;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tracing::Instrument;

pub use self::meter::describe_metrics;
use self::meter::{Meter, Running};
use super::name::NameOf;
use super::operation::Operation;
use crate::Result;

/// Makes a span and a measurement of each call, under OpenTelemetry's names.
///
/// Stores, outboxes, search indexes, caches, limiters and breakers follow the conventions for
/// [database clients](https://opentelemetry.io/docs/specs/semconv/db/database-metrics/), event streams those for
/// [messaging clients](https://opentelemetry.io/docs/specs/semconv/messaging/messaging-metrics/):
///
/// | metric | kind | labels |
/// |---|---|---|
/// | `db.client.operation.duration` | histogram, seconds | `db.system.name`, `db.operation.name`, `error.type` |
/// | `messaging.client.operation.duration` | histogram, seconds | `messaging.system`, `messaging.operation.name`, `error.type` |
/// | `messaging.client.sent.messages` | counter | as above |
/// | `messaging.client.consumed.messages` | counter | as above, without `error.type` |
///
/// The system is the backend's name in its capabilities (a [name given](Self::named) here, where there are none),
/// the operation the method's name. `error.type` is there only on failure: the
/// [kind](crate::ErrorKind::as_str), or `cancelled` where the call's future was dropped before it answered. A
/// batch is one operation; it failed when it answered `Err`, and the events of a `publish_batch` are counted each
/// by its own outcome. What passes through without a future (`peek`, …) is not measured.
///
/// Spans (level info, target `kaireon`) carry the same attributes, and `otel.name`, `otel.kind` and
/// `otel.status_code`, which exporters read. Neither spans nor labels hold a tenant, an id, a key, an attribute or
/// the text of an error.
///
/// A recorder of `metrics` and a subscriber of `tracing` may be installed before or after; without them a call
/// costs two readings of the clock. [`describe_metrics`] tells a recorder units and descriptions.
///
/// Outside [`Retry`](super::Retry) it measures calls, inside attempts.
#[derive(Clone, Debug)]
pub struct Trace<T> {
    inner: T,
    meter: Arc<Meter>,
}

impl<T> Trace<T> {
    /// Traces the calls of `inner`.
    #[must_use]
    pub fn new(inner: T) -> Self {
        Self {
            inner,
            meter: Arc::default(),
        }
    }

    /// Names the system; by default its capabilities do. For outboxes, limiters and breakers, which have none and
    /// are `unknown` otherwise.
    #[must_use]
    pub fn named(self, system: impl Into<Cow<'static, str>>) -> Self {
        Self {
            inner: self.inner,
            meter: Arc::new(Meter::of(system.into())),
        }
    }

    /// What is wrapped.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.inner
    }

    fn system(&self, name: NameOf<T>) -> &str {
        self.meter.system(|| name(&self.inner))
    }

    async fn traced<R>(
        &self,
        operation: Operation,
        name: NameOf<T>,
        call: BoxFuture<'_, Result<R>>,
    ) -> Result<R> {
        let system = self.system(name);
        let span = span::of(operation, system);
        let running = Running::begin(&self.meter, operation, system);
        let result = call.instrument(span.clone()).await;
        let failure = result.as_ref().err().map(crate::Error::kind);
        running.end(failure);
        if let Some(kind) = failure {
            span::failed(&span, kind.as_str());
        }
        result
    }
}

#[cfg(test)]
mod tests;

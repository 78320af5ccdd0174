//! Spans and metrics.

mod meter;
mod span;

use std::borrow::Cow;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use tracing::Instrument;

pub use self::meter::describe_metrics;
use self::meter::{Meter, Running};
use super::guard::Guard;
use super::name::NameOf;
use super::operation::Operation;
use crate::outbox::Outbox;
use crate::publisher::{Signal, Subscriber};
use crate::store::{BatchOutcome, ItemOutcome};
use crate::{Error, ErrorKind, Result};

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
/// The system is the backend's name in its capabilities (a [name given](Self::with_name) here, where there are none),
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
    pub fn with_name(self, system: impl Into<Cow<'static, str>>) -> Self {
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
        let failure = result.as_ref().err().map(Error::kind);
        running.end(failure);
        if let Some(kind) = failure {
            span::failed(&span, kind.as_str());
        }
        result
    }
}

impl<T: Send + Sync> Guard for Trace<T> {
    type Inner = T;

    fn inner(&self) -> &T {
        &self.inner
    }

    fn around_outbox(&self, outbox: Arc<dyn Outbox>, name: NameOf<T>) -> Arc<dyn Outbox> {
        // Its keys are this store's, under the store's name.
        let _ = self.system(name);
        Arc::new(Trace {
            inner: outbox,
            meter: Arc::clone(&self.meter),
        })
    }

    async fn around<R: Send>(
        &self,
        operation: Operation,
        name: NameOf<T>,
        call: BoxFuture<'_, Result<R>>,
    ) -> Result<R> {
        let result = self.traced(operation, name, call).await;
        if operation == Operation::Publish {
            let failure = result.as_ref().err().map(Error::kind);
            self.meter.count_sent(operation, self.system(name), failure, 1);
        }
        result
    }

    async fn around_batch<R: Send>(
        &self,
        operation: Operation,
        name: NameOf<T>,
        _items: usize,
        call: BoxFuture<'_, Result<BatchOutcome<R>>>,
    ) -> Result<BatchOutcome<R>> {
        let result = self.traced(operation, name, call).await;
        // An `Err` says that none was tried, so none was sent.
        if let (Operation::PublishBatch, Ok(outcome)) = (operation, &result) {
            for (failure, events) in by_outcome(outcome) {
                self.meter
                    .count_sent(operation, self.system(name), failure, events);
            }
        }
        result
    }

    async fn around_subscribe(
        &self,
        operation: Operation,
        name: NameOf<T>,
        call: BoxFuture<'_, Result<Subscriber>>,
    ) -> Result<Subscriber> {
        let subscriber = self.traced(operation, name, call).await?;
        let system = self.system(name).to_owned();
        let meter = Arc::clone(&self.meter);
        Ok(Subscriber::new(subscriber.inspect(move |signal| {
            if let Ok(Signal::Delivery(_)) = signal {
                meter.count_consumed(&system);
            }
        })))
    }
}

/// How many items of a batch were done, and how many failed for which reason; those that were not attempted are
/// neither.
fn by_outcome<R>(outcome: &BatchOutcome<R>) -> Vec<(Option<ErrorKind>, u64)> {
    let mut counts: Vec<(Option<ErrorKind>, u64)> = Vec::new();
    for item in outcome.items() {
        let failure = match item {
            ItemOutcome::Done(_) => None,
            ItemOutcome::Failed(error) => Some(error.kind()),
            ItemOutcome::NotAttempted => continue,
        };
        match counts.iter_mut().find(|(counted, _)| *counted == failure) {
            Some((_, count)) => *count += 1,
            None => counts.push((failure, 1)),
        }
    }
    counts
}

#[cfg(test)]
mod tests;

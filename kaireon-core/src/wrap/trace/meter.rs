//! The metrics.

use std::borrow::Cow;
use std::fmt;
use std::sync::OnceLock;
use std::time::Instant;

use metrics::{Key, Label, Level, Metadata, Unit};

use crate::ErrorKind;
use crate::wrap::operation::{Family, Operation};

const DB_DURATION: &str = "db.client.operation.duration";
const MESSAGING_DURATION: &str = "messaging.client.operation.duration";
const SENT: &str = "messaging.client.sent.messages";
const CONSUMED: &str = "messaging.client.consumed.messages";

static METADATA: Metadata<'static> = Metadata::new("kaireon", Level::INFO, Some(module_path!()));

/// Tells the recorder that is installed now the units and descriptions of the metrics of [`Trace`](super::Trace).
pub fn describe_metrics() {
    metrics::describe_histogram!(
        DB_DURATION,
        Unit::Seconds,
        "Duration of calls of stores, outboxes, search indexes, caches, limiters and breakers."
    );
    metrics::describe_histogram!(
        MESSAGING_DURATION,
        Unit::Seconds,
        "Duration of calls of event streams."
    );
    metrics::describe_counter!(SENT, Unit::Count, "Events that were to be published, by outcome.");
    metrics::describe_counter!(
        CONSUMED,
        Unit::Count,
        "Events that were delivered to subscribers."
    );
}

/// The keys of a system's metrics, each made once.
///
/// Keys and not handles: a handle belongs to the recorder of the moment at which it was made, and a recorder may
/// be installed later. Asking for the handle by a ready key costs nothing without a recorder, and a look-up with
/// one.
pub(super) struct Meter {
    system: OnceLock<Cow<'static, str>>,
    durations: [OnceLock<Key>; Operation::COUNT],
    counts: [OnceLock<Key>; Operation::COUNT],
}

impl Default for Meter {
    fn default() -> Self {
        Self {
            system: OnceLock::new(),
            durations: [const { OnceLock::new() }; Operation::COUNT],
            counts: [const { OnceLock::new() }; Operation::COUNT],
        }
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter")
            .field("system", &self.system.get())
            .finish_non_exhaustive()
    }
}

impl Meter {
    pub(super) fn of(system: Cow<'static, str>) -> Self {
        Self {
            system: OnceLock::from(system),
            ..Self::default()
        }
    }

    pub(super) fn system(&self, name: impl FnOnce() -> Cow<'static, str>) -> &str {
        self.system.get_or_init(|| match name() {
            unnamed if unnamed.is_empty() => Cow::Borrowed("unknown"),
            name => name,
        })
    }

    fn record_duration(
        &self,
        operation: Operation,
        system: &str,
        failure: Option<&'static str>,
        seconds: f64,
    ) {
        let metric = match operation.family() {
            Family::Database => DB_DURATION,
            Family::Messaging => MESSAGING_DURATION,
        };
        let record = |key: &Key| {
            metrics::with_recorder(|recorder| recorder.register_histogram(key, &METADATA).record(seconds));
        };
        match failure {
            None => record(
                self.durations[operation as usize].get_or_init(|| key(metric, operation, system, None)),
            ),
            failure => record(&key(metric, operation, system, failure)),
        }
    }

    /// Counts events that were to be published.
    pub(super) fn count_sent(
        &self,
        operation: Operation,
        system: &str,
        failure: Option<ErrorKind>,
        events: u64,
    ) {
        self.count(SENT, operation, system, failure.map(ErrorKind::as_str), events);
    }

    /// Counts an event that was delivered to a subscriber.
    pub(super) fn count_consumed(&self, system: &str) {
        self.count(CONSUMED, Operation::Subscribe, system, None, 1);
    }

    fn count(
        &self,
        metric: &'static str,
        operation: Operation,
        system: &str,
        failure: Option<&'static str>,
        events: u64,
    ) {
        let count = |key: &Key| {
            metrics::with_recorder(|recorder| recorder.register_counter(key, &METADATA).increment(events));
        };
        match failure {
            None => {
                count(self.counts[operation as usize].get_or_init(|| key(metric, operation, system, None)))
            }
            failure => count(&key(metric, operation, system, failure)),
        }
    }
}

fn key(metric: &'static str, operation: Operation, system: &str, failure: Option<&'static str>) -> Key {
    let (system_label, operation_label) = match operation.family() {
        Family::Database => ("db.system.name", "db.operation.name"),
        Family::Messaging => ("messaging.system", "messaging.operation.name"),
    };
    let mut labels = vec![
        Label::new(system_label, system.to_owned()),
        Label::from_static_parts(operation_label, operation.name()),
    ];
    labels.extend(failure.map(|failure| Label::from_static_parts("error.type", failure)));
    Key::from_parts(metric, labels)
}

/// A call whose end is measured, also when its future is dropped before.
pub(super) struct Running<'a> {
    meter: &'a Meter,
    operation: Operation,
    system: &'a str,
    started: Instant,
    failure: Option<&'static str>,
}

impl<'a> Running<'a> {
    pub(super) fn begin(meter: &'a Meter, operation: Operation, system: &'a str) -> Self {
        Self {
            meter,
            operation,
            system,
            started: Instant::now(),
            failure: Some("cancelled"),
        }
    }

    /// The call has answered.
    pub(super) fn end(mut self, failure: Option<ErrorKind>) {
        self.failure = failure.map(ErrorKind::as_str);
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let seconds = self.started.elapsed().as_secs_f64();
        self.meter
            .record_duration(self.operation, self.system, self.failure, seconds);
    }
}

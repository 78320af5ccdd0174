//! A recorder and a subscriber that keep what they are told.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use metrics::{
    Counter, CounterFn, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, SharedString, Unit,
};
use parking_lot::Mutex;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};

pub(super) type Lines = Arc<Mutex<Vec<String>>>;

/// A recorder that keeps a line for each measurement, and one for each description.
#[derive(Clone, Debug, Default)]
pub(super) struct Notebook {
    lines: Lines,
    pub(super) described: Lines,
}

/// One metric of a [`Notebook`].
struct Pen {
    key: String,
    lines: Lines,
}

impl HistogramFn for Pen {
    fn record(&self, value: f64) {
        assert!((0.0..60.0).contains(&value), "{value} are no seconds of a test");
        self.lines.lock().push(self.key.clone());
    }
}

impl CounterFn for Pen {
    fn increment(&self, value: u64) {
        self.lines.lock().push(format!("{} +{value}", self.key));
    }

    fn absolute(&self, _: u64) {
        unreachable!("our counters only grow");
    }
}

impl Notebook {
    fn pen(&self, key: &Key) -> Arc<Pen> {
        let mut text = key.name().to_owned();
        for label in key.labels() {
            let _ = write!(text, " {}={}", label.key(), label.value());
        }
        Arc::new(Pen {
            key: text,
            lines: Arc::clone(&self.lines),
        })
    }

    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.lines.lock())
    }
}

impl metrics::Recorder for Notebook {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, _: SharedString) {
        self.described.lock().push(format!("{} {unit:?}", key.as_str()));
    }

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, _: SharedString) {
        self.described.lock().push(format!("{} {unit:?}", key.as_str()));
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.pen(key))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.pen(key))
    }
}

/// A subscriber that keeps the fields of each span and event.
#[derive(Debug, Default)]
pub(super) struct Spans {
    next: AtomicU64,
    pub(super) fields: Lines,
    pub(super) events: Lines,
}

struct Write<'a>(&'a mut String);

impl Visit for Write<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = write!(self.0, " {field}={value:?}");
    }
}

impl tracing::Subscriber for Spans {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("kaireon")
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut text = attributes.metadata().name().to_owned();
        attributes.record(&mut Write(&mut text));
        self.fields.lock().push(text);
        Id::from_u64(self.next.fetch_add(1, Ordering::SeqCst) + 1)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let place = usize::try_from(span.into_u64()).unwrap() - 1;
        values.record(&mut Write(&mut self.fields.lock()[place]));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut text = String::new();
        event.record(&mut Write(&mut text));
        self.events.lock().push(text);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

//! Looks for personal data in everything that the process logs and measures.
//!
//! The first case that runs installs it as the process's subscriber and recorder, at the finest level, so that
//! also what other threads and libraries say is seen. It keeps only lines that contain a marker of some run.

use std::fmt::{Debug, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use parking_lot::Mutex;
use tracing::field::{Field, Visit};
use tracing::span;

/// What begins the marker of every run.
const STEM: &str = "pii";

static LEAKS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Installs the captor, once per process.
///
/// # Panics
/// When the process has another subscriber or recorder: then nothing could be said about privacy.
pub(crate) fn install() {
    static INSTALLED: OnceLock<bool> = OnceLock::new();
    let installed = INSTALLED.get_or_init(|| {
        tracing::subscriber::set_global_default(Captor::default()).is_ok()
            && metrics::set_global_recorder(Captor::default()).is_ok()
    });
    assert!(
        *installed,
        "the suites watch what is logged and measured: let a test binary install no subscriber or recorder"
    );
}

/// The lines that contain this marker.
pub(crate) fn leaks(marker: &str) -> Vec<String> {
    let leaks = LEAKS.lock();
    leaks
        .iter()
        .filter(|line| line.contains(marker))
        .cloned()
        .collect()
}

fn inspect(line: String) {
    if line.contains(STEM) {
        LEAKS.lock().push(line);
    }
}

#[derive(Debug, Default)]
struct Captor {
    spans: AtomicU64,
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to a String cannot fail.
        let _ = write!(self.0, " {field}={value:?}");
    }
}

impl tracing::Subscriber for Captor {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &span::Attributes<'_>) -> span::Id {
        let mut line = Line(format!("span {}", span.metadata().name()));
        span.record(&mut line);
        inspect(line.0);
        span::Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn record(&self, _: &span::Id, values: &span::Record<'_>) {
        let mut line = Line("span".to_owned());
        values.record(&mut line);
        inspect(line.0);
    }

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = Line(format!("event {}", event.metadata().target()));
        event.record(&mut line);
        inspect(line.0);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

fn inspect_key(key: &Key) {
    inspect(format!("metric {key}"));
}

impl Recorder for Captor {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        inspect_key(key);
        Counter::noop()
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        inspect_key(key);
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        inspect_key(key);
        Histogram::noop()
    }
}

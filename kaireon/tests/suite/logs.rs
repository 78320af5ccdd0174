//! What is logged at the start, and what never is.

use std::fmt;
use std::io::Write;
use std::sync::{Arc, Mutex};

use kaireon::logging::{LogConfig, LogFormat, subscriber};

use crate::support::{LONG, config, shown};

/// A writer whose text can be read.
#[derive(Clone, Default)]
struct Capture(Arc<Mutex<Vec<u8>>>);

impl Capture {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Capture {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Capture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Capture")
    }
}

/// Runs on one thread, so that the subscriber of this thread sees everything.
///
/// Runs once before without it, and has every call site ask again: one that another test's thread meets for the first
/// time while a subscriber is made may never learn of that one by itself.
fn logged(filter: &str, run: impl AsyncFn()) -> Vec<serde_json::Value> {
    let capture = Capture::default();
    let writer = capture.clone();
    let config = LogConfig {
        filter: filter.to_owned(),
        format: LogFormat::Json,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(run());
    let subscriber = subscriber(&config, move || writer.clone()).unwrap();
    tracing::subscriber::with_default(subscriber, || {
        tracing::callsite::rebuild_interest_cache();
        runtime.block_on(run());
    });
    capture
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn one_line_at_the_start_says_each_backend_and_why() {
    let lines = logged("info", async || {
        let infra = config(&[("INTERACTION_STORE", "memory")]).start().await.unwrap();
        drop(infra);
    });
    assert_eq!(lines.len(), 1, "{lines:?}");
    let line = &lines[0];
    assert_eq!(line["message"], "kaireon started");
    assert_eq!(line["store"], "memory (INTERACTION_STORE)");
    assert_eq!(line["events"], "in-process (EVENT_PUBLISHER is unset)");
    assert_eq!(line["search"], "memory (SEARCH_INDEX is unset)");
    assert_eq!(line["cache"], "in-process (CACHE_STORE is unset)");
    assert_eq!(line["per_process"], "rate limits, jobs, circuit breakers");
}

#[test]
fn redis_without_its_url_is_one_warning() {
    let lines = logged("info", async || {
        let vars = [("INTERACTION_STORE", "memory"), ("EVENT_PUBLISHER", "redis")];
        let infra = config(&vars).start().await.unwrap();
        infra.store().record_event(shown("c", "k")).await.unwrap();
    });
    let warnings: Vec<_> = lines.iter().filter(|line| line["level"] == "WARN").collect();
    assert_eq!(warnings.len(), 1, "{lines:?}");
    assert_eq!(warnings[0]["message"], "events is disabled");
    assert_eq!(warnings[0]["why"], "EVENT_PUBLISHER=redis without REDIS_URL");
}

#[test]
fn the_filter_holds_and_nothing_personal_is_logged() {
    let run = async || {
        let infra = config(&[("INTERACTION_STORE", "memory")]).start().await.unwrap();
        let _ = infra.store().record_event(shown("anna", "key-of-anna")).await;
        let _ = infra.shutdown(LONG).await;
    };
    assert!(logged("off", run).is_empty());
    let lines = logged("trace", run);
    assert!(lines.len() > 1);
    assert!(
        lines.iter().all(|line| !line.to_string().contains("anna")),
        "{lines:?}"
    );
}

#[test]
fn a_filter_that_cannot_be_read_is_refused() {
    let config = LogConfig {
        filter: "kaireon=loud".to_owned(),
        format: LogFormat::Json,
    };
    let error = subscriber(&config, std::io::sink)
        .err()
        .expect("a filter that is wrong");
    assert_eq!(error.field(), Some("KAIREON_LOG"));
}

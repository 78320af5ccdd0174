//! What every suite shares: a case as data, and how one case is run.
//!
//! A case is a plain `async fn case(fixture: &dyn Fixture)`. It is listed once; the list becomes both a table of
//! [`Case`]s, which a program can walk through, and one `#[test]` per case where a backend asks for its suite.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;

use crate::captor;

/// How long a generated test waits for a case before it fails.
pub const CASE_LIMIT: Duration = Duration::from_secs(300);

/// A running case.
pub type CaseFuture<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// One behaviour, as data: its name reads as a sentence, and running it panics when the behaviour is another.
pub struct Case<F: ?Sized + 'static> {
    /// The rule of the contract that it belongs to: the name of its module.
    pub group: &'static str,
    /// The name of its function, and of the test that is made of it.
    pub name: &'static str,
    /// The case itself.
    pub run: for<'a> fn(&'a F) -> CaseFuture<'a>,
}

impl<F: ?Sized> fmt::Debug for Case<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::{}", self.group, self.name)
    }
}

/// Why a case failed: the message of its panic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure(pub String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

tokio::task_local! {
    static RUN: u64;
}

/// The number of the run that the present task belongs to: personal data of a case carries it, so that a leak is
/// charged to the case that made it.
pub(crate) fn run_number() -> u64 {
    RUN.try_with(|run| *run).unwrap_or_default()
}

/// The text that every customer id, idempotency key and attribute of a run contains.
pub(crate) fn marker(run: u64) -> String {
    format!("pii{run}.")
}

/// Runs one case, and says why it failed.
///
/// # Errors
/// The message of the panic; that the case did not end within `limit`; or that personal data was found in what
/// was logged or measured meanwhile.
pub async fn attempt<F: ?Sized>(case: &Case<F>, fixture: &F, limit: Duration) -> Result<(), Failure> {
    watch((case.run)(fixture), limit)
        .await
        .map_err(|panic| Failure(message(&*panic)))
}

async fn watch(case: CaseFuture<'_>, limit: Duration) -> Result<(), Box<dyn Any + Send>> {
    static RUNS: AtomicU64 = AtomicU64::new(1);
    let run = RUNS.fetch_add(1, Ordering::Relaxed);
    captor::install();
    let bounded = RUN.scope(run, async {
        let ended = tokio::time::timeout(limit, case).await;
        assert!(ended.is_ok(), "the case did not end within {limit:?}");
        let leaks = captor::leaks(&marker(run));
        assert!(
            leaks.is_empty(),
            "personal data was logged or measured: {leaks:#?}"
        );
    });
    AssertUnwindSafe(bounded).catch_unwind().await
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}

/// Runs one case as a test: makes its fixture, runs the case, closes the fixture also when the case failed.
///
/// The macros call it; it starts a runtime of its own, so that a suite needs no runtime from its caller.
///
/// # Panics
/// As the case does.
pub fn test<F>(
    fixture: impl Future<Output = F>,
    case: impl for<'a> FnOnce(&'a F) -> CaseFuture<'a>,
    close: impl for<'a> FnOnce(&'a F) -> CaseFuture<'a>,
) {
    block_on(async {
        let fixture = fixture.await;
        let ended = watch(case(&fixture), CASE_LIMIT).await;
        let closed = AssertUnwindSafe(close(&fixture)).catch_unwind().await;
        // The case's own failure is the one to report.
        if let Err(panic) = ended.and(closed) {
            resume_unwind(panic);
        }
    });
}

/// Runs a future on a runtime of several threads that ends with it.
///
/// # Panics
/// When the runtime cannot be started.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .expect("a runtime starts wherever threads do");
    runtime.block_on(future)
}

/// Prints what a backend has declared away, so that a run shows what it left out.
pub fn declared_away(backend: &str, what: &str) {
    println!("declared away: {what} ({backend})");
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nothing;

    fn case(run: for<'a> fn(&'a Nothing) -> CaseFuture<'a>) -> Case<Nothing> {
        Case {
            group: "group",
            name: "name",
            run,
        }
    }

    #[test]
    fn a_failure_tells_the_message_of_the_panic() {
        let failing = case(|_| Box::pin(async { panic!("wrong by {}", 7) }));
        let outcome = block_on(attempt(&failing, &Nothing, CASE_LIMIT));
        assert_eq!(outcome, Err(Failure("wrong by 7".into())));
    }

    #[test]
    fn a_case_that_hangs_fails() {
        let hanging = case(|_| Box::pin(std::future::pending()));
        let outcome = block_on(attempt(&hanging, &Nothing, Duration::from_millis(20)));
        assert_eq!(outcome, Err(Failure("the case did not end within 20ms".into())));
    }

    #[test]
    fn a_case_that_logs_personal_data_fails_and_its_neighbour_does_not() {
        let leaking = case(|_| {
            Box::pin(async {
                let customer = format!("{}anna", marker(run_number()));
                tracing::warn!(customer, "looked up");
            })
        });
        let outcome = block_on(attempt(&leaking, &Nothing, CASE_LIMIT));
        assert!(outcome.is_err_and(|failure| failure.0.contains("personal data was logged")));
        let silent = case(|_| Box::pin(async { tracing::warn!("looked up") }));
        assert_eq!(block_on(attempt(&silent, &Nothing, CASE_LIMIT)), Ok(()));
    }

    #[test]
    fn a_case_that_measures_personal_data_fails() {
        let leaking = case(|_| {
            Box::pin(async {
                let customer = format!("{}anna", marker(run_number()));
                metrics::counter!("calls", "customer" => customer).increment(1);
            })
        });
        let outcome = block_on(attempt(&leaking, &Nothing, CASE_LIMIT));
        assert!(outcome.is_err_and(|failure| failure.0.contains("personal data was logged")));
    }

    #[test]
    fn a_fixture_is_closed_after_a_case_that_failed() {
        use std::sync::atomic::AtomicBool;
        static CLOSED: AtomicBool = AtomicBool::new(false);
        let ended = std::panic::catch_unwind(|| {
            test(
                async { Nothing },
                |_| Box::pin(async { panic!("no") }),
                |_| Box::pin(async { CLOSED.store(true, Ordering::SeqCst) }),
            );
        });
        assert!(ended.is_err() && CLOSED.load(Ordering::SeqCst));
    }
}

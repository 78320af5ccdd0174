//! How fast a comparison reads, and how long it waits.

use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use kaireon_core::{Error, ErrorKind, Result};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::VerifyConfig;

/// How often a read is tried whose failure may pass, and how long between.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(50);

/// Spreads rows over time.
#[derive(Debug)]
pub(super) struct Pace {
    rows_per_second: Option<u32>,
    next: Mutex<Instant>,
}

impl Pace {
    pub(super) fn new(rows_per_second: Option<u32>) -> Self {
        Self {
            rows_per_second,
            next: Mutex::new(Instant::now()),
        }
    }

    /// Waits until so many rows, which were just read, are within the rate.
    pub(super) async fn spend(&self, rows: usize) {
        let Some(rate) = self.rows_per_second else {
            return;
        };
        #[expect(clippy::cast_precision_loss, reason = "a page has a thousand rows")]
        let takes = Duration::from_secs_f64(rows as f64 / f64::from(rate.max(1)));
        let until = {
            let mut next = self.next.lock();
            *next = (*next).max(Instant::now()) + takes;
            *next
        };
        sleep_until(until).await;
    }
}

/// How a store fares.
#[derive(Debug, Default)]
pub(super) struct Failures {
    /// Attempts that failed since the last one that did not.
    in_a_row: AtomicU32,
    /// What the last of them failed with, once it is asked for nothing more.
    given_up: Mutex<Option<Error>>,
}

impl Failures {
    /// What a store that is asked for nothing more failed with.
    fn given_up(&self) -> Option<Error> {
        self.given_up.lock().clone()
    }

    fn note<T>(&self, answer: &Result<T>, give_up_after: u32) {
        match answer {
            Ok(_) => self.in_a_row.store(0, Ordering::Relaxed),
            Err(error) => {
                if self.in_a_row.fetch_add(1, Ordering::Relaxed) + 1 >= give_up_after {
                    self.given_up.lock().get_or_insert_with(|| error.clone());
                }
            }
        }
    }
}

/// Asks until there is an answer, within the deadline for each attempt, unless so many attempts in a row have failed.
///
/// # Errors
/// The last one; `Timeout` where no answer came.
pub(super) async fn ask<T, F: Future<Output = Result<T>>>(
    config: &VerifyConfig,
    failures: &Failures,
    mut call: impl FnMut() -> F,
) -> Result<T> {
    let mut tries = 1;
    loop {
        if let Some(error) = failures.given_up() {
            return Err(error);
        }
        let answer = timeout(config.read_deadline, call()).await.unwrap_or_else(|_| {
            let context = "a store did not answer a read of the comparison in time";
            Err(Error::new(ErrorKind::Timeout, context))
        });
        failures.note(&answer, config.give_up_after);
        match answer {
            Err(error) if error.is_transient() && tries < TRIES => {
                tries += 1;
                sleep(PAUSE).await;
            }
            answer => return answer,
        }
    }
}

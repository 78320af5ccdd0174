//! How fast a comparison reads, and how long it waits.

use std::future::Future;
use std::time::Duration;

use kaireon_core::{Error, ErrorKind, Result};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep, sleep_until, timeout};

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

/// Asks until there is an answer, within the deadline for each attempt.
///
/// # Errors
/// The last one; `Timeout` where no answer came.
pub(super) async fn ask<T, F: Future<Output = Result<T>>>(
    deadline: Duration,
    mut call: impl FnMut() -> F,
) -> Result<T> {
    let mut tries = 1;
    loop {
        let answer = timeout(deadline, call()).await.unwrap_or_else(|_| {
            let context = "a store did not answer a read of the comparison in time";
            Err(Error::new(ErrorKind::Timeout, context))
        });
        match answer {
            Err(error) if error.is_transient() && tries < TRIES => {
                tries += 1;
                sleep(PAUSE).await;
            }
            answer => return answer,
        }
    }
}

//! How the suite gets at a limiter.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use kaireon_core::limiter::{LimitKey, RateDecision, RateLimit, RateLimiter};
use kaireon_core::time::ManualClock;
use kaireon_core::{Result, TenantId};

use crate::Wrapped;
use crate::suite::{marker, run_number};

/// Opens a limiter for the cases of the suite. Each case gets a fixture of its own.
#[async_trait]
pub trait LimiterFixture: Send + Sync {
    /// A live handle. May be called again while another is live: then it gives the same one, or a second one that
    /// shares its limits.
    async fn open(&self) -> Arc<dyn RateLimiter>;

    /// Cleans up. Called once, also after a case that failed.
    async fn close(&self) {}

    /// The clock that the limiter was given, where it accepts one; otherwise cases wait for real time.
    fn clock(&self) -> Option<ManualClock> {
        None
    }
}

#[async_trait]
impl<F, W> LimiterFixture for Wrapped<F, W>
where
    F: LimiterFixture,
    W: Fn(Arc<dyn RateLimiter>) -> Arc<dyn RateLimiter> + Send + Sync,
{
    async fn open(&self) -> Arc<dyn RateLimiter> {
        (self.1)(self.0.open().await)
    }

    async fn close(&self) {
        self.0.close().await;
    }

    fn clock(&self) -> Option<ManualClock> {
        self.0.clock()
    }
}

/// A key of this run's own, in a tenant of its own.
pub(super) fn key(tenant: &str, name: &str) -> LimitKey {
    let tenant = TenantId::new(format!("t{}-{tenant}", run_number())).unwrap();
    LimitKey::new(&tenant, format!("{}{name}", marker(run_number()))).unwrap()
}

/// Lets time pass, by the limiter's clock or in truth.
pub(super) async fn pass(fixture: &dyn LimiterFixture, time: Duration) {
    match fixture.clock() {
        Some(clock) => clock.advance(TimeDelta::from_std(time).unwrap()),
        None => tokio::time::sleep(time).await,
    }
}

/// The times of the calls that were admitted, in milliseconds.
pub(super) fn admitted(decisions: &[RateDecision]) -> Vec<i64> {
    let admitted = decisions.iter().filter(|decision| decision.admitted);
    let mut times: Vec<i64> = admitted.map(|decision| decision.at.timestamp_millis()).collect();
    times.sort_unstable();
    times
}

/// Fails where a window of these admissions holds more than the limit: no slack, by the limiter's own times, in
/// milliseconds and in order.
///
/// # Panics
/// Then, and where the window has more milliseconds than can be counted.
pub fn check_windows(times: &[i64], limit: RateLimit) {
    let RateLimit { limit, window } = limit;
    let window = i64::try_from(window.as_millis()).unwrap();
    for run in times.windows(limit as usize + 1) {
        let (first, last) = (run[0], run[limit as usize]);
        assert!(
            last - first >= window,
            "{} calls were admitted within {} ms, where {limit} are within {window} ms",
            run.len(),
            last - first,
        );
    }
}

/// Asks so often at once, for a key of nobody else's, and returns the key and what was said. On the machine's clock a
/// slow machine may take longer over it than half a window: then it is done again with another key, so that what cases
/// expect of calls at once holds.
pub(super) async fn burst(
    fixture: &dyn LimiterFixture,
    limiter: &dyn RateLimiter,
    (tenant, name): (&str, &str),
    limit: RateLimit,
    calls: usize,
) -> (LimitKey, Vec<RateDecision>) {
    for attempt in 0..100 {
        let key = key(tenant, &format!("{name}-{attempt}"));
        let decisions = ask(fixture, limiter, (&key, limit), (calls, Duration::ZERO)).await;
        let decisions = decisions.unwrap();
        if within(&decisions, limit.window / 2) {
            return (key, decisions);
        }
    }
    panic!(
        "{calls} calls were never to be had within half of {:?}",
        limit.window
    );
}

/// Whether these were decided within so long, by the limiter's own times.
pub(super) fn within(decisions: &[RateDecision], time: Duration) -> bool {
    let times = || decisions.iter().map(|decision| decision.at.timestamp_millis());
    let length = times().max().zip(times().min()).map(|(last, first)| last - first);
    length.is_none_or(|length| length <= i64::try_from(time.as_millis()).unwrap())
}

/// Asks so often, so far apart, and returns what was said.
pub(super) async fn ask(
    fixture: &dyn LimiterFixture,
    limiter: &dyn RateLimiter,
    (key, limit): (&LimitKey, RateLimit),
    (calls, apart): (usize, Duration),
) -> Result<Vec<RateDecision>> {
    let mut decisions = Vec::with_capacity(calls);
    for call in 0..calls {
        if call > 0 && !apart.is_zero() {
            pass(fixture, apart).await;
        }
        decisions.push(limiter.acquire(key, limit).await?);
    }
    Ok(decisions)
}

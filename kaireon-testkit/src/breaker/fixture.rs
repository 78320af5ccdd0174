//! How the suite gets at breakers.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use kaireon_core::breaker::{Admission, BreakerConfig, CallResult, CircuitBreaker};
use kaireon_core::time::ManualClock;

use crate::Wrapped;

/// Opens breakers for the cases of the suite. Each case gets a fixture of its own, and opens it once.
#[async_trait]
pub trait BreakerFixture: Send + Sync {
    /// Breakers under this configuration.
    async fn open(&self, config: BreakerConfig) -> Arc<dyn CircuitBreaker>;

    /// Cleans up. Called once, also after a case that failed.
    async fn close(&self) {}

    /// The clock that the breakers were given, where they accept one; otherwise cases wait for real time.
    fn clock(&self) -> Option<ManualClock> {
        None
    }
}

#[async_trait]
impl<F, W> BreakerFixture for Wrapped<F, W>
where
    F: BreakerFixture,
    W: Fn(Arc<dyn CircuitBreaker>) -> Arc<dyn CircuitBreaker> + Send + Sync,
{
    async fn open(&self, config: BreakerConfig) -> Arc<dyn CircuitBreaker> {
        (self.1)(self.0.open(config).await)
    }

    async fn close(&self) {
        self.0.close().await;
    }

    fn clock(&self) -> Option<ManualClock> {
        self.0.clock()
    }
}

pub(super) const OPEN_FOR: Duration = Duration::from_millis(150);
pub(super) const PROBE_TIMEOUT: Duration = Duration::from_millis(250);

pub(super) const CONFIG: BreakerConfig = BreakerConfig {
    failures: 3,
    open_for: OPEN_FOR,
    probes: 1,
    probe_timeout: PROBE_TIMEOUT,
};

pub(super) const NAME: &str = "search";

/// Lets time pass, by the breakers' clock or in truth.
pub(super) async fn pass(fixture: &dyn BreakerFixture, time: Duration) {
    match fixture.clock() {
        Some(clock) => clock.advance(TimeDelta::from_std(time).unwrap()),
        None => tokio::time::sleep(time).await,
    }
}

/// An admission that the case counts on.
pub(super) async fn admitted(breaker: &dyn CircuitBreaker) -> u64 {
    match breaker.admit(NAME).await.unwrap() {
        Admission::Admitted(admission) => admission,
        Admission::Refused(wait) => panic!("refused for {wait:?}"),
    }
}

/// Whether a call is refused.
pub(super) async fn refused(breaker: &dyn CircuitBreaker) -> bool {
    matches!(breaker.admit(NAME).await.unwrap(), Admission::Refused(_))
}

/// A call that ends so.
pub(super) async fn call(breaker: &dyn CircuitBreaker, result: CallResult) {
    let admission = admitted(breaker).await;
    breaker.report(NAME, admission, result).await.unwrap();
}

/// A breaker that was opened by failures.
pub(super) async fn opened(fixture: &dyn BreakerFixture, config: BreakerConfig) -> Arc<dyn CircuitBreaker> {
    let breaker = fixture.open(config).await;
    for _ in 0..config.failures {
        call(&*breaker, CallResult::Failure).await;
    }
    breaker
}

/// A breaker that lets probes through.
pub(super) async fn half_open(
    fixture: &dyn BreakerFixture,
    config: BreakerConfig,
) -> Arc<dyn CircuitBreaker> {
    let breaker = opened(fixture, config).await;
    pass(fixture, OPEN_FOR + Duration::from_millis(10)).await;
    breaker
}

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

    /// The clock that the breakers were given, where they accept one.
    fn clock(&self) -> Option<ManualClock> {
        None
    }

    /// Lets so much time pass for the breakers; waits for it where there is no clock to move.
    async fn pass(&self, time: Duration) {
        match self.clock() {
            Some(clock) => clock.advance(TimeDelta::from_std(time).unwrap()),
            None => tokio::time::sleep(time).await,
        }
    }

    /// Of what the times of the cases are multiples: a breaker is open for fifteen. Where time passes without a wait it is
    /// long, so that nothing depends on how fast the machine is.
    fn unit(&self) -> Duration {
        match self.clock() {
            Some(_) => Duration::from_secs(60),
            None => Duration::from_millis(40),
        }
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

    async fn pass(&self, time: Duration) {
        self.0.pass(time).await;
    }

    fn unit(&self) -> Duration {
        self.0.unit()
    }
}

pub(super) fn open_for(fixture: &dyn BreakerFixture) -> Duration {
    fixture.unit() * 15
}

pub(super) fn probe_timeout(fixture: &dyn BreakerFixture) -> Duration {
    fixture.unit() * 25
}

pub(super) fn config(fixture: &dyn BreakerFixture) -> BreakerConfig {
    BreakerConfig {
        failures: 3,
        open_for: open_for(fixture),
        probes: 1,
        probe_timeout: probe_timeout(fixture),
    }
}

pub(super) const NAME: &str = "search";

/// Lets time pass for the breakers.
pub(super) async fn pass(fixture: &dyn BreakerFixture, time: Duration) {
    fixture.pass(time).await;
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
    pass(fixture, open_for(fixture) + Duration::from_millis(10)).await;
    breaker
}

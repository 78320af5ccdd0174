//! The gate in front of rate limits and circuit breakers.

use std::sync::Arc;

use async_trait::async_trait;
use kaireon_core::Result;
use kaireon_core::breaker::{Admission, BreakerState, CallResult, CircuitBreaker};
use kaireon_core::limiter::{LimitKey, RateDecision, RateLimit, RateLimiter};

use super::Gate;

/// A rate limiter behind a gate.
#[derive(Debug)]
pub(crate) struct GatedLimiter {
    gate: Arc<Gate>,
    inner: Arc<dyn RateLimiter>,
}

impl GatedLimiter {
    pub(crate) fn new(gate: Arc<Gate>, inner: Arc<dyn RateLimiter>) -> Self {
        Self { gate, inner }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl RateLimiter for GatedLimiter {
    async fn acquire(&self, key: &LimitKey, limit: RateLimit) -> Result<RateDecision> {
        let _pass = self.gate.enter("acquire")?;
        self.inner.acquire(key, limit).await
    }
}

/// A circuit breaker behind a gate.
#[derive(Debug)]
pub(crate) struct GatedBreaker {
    gate: Arc<Gate>,
    inner: Arc<dyn CircuitBreaker>,
}

impl GatedBreaker {
    pub(crate) fn new(gate: Arc<Gate>, inner: Arc<dyn CircuitBreaker>) -> Self {
        Self { gate, inner }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl CircuitBreaker for GatedBreaker {
    async fn admit(&self, breaker: &str) -> Result<Admission> {
        let _pass = self.gate.enter("admit")?;
        self.inner.admit(breaker).await
    }

    async fn report(&self, breaker: &str, admission: u64, result: CallResult) -> Result<()> {
        let _pass = self.gate.enter("report")?;
        self.inner.report(breaker, admission, result).await
    }

    async fn state(&self, breaker: &str) -> Result<BreakerState> {
        let _pass = self.gate.enter("state")?;
        self.inner.state(breaker).await
    }
}

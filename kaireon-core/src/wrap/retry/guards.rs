//! Trying again, over rate limiters and circuit breakers.

use async_trait::async_trait;

use super::Retry;
use crate::Result;
use crate::breaker::{Admission, BreakerState, CallResult, CircuitBreaker};
use crate::limiter::{LimitKey, RateDecision, RateLimit, RateLimiter};
use crate::wrap::operation::Operation;

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<L: RateLimiter> RateLimiter for Retry<L> {
    async fn acquire(&self, key: &LimitKey, limit: RateLimit) -> Result<RateDecision> {
        self.repeated(Operation::Acquire, || self.inner.acquire(key, limit))
            .await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<B: CircuitBreaker> CircuitBreaker for Retry<B> {
    async fn admit(&self, breaker: &str) -> Result<Admission> {
        self.repeated(Operation::Admit, || self.inner.admit(breaker))
            .await
    }

    async fn report(&self, breaker: &str, admission: u64, result: CallResult) -> Result<()> {
        self.repeated(Operation::Report, || {
            self.inner.report(breaker, admission, result)
        })
        .await
    }

    async fn state(&self, breaker: &str) -> Result<BreakerState> {
        self.repeated(Operation::BreakerState, || self.inner.state(breaker))
            .await
    }
}

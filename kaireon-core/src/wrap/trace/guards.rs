//! Spans and metrics, over rate limiters and circuit breakers.

use async_trait::async_trait;

use super::Trace;
use crate::Result;
use crate::breaker::{Admission, BreakerState, CallResult, CircuitBreaker};
use crate::limiter::{LimitKey, RateDecision, RateLimit, RateLimiter};
use crate::wrap::name;
use crate::wrap::operation::Operation;

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<L: RateLimiter> RateLimiter for Trace<L> {
    async fn acquire(&self, key: &LimitKey, limit: RateLimit) -> Result<RateDecision> {
        self.traced(
            Operation::Acquire,
            name::of_nameless,
            self.inner.acquire(key, limit),
        )
        .await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<B: CircuitBreaker> CircuitBreaker for Trace<B> {
    async fn admit(&self, breaker: &str) -> Result<Admission> {
        self.traced(Operation::Admit, name::of_nameless, self.inner.admit(breaker))
            .await
    }

    async fn report(&self, breaker: &str, admission: u64, result: CallResult) -> Result<()> {
        self.traced(
            Operation::Report,
            name::of_nameless,
            self.inner.report(breaker, admission, result),
        )
        .await
    }

    async fn state(&self, breaker: &str) -> Result<BreakerState> {
        self.traced(
            Operation::BreakerState,
            name::of_nameless,
            self.inner.state(breaker),
        )
        .await
    }
}

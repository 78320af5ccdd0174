//! A limit on how long a call may take, over rate limiters and circuit breakers.

use async_trait::async_trait;

use super::Timeout;
use crate::Result;
use crate::breaker::{Admission, BreakerState, CallResult, CircuitBreaker};
use crate::limiter::{LimitKey, RateDecision, RateLimit, RateLimiter};
use crate::wrap::name;
use crate::wrap::operation::Operation;

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<L: RateLimiter> RateLimiter for Timeout<L> {
    async fn acquire(&self, key: &LimitKey, limit: RateLimit) -> Result<RateDecision> {
        self.limited(
            Operation::Acquire,
            name::of_nameless,
            self.inner.acquire(key, limit),
        )
        .await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<B: CircuitBreaker> CircuitBreaker for Timeout<B> {
    async fn admit(&self, breaker: &str) -> Result<Admission> {
        self.limited(Operation::Admit, name::of_nameless, self.inner.admit(breaker))
            .await
    }

    async fn report(&self, breaker: &str, admission: u64, result: CallResult) -> Result<()> {
        self.limited(
            Operation::Report,
            name::of_nameless,
            self.inner.report(breaker, admission, result),
        )
        .await
    }

    async fn state(&self, breaker: &str) -> Result<BreakerState> {
        self.limited(
            Operation::BreakerState,
            name::of_nameless,
            self.inner.state(breaker),
        )
        .await
    }
}

//! The circuit breaker.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use kaireon_core::Result;
use kaireon_core::breaker::{
    Admission, BreakerConfig, BreakerState, CallResult, Circuit, CircuitBreaker, check_name,
};
use kaireon_core::time::{Clock, ForwardClock, SteadyClock};
use parking_lot::Mutex;

/// Named breakers in this process's memory, all under one configuration. Each name that was ever asked for takes one
/// small entry: names are of backends, not of what they are asked.
pub struct InProcessBreaker {
    config: BreakerConfig,
    clock: ForwardClock,
    circuits: Mutex<HashMap<Box<str>, Circuit>>,
}

impl InProcessBreaker {
    /// Breakers by the machine's steady clock.
    ///
    /// # Errors
    /// `InvalidInput` naming what is out of bounds.
    pub fn new(config: BreakerConfig) -> Result<Self> {
        Self::with_clock(config, Arc::new(SteadyClock::new()))
    }

    /// Breakers by this clock, which may be moved back.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn with_clock(config: BreakerConfig, clock: Arc<dyn Clock>) -> Result<Self> {
        config.check()?;
        Ok(Self {
            config,
            clock: ForwardClock::new(clock),
            circuits: Mutex::default(),
        })
    }
}

impl fmt::Debug for InProcessBreaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InProcessBreaker")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl CircuitBreaker for InProcessBreaker {
    async fn admit(&self, breaker: &str) -> Result<Admission> {
        check_name(breaker)?;
        let mut circuits = self.circuits.lock();
        let now = self.clock.now();
        if let Some(circuit) = circuits.get_mut(breaker) {
            return Ok(circuit.admit(&self.config, now));
        }
        let circuit = circuits.entry(breaker.into()).or_default();
        Ok(circuit.admit(&self.config, now))
    }

    async fn report(&self, breaker: &str, admission: u64, result: CallResult) -> Result<()> {
        check_name(breaker)?;
        let mut circuits = self.circuits.lock();
        let now = self.clock.now();
        // Whoever was never asked for has admitted nobody.
        if let Some(circuit) = circuits.get_mut(breaker) {
            circuit.report(&self.config, now, admission, result);
        }
        Ok(())
    }

    async fn state(&self, breaker: &str) -> Result<BreakerState> {
        check_name(breaker)?;
        let circuits = self.circuits.lock();
        let now = self.clock.now();
        let state = circuits.get(breaker).map(|circuit| circuit.state(now));
        Ok(state.unwrap_or(BreakerState::Closed))
    }
}

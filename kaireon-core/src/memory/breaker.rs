//! The circuit breaker in memory.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;

use crate::Result;
use crate::breaker::{
    Admission, BreakerConfig, BreakerState, CallResult, Circuit, CircuitBreaker, check_name,
};
use crate::time::{Clock, ForwardClock, SteadyClock};

/// Named breakers, each a [`Circuit`].
pub struct MemoryBreaker {
    config: BreakerConfig,
    circuits: Mutex<HashMap<String, Circuit>>,
    clock: ForwardClock,
}

impl MemoryBreaker {
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
            circuits: Mutex::default(),
            clock: ForwardClock::new(clock),
        })
    }
}

impl fmt::Debug for MemoryBreaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBreaker")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl CircuitBreaker for MemoryBreaker {
    async fn admit(&self, breaker: &str) -> Result<Admission> {
        check_name(breaker)?;
        let mut circuits = self.circuits.lock();
        let circuit = circuits.entry(breaker.to_owned()).or_default();
        Ok(circuit.admit(&self.config, self.clock.now()))
    }

    async fn report(&self, breaker: &str, admission: u64, result: CallResult) -> Result<()> {
        check_name(breaker)?;
        let mut circuits = self.circuits.lock();
        let circuit = circuits.entry(breaker.to_owned()).or_default();
        circuit.report(&self.config, self.clock.now(), admission, result);
        Ok(())
    }

    async fn state(&self, breaker: &str) -> Result<BreakerState> {
        check_name(breaker)?;
        let mut circuits = self.circuits.lock();
        let circuit = circuits.entry(breaker.to_owned()).or_default();
        Ok(circuit.state(self.clock.now()))
    }
}

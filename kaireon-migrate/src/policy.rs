//! What an operator asks of a migration.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::millis;

/// How long a caller of a live write waits for its own entry to reach the other store. The authority's outcome is the
/// caller's in every mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "snake_case", deny_unknown_fields)]
pub enum DualWrite {
    /// Until it has, or the budget has run out, which is counted and is no error.
    Strict {
        /// The longest that a caller waits.
        #[serde(rename = "budget_ms", with = "millis")]
        budget: Duration,
    },
    /// For one attempt.
    BestEffort,
    /// Not at all.
    Async,
}

/// What a gate asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateBounds {
    /// How old a verification, a measure of the lane or a read comparison may be; one hour by default.
    #[serde(rename = "max_age_ms", with = "millis")]
    pub max_age: Duration,
    /// How far the `replicate` lane may lag; one second by default.
    #[serde(rename = "max_lag_ms", with = "millis")]
    pub max_lag: Duration,
    /// How many live reads have to be compared; 1,000 by default, 0 asks for no comparison.
    pub min_reads: u64,
}

impl Default for GateBounds {
    fn default() -> Self {
        Self {
            max_age: Duration::from_secs(3_600),
            max_lag: Duration::from_secs(1),
            min_reads: 1_000,
        }
    }
}

/// What an operator asks of a migration, given at its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// What the gate asks for.
    pub gate: GateBounds,
    /// How long callers wait while the authority moves, and so how long its lane may take to be emptied; 2 s by
    /// default.
    #[serde(rename = "drain_bound_ms", with = "millis")]
    pub drain_bound: Duration,
    /// How long after the cut-over a migration may be finalised; 7 days by default.
    #[serde(rename = "safety_period_ms", with = "millis")]
    pub safety_period: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            gate: GateBounds::default(),
            drain_bound: Duration::from_secs(2),
            safety_period: Duration::from_secs(7 * 24 * 60 * 60),
        }
    }
}

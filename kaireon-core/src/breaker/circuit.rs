//! The state of one breaker, without a clock and without a place to keep it.

use std::time::Duration;

use chrono::TimeDelta;

use super::{Admission, BreakerConfig, BreakerState, CallResult};
use crate::time::Timestamp;

/// One breaker as a plain value: what backends keep, in memory or elsewhere. The times handed in must not run
/// backwards (see [`ForwardClock`](crate::time::ForwardClock)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Circuit {
    phase: Phase,
    /// The next admission's number.
    next: u64,
    /// Admissions below this one were given before the last change of state.
    since: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    Closed { failures: u32 },
    Open { until: Timestamp },
    HalfOpen { successes: u32, probe: Option<Probe> },
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Probe {
    admission: u64,
    deadline: Timestamp,
}

impl Default for Circuit {
    fn default() -> Self {
        Self {
            phase: Phase::Closed { failures: 0 },
            next: 0,
            since: 0,
        }
    }
}

impl Circuit {
    /// Asks whether a call may go on.
    pub fn admit(&mut self, config: &BreakerConfig, now: Timestamp) -> Admission {
        if let Phase::Open { until } = self.phase {
            if now < until {
                return Admission::Refused(between(now, until));
            }
            self.change(Phase::HalfOpen {
                successes: 0,
                probe: None,
            });
        }
        let admission = self.next;
        if let Phase::HalfOpen { successes, probe } = &mut self.phase {
            if let Some(Probe { deadline, .. }) = probe {
                if now < *deadline {
                    return Admission::Refused(between(now, *deadline));
                }
                // It was never answered, which counts as a failure: the row of successes begins again.
                *successes = 0;
            }
            *probe = Some(Probe {
                admission,
                deadline: after(now, config.probe_timeout),
            });
        }
        self.next += 1;
        Admission::Admitted(admission)
    }

    /// Reports how an admitted call ended.
    pub fn report(&mut self, config: &BreakerConfig, now: Timestamp, admission: u64, result: CallResult) {
        if admission < self.since || admission >= self.next {
            return;
        }
        match (&mut self.phase, result) {
            (Phase::Closed { failures }, CallResult::Success) => *failures = 0,
            (Phase::Closed { failures }, CallResult::Failure) => {
                *failures += 1;
                if *failures >= config.failures {
                    self.open(config, now);
                }
            }
            (Phase::Open { .. }, _) => {}
            (Phase::HalfOpen { successes, probe }, result) => {
                let timely = |probe: &mut Probe| probe.admission == admission && now < probe.deadline;
                if probe.take_if(timely).is_none() {
                    return;
                }
                match result {
                    CallResult::Success => *successes += 1,
                    CallResult::Failure => return self.open(config, now),
                }
                if *successes >= config.probes {
                    self.change(Phase::Closed { failures: 0 });
                }
            }
        }
    }

    /// How it stands.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> BreakerState {
        match self.phase {
            Phase::Closed { .. } => BreakerState::Closed,
            Phase::Open { until } if now < until => BreakerState::Open,
            Phase::Open { .. } | Phase::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    fn open(&mut self, config: &BreakerConfig, now: Timestamp) {
        let until = after(now, config.open_for);
        self.change(Phase::Open { until });
    }

    fn change(&mut self, phase: Phase) {
        self.phase = phase;
        self.since = self.next;
    }
}

/// A time so much later, or the latest that can be expressed. Up to the next millisecond.
fn after(now: Timestamp, wait: Duration) -> Timestamp {
    let millis = i64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(i64::MAX);
    TimeDelta::try_milliseconds(millis)
        .and_then(|wait| now.checked_add_signed(wait))
        .unwrap_or(Timestamp::MAX_UTC)
}

fn between(now: Timestamp, later: Timestamp) -> Duration {
    (later - now).to_std().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::from_millis;

    #[test]
    fn the_longest_wait_never_ends_and_does_not_overflow() {
        let config = BreakerConfig {
            failures: 1,
            open_for: Duration::MAX,
            ..BreakerConfig::default()
        };
        let mut circuit = Circuit::default();
        let now = from_millis(0).unwrap();
        let Admission::Admitted(admission) = circuit.admit(&config, now) else {
            panic!("a new breaker is closed");
        };
        circuit.report(&config, now, admission, CallResult::Failure);
        assert!(matches!(circuit.admit(&config, now), Admission::Refused(_)));
    }

    #[test]
    fn a_number_that_was_never_given_is_ignored() {
        let config = BreakerConfig {
            failures: 1,
            ..BreakerConfig::default()
        };
        let mut circuit = Circuit::default();
        circuit.report(&config, from_millis(0).unwrap(), 7, CallResult::Failure);
        assert_eq!(circuit, Circuit::default());
    }
}

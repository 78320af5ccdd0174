//! Deliberately wrong breakers, by which the suite is shown to bite.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use kaireon_core::Result;
use kaireon_core::breaker::{
    Admission, BreakerConfig, BreakerState, CallResult, Circuit, CircuitBreaker, check_name,
};
use kaireon_core::time::{Clock, ForwardClock, ManualClock, from_millis};
use parking_lot::Mutex;

use super::BreakerFixture;

/// One altered rule of a breaker that works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Flaw {
    /// Nothing opens it.
    NeverOpens,
    /// A success does not end a row of failures.
    CountsFailuresInAll,
    /// One success is enough, however many were asked for.
    ClosesAtTheFirstProbe,
    /// While it is half open, everybody is a probe.
    SeveralProbes,
    /// A probe that is never answered is waited for.
    WaitsForLostProbes,
    /// A late report counts as one of the newest call.
    TakesLateReports,
    /// One state for all names.
    OneForAll,
    /// Stays open ten times as long.
    StaysOpen,
    /// Follows a clock that is moved back.
    FollowsTheClockBack,
    /// Any text is a name.
    TakesAnyName,
}

impl Flaw {
    /// Every flaw.
    pub const ALL: &[Self] = &[
        Self::NeverOpens,
        Self::CountsFailuresInAll,
        Self::ClosesAtTheFirstProbe,
        Self::SeveralProbes,
        Self::WaitsForLostProbes,
        Self::TakesLateReports,
        Self::OneForAll,
        Self::StaysOpen,
        Self::FollowsTheClockBack,
        Self::TakesAnyName,
    ];

    /// The cases that must fail.
    #[must_use]
    pub fn caught_by(self) -> &'static [&'static str] {
        match self {
            Self::NeverOpens => &["failures_in_a_row_open_it", "concurrent_failures_open_it_once"],
            Self::CountsFailuresInAll => &["a_success_ends_the_row_of_failures"],
            Self::ClosesAtTheFirstProbe => &["as_many_probes_as_configured_must_succeed_in_a_row"],
            Self::SeveralProbes => &[
                "one_probe_at_a_time_goes_through",
                "concurrent_callers_get_one_probe",
            ],
            Self::WaitsForLostProbes => &["an_unanswered_probe_gives_way_to_another"],
            Self::TakesLateReports => &[
                "reports_of_calls_admitted_before_it_closed_are_ignored",
                "a_late_report_of_a_probe_is_ignored",
            ],
            Self::OneForAll => &["breakers_of_other_names_are_not_moved"],
            Self::StaysOpen => &["an_open_breaker_refuses_until_its_time_is_over"],
            Self::FollowsTheClockBack => &["a_clock_moved_back_does_not_prolong_the_opening"],
            Self::TakesAnyName => &["names_out_of_bounds_are_invalid_input"],
        }
    }

    /// Cases that the flaw fails as well, because they count on its rule.
    #[must_use]
    pub fn may_fail(self) -> &'static [&'static str] {
        match self {
            // Whatever needs an open breaker cannot do without.
            Self::NeverOpens | Self::StaysOpen => &[
                "an_open_breaker_refuses_until_its_time_is_over",
                "reports_of_calls_admitted_before_it_opened_are_ignored",
                "reports_of_calls_admitted_before_it_closed_are_ignored",
                "breakers_of_other_names_are_not_moved",
                "concurrent_failures_open_it_once",
                "a_clock_moved_back_does_not_prolong_the_opening",
                "one_probe_at_a_time_goes_through",
                "a_probe_that_succeeds_closes_it",
                "a_probe_that_fails_opens_it_again",
                "as_many_probes_as_configured_must_succeed_in_a_row",
                "an_unanswered_probe_gives_way_to_another",
                "a_late_report_of_a_probe_is_ignored",
                "concurrent_callers_get_one_probe",
            ],
            Self::ClosesAtTheFirstProbe | Self::SeveralProbes => {
                &["an_unanswered_probe_gives_way_to_another"]
            }
            Self::WaitsForLostProbes => &[
                "a_late_report_of_a_probe_is_ignored",
                "one_probe_at_a_time_goes_through",
            ],
            _ => &[],
        }
    }
}

/// Opens breakers with a flaw, or sound ones.
#[derive(Clone, Debug)]
pub struct Fixture {
    flaw: Option<Flaw>,
    clock: ManualClock,
}

impl Fixture {
    /// A fixture.
    ///
    /// # Panics
    /// Never: the time it begins at can be expressed.
    #[must_use]
    pub fn new(flaw: Option<Flaw>) -> Self {
        let clock = ManualClock::at(from_millis(1_700_000_000_000).expect("a time of 2023"));
        Self { flaw, clock }
    }
}

#[async_trait]
impl BreakerFixture for Fixture {
    async fn open(&self, mut config: BreakerConfig) -> Arc<dyn CircuitBreaker> {
        match self.flaw {
            Some(Flaw::NeverOpens) => config.failures = u32::MAX,
            Some(Flaw::ClosesAtTheFirstProbe) => config.probes = 1,
            Some(Flaw::WaitsForLostProbes) => config.probe_timeout *= 1_000,
            Some(Flaw::StaysOpen) => config.open_for *= 10,
            _ => {}
        }
        Arc::new(Broken {
            flaw: self.flaw,
            config,
            forward: ForwardClock::new(Arc::new(self.clock.clone())),
            clock: self.clock.clone(),
            circuits: Mutex::default(),
        })
    }

    fn clock(&self) -> Option<ManualClock> {
        Some(self.clock.clone())
    }
}

struct Broken {
    flaw: Option<Flaw>,
    config: BreakerConfig,
    clock: ManualClock,
    forward: ForwardClock,
    /// Each with the number that was given out last.
    circuits: Mutex<HashMap<String, (Circuit, u64)>>,
}

impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Broken({:?})", self.flaw)
    }
}

impl Broken {
    fn now(&self) -> kaireon_core::time::Timestamp {
        match self.flaw {
            Some(Flaw::FollowsTheClockBack) => self.clock.now(),
            _ => self.forward.now(),
        }
    }

    fn with<T>(&self, breaker: &str, then: impl FnOnce(&mut Circuit, &mut u64) -> T) -> Result<T> {
        if self.flaw != Some(Flaw::TakesAnyName) {
            check_name(breaker)?;
        }
        let name = if self.flaw == Some(Flaw::OneForAll) {
            ""
        } else {
            breaker
        };
        let mut circuits = self.circuits.lock();
        let (circuit, last) = circuits.entry(name.to_owned()).or_default();
        Ok(then(circuit, last))
    }
}

#[async_trait]
impl CircuitBreaker for Broken {
    async fn admit(&self, breaker: &str) -> Result<Admission> {
        let now = self.now();
        self.with(breaker, |circuit, last| {
            let half_open = circuit.state(now) == BreakerState::HalfOpen;
            match circuit.admit(&self.config, now) {
                Admission::Admitted(admission) => {
                    *last = admission;
                    Admission::Admitted(admission)
                }
                Admission::Refused(_) if half_open && self.flaw == Some(Flaw::SeveralProbes) => {
                    Admission::Admitted(*last)
                }
                refused @ Admission::Refused(_) => refused,
            }
        })
    }

    async fn report(&self, breaker: &str, admission: u64, result: CallResult) -> Result<()> {
        let now = self.now();
        self.with(breaker, |circuit, last| {
            if result == CallResult::Success
                && self.flaw == Some(Flaw::CountsFailuresInAll)
                && circuit.state(now) == BreakerState::Closed
            {
                return;
            }
            let late = self.flaw == Some(Flaw::TakesLateReports);
            let mut admission = admission;
            if late && circuit.state(now) != BreakerState::Open {
                // As if the call had been admitted just now.
                admission = match circuit.state(now) {
                    BreakerState::Closed => match circuit.admit(&self.config, now) {
                        Admission::Admitted(admission) => admission,
                        Admission::Refused(_) => *last,
                    },
                    _ => *last,
                };
            }
            circuit.report(&self.config, now, admission, result);
        })
    }

    async fn state(&self, breaker: &str) -> Result<BreakerState> {
        let now = self.now();
        self.with(breaker, |circuit, _| circuit.state(now))
    }
}

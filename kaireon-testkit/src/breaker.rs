//! The circuit breaker's suite.

#![allow(clippy::unwrap_used, reason = "a case is a test: its panic is the report")]

pub mod broken;
mod fixture;
pub mod probes;
pub mod states;

pub use fixture::BreakerFixture;

use crate::suite::Case;

/// The list of the cases; what it is handed to makes tests or a table of it.
#[doc(hidden)]
#[macro_export]
macro_rules! __breaker_cases {
    ($then:ident $setting:tt) => {
        $crate::$then! { $setting
            breaker::states {
                a_new_breaker_is_closed_and_admits
                failures_in_a_row_open_it
                a_success_ends_the_row_of_failures
                an_open_breaker_refuses_until_its_time_is_over
                reports_of_calls_admitted_before_it_opened_are_ignored
                reports_of_calls_admitted_before_it_closed_are_ignored
                breakers_of_other_names_are_not_moved
                concurrent_failures_open_it_once
                names_out_of_bounds_are_invalid_input
                a_clock_moved_back_does_not_prolong_the_opening
            }
            breaker::probes {
                one_probe_at_a_time_goes_through
                a_probe_that_succeeds_closes_it
                a_probe_that_fails_opens_it_again
                as_many_probes_as_configured_must_succeed_in_a_row
                an_unanswered_probe_gives_way_to_another
                a_late_report_of_a_probe_is_ignored
                concurrent_callers_get_one_probe
            }
        }
    };
}

/// Every case of the circuit breaker, as data.
pub static CASES: &[Case<dyn BreakerFixture>] = __breaker_cases! { __case_table () };

//! The rate limiter's suite: in no window are more than `limit` calls admitted.

#![allow(clippy::unwrap_used, reason = "a case is a test: its panic is the report")]

pub mod broken;
pub mod fairness;
mod fixture;
pub mod windows;

pub use fixture::{LimiterFixture, check_windows};

use crate::suite::Case;

/// The list of the cases; what it is handed to makes tests or a table of it.
#[doc(hidden)]
#[macro_export]
macro_rules! __limiter_cases {
    ($then:ident $setting:tt) => {
        $crate::$then! { $setting
            limiter::windows {
                no_window_holds_more_than_the_limit_across_the_edges_of_fixed_windows
                no_window_holds_more_than_the_limit_under_a_burst_after_a_pause
                no_window_holds_more_than_the_limit_at_an_uneven_pace
                concurrent_callers_together_keep_to_the_limit
                a_clock_moved_back_admits_no_more
                a_limit_of_one_admits_one_per_window
            }
            limiter::fairness {
                the_limit_is_used_in_full
                a_refused_call_takes_no_place
                a_refused_call_is_admitted_after_the_wait_it_was_told
                remaining_counts_down_to_nothing
                keys_do_not_share_a_limit
                tenants_do_not_share_a_limit
                limits_of_one_key_count_the_same_admissions
                limits_out_of_bounds_are_invalid_input_naming_the_field
            }
        }
    };
}

/// Every case of the rate limiter, as data.
pub static CASES: &[Case<dyn LimiterFixture>] = __limiter_cases! { __case_table () };

//! The cache's suite, and that of `get_or_fetch` over it.

#![allow(clippy::unwrap_used, reason = "a case is a test: its panic is the report")]

pub mod broken;
pub mod conditions;
pub mod erasure;
pub mod expiry;
mod fixture;
pub mod flights;
pub mod leases;
pub mod shared;
pub mod stale;
pub mod values;

pub use fixture::{CacheFixture, Fetch, Fetched};

use crate::suite::Case;

/// The list of the cases; what it is handed to makes tests or a table of it.
#[doc(hidden)]
#[macro_export]
macro_rules! __cache_cases {
    ($then:ident $setting:tt) => {
        $crate::$then! { $setting
            cache::values {
                a_value_reads_as_it_was_set
                a_later_value_replaces_an_earlier_one
                a_deleted_value_is_gone_and_counted_once
                many_values_are_read_set_and_deleted_in_the_order_of_the_keys
                tenants_and_customers_do_not_share_keys
                a_value_above_the_bound_is_invalid_input_naming_value
                peek_agrees_with_get
                peek_fetched_shows_what_was_fetched_and_nothing_else
                json_reads_as_it_was_set_and_other_json_is_corrupt
                after_disconnect_calls_are_unavailable_and_not_applied
                ping_agrees_with_the_capabilities
            }
            cache::expiry {
                a_value_is_gone_after_its_ttl_and_not_before
                a_value_without_a_ttl_stays
                setting_again_begins_a_new_ttl
                a_ttl_of_zero_is_invalid_input_naming_ttl
                an_expired_value_does_not_count_as_deleted
            }
            cache::conditions {
                if_absent_sets_once
                if_absent_counts_what_has_expired_as_absent
                if_present_replaces_only_what_is_there
                if_present_counts_what_has_expired_as_absent
                what_has_expired_of_a_customer_who_has_more_counts_as_absent
                of_concurrent_callers_if_absent_one_sets
                if_absent_never_replaces_what_is_set_meanwhile
            }
            cache::erasure {
                erasing_a_customer_removes_what_carries_the_customer_and_nothing_else
                erasing_a_customer_removes_what_was_fetched
                a_fetch_under_way_is_not_kept_behind_an_erasure
                erasure_agrees_with_the_capabilities
            }
            cache::flights {
                a_thousand_concurrent_callers_fetch_once
                what_was_fetched_is_not_fetched_again
                a_failure_answers_all_who_waited_with_the_same_error
                who_comes_after_a_failure_fetches_anew
                a_cancelled_fetcher_hands_over_to_one_who_waits
                a_fetcher_that_panics_hands_over_to_one_who_waits
                a_cancelled_waiter_strands_nobody
                keys_do_not_wait_for_each_other
                callers_meet_across_handles
                get_set_and_del_do_not_see_what_was_fetched
                invalidate_removes_what_was_fetched
                what_is_being_fetched_while_it_is_invalidated_is_not_kept
                absence_is_fetched_again_unless_it_is_remembered
                absence_is_remembered_for_its_ttl
                fetch_options_out_of_bounds_are_invalid_input_naming_the_field
            }
            cache::shared {
                what_one_process_sets_another_reads_replaces_and_deletes
                a_value_ends_for_every_process
                of_concurrent_processes_if_absent_one_sets
                what_one_process_fetched_another_does_not_fetch_again
                an_erasure_reaches_what_other_processes_keep
                a_fetch_under_way_elsewhere_is_not_kept_behind_an_erasure
                a_process_that_disconnects_leaves_the_others_at_work
            }
            cache::leases {
                a_lease_is_one_process_s_until_it_is_released_or_ends
                who_comes_late_with_a_lease_that_another_has_keeps_nothing
                with_a_lease_one_of_all_processes_fetches
                a_fetch_that_fails_under_a_lease_hands_over_to_another_process
                whoever_may_see_a_stale_value_does_not_wait_for_another_process
                what_is_fetched_under_a_lease_is_not_kept_behind_an_invalidation_elsewhere
                what_is_fetched_under_a_lease_is_not_kept_behind_an_erasure_elsewhere
                a_fetcher_that_is_cancelled_under_a_lease_hands_over
                what_cannot_be_kept_under_a_lease_holds_up_nobody
                nobody_waits_for_longer_than_a_lease_lasts
                leases_out_of_bounds_are_invalid_input
            }
            cache::stale {
                without_a_window_an_expired_value_is_fetched_anew
                one_caller_revalidates_and_the_others_get_the_stale_value
                beyond_the_window_everybody_waits
                a_failure_within_the_window_is_answered_with_the_stale_value
                a_failure_beyond_the_window_is_answered_with_the_error
                jitter_only_shortens_the_ttl
            }
        }
    };
}

/// Every case of the cache, as data.
pub static CASES: &[Case<dyn CacheFixture>] = __cache_cases! { __case_table () };

//! The interaction store's suite: what every backend must do, rule by rule.

#![allow(clippy::unwrap_used, reason = "a case is a test: its panic is the report")]

pub mod idempotency;

use crate::StoreFixture;
use crate::suite::Case;

/// The list of the cases; what it is handed to makes tests or a table of it.
#[doc(hidden)]
#[macro_export]
macro_rules! __store_cases {
    ($then:ident $setting:tt) => {
        $crate::$then! { $setting
            store::idempotency {
                record_event_again_is_a_duplicate_of_the_first
                record_event_with_reused_key_and_other_id_returns_the_first_id
                record_event_with_reused_key_and_other_timestamp_is_a_duplicate
                record_event_with_reused_key_and_other_details_keeps_the_first_details
                record_event_with_reused_key_and_other_customer_conflicts
                record_event_with_reused_key_and_other_offer_conflicts
                record_event_with_reused_key_and_other_creative_conflicts
                record_event_with_reused_key_and_other_channel_conflicts
                record_event_with_reused_key_and_other_type_conflicts
                record_event_with_reused_key_and_other_outcome_conflicts
                record_event_with_reused_key_and_other_value_conflicts
                record_event_with_reused_key_and_no_value_conflicts
                record_events_settles_equal_keys_in_arrival_order
                record_events_again_finds_every_item
                record_events_of_an_empty_batch_is_empty
                one_key_in_two_tenants_records_twice
                an_interaction_built_without_a_key_is_recognised_when_sent_again
                concurrent_retries_from_several_handles_record_once
                concurrent_conflicts_leave_one_winner
                concurrent_overlapping_batches_record_each_key_once
                keys_that_look_alike_are_different_keys
            }
        }
    };
}

/// Every case of the interaction store and its outbox, as data.
pub static CASES: &[Case<dyn StoreFixture>] = __store_cases! { __case_table () };

//! The interaction store's suite: what every backend must do, rule by rule.

#![allow(clippy::unwrap_used, reason = "a case is a test: its panic is the report")]

pub mod decisions;
pub mod dedupe;
pub mod erasure;
pub mod fences;
pub mod fields;
pub mod handles;
pub mod history;
pub mod idempotency;
pub mod isolation;
pub mod origins;
pub mod periods;
pub mod privacy;
pub mod purge;
pub mod reading;
pub mod restarts;
pub mod scan;
pub mod summaries;
pub mod tenants;
pub mod tombstones;

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
            store::dedupe {
                a_retry_after_the_horizon_is_a_duplicate_while_its_row_stands
                a_retry_within_the_horizon_is_a_duplicate_after_its_row_was_purged
                a_late_event_is_known_for_the_horizon_after_its_arrival
                a_retry_within_the_horizon_is_a_duplicate_after_its_customer_was_erased
                a_decision_is_known_as_long_as_an_interaction
            }
            store::summaries {
                one_interaction_appears_in_twelve_groups
                types_and_classifications_are_counted_apart
                custom_types_count_by_their_classification_alone
                values_are_summed_exactly_in_any_order
                values_of_every_type_are_summed
                every_order_of_arrival_gives_the_same_summaries
                the_last_contact_is_the_greatest_by_timestamp_and_id
                summaries_include_every_write_that_was_acknowledged
                summaries_outlive_the_rows_that_are_purged
                a_customer_of_many_offers_has_a_group_of_each
                customers_have_summaries_of_their_own
                concurrent_writers_of_one_customer_lose_nothing
            }
            store::reading {
                summaries_are_read_in_order
                summaries_are_filtered_by_dimension
            }
            store::periods {
                late_events_land_in_their_own_day_week_and_month
                closed_periods_are_reached_by_late_events
                weeks_at_the_edge_of_the_year_are_iso_weeks
                days_weeks_and_months_begin_at_midnight_utc
                summaries_are_filtered_by_period
                summaries_are_filtered_by_dimension_and_period_together
                ten_years_of_a_customer_are_kept_by_the_day
            }
            store::isolation {
                a_reader_never_sees_a_part_of_a_write
            }
            store::history {
                history_is_newest_first
                history_of_equal_timestamps_is_paged_exactly_once_at_every_size
                history_keeps_two_records_of_one_id_and_timestamp
                history_is_filtered_by_what_was_shown
                history_is_bounded_by_time
                history_cursors_are_stable_under_concurrent_writes
                history_is_complete_while_others_write
                history_cursors_go_through_text
                history_ends_without_an_empty_page
                history_limits_are_from_1_to_1000
            }
            store::scan {
                scan_returns_a_whole_tenant_exactly_once
                scan_is_resumed_through_another_handle
                scan_is_complete_while_others_write
                scan_refuses_a_foreign_cursor
                scan_limits_are_from_1_to_1000
            }
            store::decisions {
                a_decision_is_found_under_its_id
                a_decision_again_is_a_duplicate
                a_decision_with_a_reused_id_and_other_content_conflicts
                record_decisions_judges_each_item_in_order
                concurrent_retries_of_a_decision_record_once
                one_recommendation_id_in_two_tenants_is_two_decisions
                scan_decisions_returns_a_whole_tenant_exactly_once
                decisions_do_not_mix_with_interactions
            }
            store::tenants {
                tenants_with_awkward_names_have_data_of_their_own
                tenant_and_customer_are_not_run_together
                ids_of_every_script_and_length_are_kept_apart
                a_batch_of_several_tenants_reaches_each
                a_cursor_of_another_tenant_shows_nothing_of_it
                erasure_purge_and_fence_stay_within_their_tenant
            }
            store::erasure {
                an_erased_customer_is_gone_from_every_read
                decisions_of_an_erased_customer_are_gone
                a_retry_of_an_erased_interaction_is_a_duplicate_and_writes_nothing
                the_same_request_repeats_its_receipt
                another_request_erases_again
                a_new_interaction_after_the_erasure_is_accepted_under_the_new_generation
                no_write_that_began_before_the_receipt_appears_after_it
                a_write_under_way_does_not_come_after_the_receipt
                undelivered_entries_of_an_erased_customer_are_gone
                entries_after_the_erasure_are_delivered
            }
            store::tombstones {
                tombstones_are_listed_once_per_customer
                tombstone_limits_are_from_1_to_1000
                tombstones_installed_on_another_store_erase_there
                a_new_record_tells_the_generation_it_was_accepted_under
                a_replicated_record_of_an_erased_generation_is_refused
                a_replicated_record_of_a_higher_generation_erases_what_lies_below
                a_replicated_record_of_a_higher_generation_leaves_nothing_to_tell
                a_record_of_a_generation_above_the_highest_is_refused
                tombstones_above_the_highest_generation_are_refused_and_erase_nothing
                a_customer_of_the_highest_generation_is_recorded_and_erased_like_any_other
            }
            store::purge {
                purged_rows_are_invisible_at_once
                purged_decisions_are_gone
                a_retry_of_a_purged_interaction_is_a_duplicate
                a_new_interaction_before_the_watermark_is_refused
                a_watermark_is_never_moved_back
                a_replicated_record_before_the_watermark_counts_but_leaves_no_row
                history_goes_on_over_a_purge
                undelivered_entries_outlive_a_purge
                a_purge_before_every_row_takes_nothing_away
            }
            store::fences {
                a_fence_is_raised_and_read
                a_fence_tells_how_far_its_store_has_come
                a_fence_is_never_lowered
                a_write_under_an_old_epoch_is_refused
                every_kind_of_write_is_fenced
                no_write_under_an_old_epoch_is_applied_after_the_fence
                a_fence_sets_the_lanes_of_its_tenant
            }
            store::origins {
                replicated_records_keep_id_timestamp_and_generation
                replicated_records_write_no_lane
                live_and_replicated_records_share_their_keys
                a_generation_is_given_exactly_where_the_record_is_not_live
                replicated_decisions_are_kept_as_given
            }
            store::fields {
                every_field_of_an_interaction_comes_back
                every_edge_of_every_scalar_comes_back
                every_interaction_type_comes_back
                attributes_of_every_kind_and_size_come_back
                every_field_of_a_decision_comes_back
                the_longest_ids_and_texts_of_every_kind_come_back
                the_longest_ids_and_texts_of_every_kind_are_told
            }
            store::handles {
                ping_agrees_with_the_capabilities
                capabilities_agree_with_behaviour
                after_disconnect_every_call_is_unavailable_and_not_applied
                disconnect_is_idempotent
                disconnect_finishes_what_was_accepted
                a_dropped_write_has_happened_wholly_or_not_at_all
            }
            store::restarts {
                everything_is_there_after_a_restart
                settings_and_decisions_are_there_after_a_restart
                the_outbox_is_there_after_a_restart
                what_was_acknowledged_survives_a_crash
            }
            store::privacy {
                no_operation_logs_or_measures_personal_data
                no_error_tells_personal_data
            }
            outbox::entries {
                records_are_written_into_exactly_the_lanes_in_force
                changes_of_different_lanes_do_not_undo_each_other
                an_entry_is_there_when_its_record_is_acknowledged
                duplicates_and_refusals_write_no_entry
                an_entry_holds_its_record_as_it_was_accepted
                entries_of_a_customer_keep_the_order_of_their_acknowledgements
                concurrent_customers_each_keep_their_order
                host_events_are_appended_in_order_whatever_lanes_are_in_force
                a_status_counts_what_waits_and_since_when
                a_tenants_backlog_is_its_own
                whoever_waits_misses_no_entry
            }
            outbox::leases {
                a_range_is_leased_to_one_relay_at_a_time
                ranges_beyond_the_bound_are_given_back
                a_lease_expires_and_its_number_grows
                a_renewed_lease_is_kept
                an_expired_lease_that_nobody_took_keeps_its_number
                a_released_lease_is_free_at_once
                concurrent_requests_never_share_a_range
                who_has_given_back_every_range_is_no_longer_counted
            }
            outbox::destinations {
                a_lane_leads_to_one_destination_at_a_time
                a_lane_is_left_to_another_destination_when_its_relays_are_gone_for_its_hold
                a_destination_of_all_takes_the_lane_from_a_process_s_own
            }
            outbox::settling {
                settled_entries_are_gone_and_settling_again_does_nothing
                what_no_lease_covers_is_not_settled
                a_relay_that_lost_a_range_settles_nothing
                a_relay_that_lost_a_range_moves_nothing_aside
                fetch_returns_the_oldest_in_order_but_what_is_in_flight
                fetch_goes_on_behind_a_position
            }
            outbox::dead_letters {
                a_poisoned_entry_is_moved_aside_and_blocks_nobody
                dead_letters_are_listed_by_range_and_position
                replayed_dead_letters_come_behind_all_others
                a_replayed_dead_letter_is_the_same_event_under_the_same_generation
            }
            outbox::relays {
                several_relays_deliver_each_entry_once_and_in_order
                a_relay_that_stops_leaves_the_rest_to_the_next
                ranges_that_go_back_and_forth_lose_nothing
                nothing_that_was_read_ahead_is_delivered_after_the_receipt
                an_erasure_that_waits_for_a_relay_has_done_all_but_the_receipt
                a_tombstone_that_is_installed_waits_for_a_relay
            }
        }
    };
}

/// Every case of the interaction store and its outbox, as data.
pub static CASES: &[Case<dyn StoreFixture>] = __store_cases! { __case_table () };

//! Which cases must notice which flaw, and into which others its rule reaches.

use super::flaw::Flaw;

macro_rules! expected {
    ($($flaw:ident: [$($must:ident)*] $(may [$($may:ident)*])?;)*) => {
        impl Flaw {
            /// Every flaw.
            pub const ALL: &'static [Self] = &[$(Self::$flaw),*];

            /// The cases that must fail: those named after the rule.
            #[must_use]
            pub const fn caught_by(self) -> &'static [&'static str] {
                match self {
                    $(Self::$flaw => &[$(stringify!($must)),*],)*
                }
            }

            /// The cases that may fail beside, because the rule reaches into them. All others must pass.
            #[must_use]
            pub const fn may_fail(self) -> &'static [&'static str] {
                match self {
                    $(Self::$flaw => &[$($(stringify!($may)),*)?],)*
                }
            }
        }
    };
}

expected! {
    ChecksKeysOutsideTheUnit:
        [concurrent_retries_from_several_handles_record_once
         concurrent_conflicts_leave_one_winner]
        may [concurrent_overlapping_batches_record_each_key_once
             record_events_settles_equal_keys_in_arrival_order];
    KeysPerMonth:
        [record_event_with_reused_key_and_other_timestamp_is_a_duplicate]
        may [a_late_event_is_known_for_the_horizon_after_its_arrival
             a_retry_after_the_horizon_is_a_duplicate_while_its_row_stands
             a_retry_within_the_horizon_is_a_duplicate_after_its_customer_was_erased
             a_retry_within_the_horizon_is_a_duplicate_after_its_row_was_purged];
    AnswersRetriesAsNew:
        [record_event_again_is_a_duplicate_of_the_first
         record_events_again_finds_every_item]
        may [a_new_record_tells_the_generation_it_was_accepted_under
             a_late_event_is_known_for_the_horizon_after_its_arrival
             a_replicated_record_before_the_watermark_counts_but_leaves_no_row
             a_retry_after_the_horizon_is_a_duplicate_while_its_row_stands
             a_retry_of_a_purged_interaction_is_a_duplicate
             a_retry_of_an_erased_interaction_is_a_duplicate_and_writes_nothing
             a_retry_within_the_horizon_is_a_duplicate_after_its_customer_was_erased
             a_retry_within_the_horizon_is_a_duplicate_after_its_row_was_purged
             an_interaction_built_without_a_key_is_recognised_when_sent_again
             concurrent_conflicts_leave_one_winner
             concurrent_overlapping_batches_record_each_key_once
             concurrent_retries_from_several_handles_record_once
             everything_is_there_after_a_restart
             live_and_replicated_records_share_their_keys
             record_event_with_reused_key_and_no_value_conflicts
             record_event_with_reused_key_and_other_channel_conflicts
             record_event_with_reused_key_and_other_creative_conflicts
             record_event_with_reused_key_and_other_customer_conflicts
             record_event_with_reused_key_and_other_details_keeps_the_first_details
             record_event_with_reused_key_and_other_id_returns_the_first_id
             record_event_with_reused_key_and_other_offer_conflicts
             record_event_with_reused_key_and_other_outcome_conflicts
             record_event_with_reused_key_and_other_timestamp_is_a_duplicate
             record_event_with_reused_key_and_other_type_conflicts
             record_event_with_reused_key_and_other_value_conflicts
             record_events_settles_equal_keys_in_arrival_order
             settings_and_decisions_are_there_after_a_restart
             the_longest_ids_and_texts_of_every_kind_come_back];
    DuplicateReturnsTheRetrysId:
        [record_event_with_reused_key_and_other_id_returns_the_first_id]
        may [a_late_event_is_known_for_the_horizon_after_its_arrival
             a_retry_after_the_horizon_is_a_duplicate_while_its_row_stands
             a_retry_within_the_horizon_is_a_duplicate_after_its_customer_was_erased
             a_retry_within_the_horizon_is_a_duplicate_after_its_row_was_purged
             concurrent_conflicts_leave_one_winner
             concurrent_retries_from_several_handles_record_once
             live_and_replicated_records_share_their_keys
             record_event_with_reused_key_and_other_timestamp_is_a_duplicate
             record_events_settles_equal_keys_in_arrival_order];
    AcceptsConflicts:
        [record_event_with_reused_key_and_other_offer_conflicts
         record_event_with_reused_key_and_other_customer_conflicts
         record_event_with_reused_key_and_other_creative_conflicts
         record_event_with_reused_key_and_other_channel_conflicts
         record_event_with_reused_key_and_other_type_conflicts
         record_event_with_reused_key_and_other_outcome_conflicts
         record_event_with_reused_key_and_other_value_conflicts
         record_event_with_reused_key_and_no_value_conflicts]
        may [a_retry_of_an_erased_interaction_is_a_duplicate_and_writes_nothing
             concurrent_conflicts_leave_one_winner
             duplicates_and_refusals_write_no_entry
             live_and_replicated_records_share_their_keys
             no_error_tells_personal_data
             record_events_settles_equal_keys_in_arrival_order];
    ConflictOverwritesTheFirst:
        [record_event_with_reused_key_and_other_offer_conflicts
         record_event_with_reused_key_and_other_value_conflicts]
        may [concurrent_conflicts_leave_one_winner
             live_and_replicated_records_share_their_keys
             record_event_with_reused_key_and_no_value_conflicts
             record_event_with_reused_key_and_other_channel_conflicts
             record_event_with_reused_key_and_other_creative_conflicts
             record_event_with_reused_key_and_other_customer_conflicts
             record_event_with_reused_key_and_other_outcome_conflicts
             record_event_with_reused_key_and_other_type_conflicts
             record_events_settles_equal_keys_in_arrival_order];
    IgnoresTheValueOfARetry:
        [record_event_with_reused_key_and_other_value_conflicts
         record_event_with_reused_key_and_no_value_conflicts]
        may [a_retry_of_an_erased_interaction_is_a_duplicate_and_writes_nothing];
    ForgetsKeysOfRowsThatStand:
        [a_retry_after_the_horizon_is_a_duplicate_while_its_row_stands
         a_decision_is_known_as_long_as_an_interaction];
    PurgeForgetsKeys:
        [a_retry_within_the_horizon_is_a_duplicate_after_its_row_was_purged
         a_retry_within_the_horizon_is_a_duplicate_after_its_customer_was_erased
         a_decision_is_known_as_long_as_an_interaction]
        may [a_late_event_is_known_for_the_horizon_after_its_arrival
             a_retry_of_a_purged_interaction_is_a_duplicate
             purged_decisions_are_gone
             settings_and_decisions_are_there_after_a_restart];
    KeysAgeByTimestamp:
        [a_late_event_is_known_for_the_horizon_after_its_arrival
         a_decision_is_known_as_long_as_an_interaction]
        may [a_retry_of_a_purged_interaction_is_a_duplicate
             purged_decisions_are_gone
             settings_and_decisions_are_there_after_a_restart];
    BatchFailsWhole:
        [record_events_settles_equal_keys_in_arrival_order
         a_new_interaction_before_the_watermark_is_refused]
        may [a_replicated_record_of_an_erased_generation_is_refused];
    SumsInFloats:
        [values_are_summed_exactly_in_any_order]
        may [concurrent_overlapping_batches_record_each_key_once
             concurrent_writers_of_one_customer_lose_nothing
             every_edge_of_every_scalar_comes_back
             every_order_of_arrival_gives_the_same_summaries];
    DropsLateEventsFromTheWeek:
        [late_events_land_in_their_own_day_week_and_month
         closed_periods_are_reached_by_late_events]
        may [concurrent_overlapping_batches_record_each_key_once
             concurrent_writers_of_one_customer_lose_nothing
             days_weeks_and_months_begin_at_midnight_utc
             disconnect_finishes_what_was_accepted
             every_edge_of_every_scalar_comes_back
             every_field_of_an_interaction_comes_back
             every_order_of_arrival_gives_the_same_summaries
             summaries_are_read_in_order];
    DaysInLocalTime:
        [days_weeks_and_months_begin_at_midnight_utc]
        may [concurrent_overlapping_batches_record_each_key_once
             concurrent_writers_of_one_customer_lose_nothing
             every_edge_of_every_scalar_comes_back
             every_order_of_arrival_gives_the_same_summaries
             everything_is_there_after_a_restart
             record_event_with_reused_key_and_other_timestamp_is_a_duplicate];
    WeeksOfTheCalendarYear:
        [weeks_at_the_edge_of_the_year_are_iso_weeks]
        may [closed_periods_are_reached_by_late_events
             every_edge_of_every_scalar_comes_back
             ten_years_of_a_customer_are_kept_by_the_day];
    LastByArrival:
        [the_last_contact_is_the_greatest_by_timestamp_and_id]
        may [closed_periods_are_reached_by_late_events
             concurrent_overlapping_batches_record_each_key_once
             concurrent_writers_of_one_customer_lose_nothing
             days_weeks_and_months_begin_at_midnight_utc
             disconnect_finishes_what_was_accepted
             every_edge_of_every_scalar_comes_back
             every_field_of_an_interaction_comes_back
             every_order_of_arrival_gives_the_same_summaries
             late_events_land_in_their_own_day_week_and_month
             summaries_are_read_in_order];
    SummariesFromRows:
        [summaries_outlive_the_rows_that_are_purged]
        may [a_late_event_is_known_for_the_horizon_after_its_arrival
             a_replicated_record_before_the_watermark_counts_but_leaves_no_row
             a_retry_of_a_purged_interaction_is_a_duplicate
             a_retry_within_the_horizon_is_a_duplicate_after_its_row_was_purged
             purged_rows_are_invisible_at_once];
    SummariesUnordered:
        [summaries_are_read_in_order]
        may [ids_of_every_script_and_length_are_kept_apart
             summaries_include_every_write_that_was_acknowledged
             tenant_and_customer_are_not_run_together];
    CountsCustomTypesAsImpressions:
        [custom_types_count_by_their_classification_alone]
        may [every_field_of_an_interaction_comes_back
             every_interaction_type_comes_back
             the_longest_ids_and_texts_of_every_kind_come_back];
    CursorSkipsEqualTimestamps:
        [history_of_equal_timestamps_is_paged_exactly_once_at_every_size]
        may [history_cursors_are_stable_under_concurrent_writes
             history_is_complete_while_others_write
             history_keeps_two_records_of_one_id_and_timestamp];
    UntilIsIncluded:
        [history_is_bounded_by_time];
    ScanStopsEarly:
        [scan_returns_a_whole_tenant_exactly_once
         scan_is_resumed_through_another_handle]
        may [a_cursor_of_another_tenant_shows_nothing_of_it
             a_purge_before_every_row_takes_nothing_away
             attributes_of_every_kind_and_size_come_back
             purged_rows_are_invisible_at_once
             scan_is_complete_while_others_write
             tenants_with_awkward_names_have_data_of_their_own
             the_longest_ids_and_texts_of_every_kind_come_back];
    ForgetsTheRank:
        [every_field_of_an_interaction_comes_back
         every_edge_of_every_scalar_comes_back]
        may [record_event_with_reused_key_and_other_details_keeps_the_first_details];
    AcceptsOtherDecisions:
        [a_decision_with_a_reused_id_and_other_content_conflicts]
        may [record_decisions_judges_each_item_in_order];
    JoinsTenantAndCustomer:
        [tenant_and_customer_are_not_run_together];
    AcknowledgesBeforeDurable:
        [what_was_acknowledged_survives_a_crash];
    ReopensWithoutTheTail:
        [everything_is_there_after_a_restart
         what_was_acknowledged_survives_a_crash]
        may [after_disconnect_every_call_is_unavailable_and_not_applied
             disconnect_finishes_what_was_accepted
             settings_and_decisions_are_there_after_a_restart
             the_outbox_is_there_after_a_restart];
    WorksAfterDisconnect:
        [after_disconnect_every_call_is_unavailable_and_not_applied]
        may [no_error_tells_personal_data];
    QuotesTheKeyInErrors:
        [no_error_tells_personal_data]
        may [a_retry_of_an_erased_interaction_is_a_duplicate_and_writes_nothing
             concurrent_conflicts_leave_one_winner
             duplicates_and_refusals_write_no_entry
             live_and_replicated_records_share_their_keys
             no_operation_logs_or_measures_personal_data
             record_event_with_reused_key_and_no_value_conflicts
             record_event_with_reused_key_and_other_channel_conflicts
             record_event_with_reused_key_and_other_creative_conflicts
             record_event_with_reused_key_and_other_customer_conflicts
             record_event_with_reused_key_and_other_offer_conflicts
             record_event_with_reused_key_and_other_outcome_conflicts
             record_event_with_reused_key_and_other_type_conflicts
             record_event_with_reused_key_and_other_value_conflicts];
    ErasureForgetsDecisions:
        [decisions_of_an_erased_customer_are_gone]
        may [an_erased_customer_is_gone_from_every_read];
    ErasureForgetsTheOutbox:
        [undelivered_entries_of_an_erased_customer_are_gone]
        may [nothing_that_was_read_ahead_is_delivered_after_the_receipt
             a_replayed_dead_letter_is_the_same_event_under_the_same_generation
             entries_after_the_erasure_are_delivered];
    ErasureForgetsSummaries:
        [an_erased_customer_is_gone_from_every_read]
        may [a_customer_of_the_highest_generation_is_recorded_and_erased_like_any_other
             a_new_interaction_after_the_erasure_is_accepted_under_the_new_generation
             a_replicated_record_of_a_higher_generation_erases_what_lies_below
             a_retry_of_an_erased_interaction_is_a_duplicate_and_writes_nothing
             a_retry_within_the_horizon_is_a_duplicate_after_its_customer_was_erased
             a_write_under_way_does_not_come_after_the_receipt
             another_request_erases_again
             no_write_that_began_before_the_receipt_appears_after_it
             settings_and_decisions_are_there_after_a_restart
             the_same_request_repeats_its_receipt
             tombstones_installed_on_another_store_erase_there];
    ErasureForgetsKeys:
        [a_retry_of_an_erased_interaction_is_a_duplicate_and_writes_nothing]
        may [a_retry_within_the_horizon_is_a_duplicate_after_its_customer_was_erased
             settings_and_decisions_are_there_after_a_restart];
    ErasureMissesWriters:
        [no_write_that_began_before_the_receipt_appears_after_it]
        may [a_write_under_way_does_not_come_after_the_receipt];
    ErasureKeepsTheGeneration:
        [a_new_interaction_after_the_erasure_is_accepted_under_the_new_generation
         a_replicated_record_of_an_erased_generation_is_refused
         another_request_erases_again]
        may [a_new_record_tells_the_generation_it_was_accepted_under
             a_customer_of_the_highest_generation_is_recorded_and_erased_like_any_other
             a_replayed_dead_letter_is_the_same_event_under_the_same_generation
             a_replicated_record_of_a_higher_generation_erases_what_lies_below
             entries_after_the_erasure_are_delivered
             no_write_that_began_before_the_receipt_appears_after_it
             settings_and_decisions_are_there_after_a_restart
             tombstone_limits_are_from_1_to_1000
             tombstones_are_listed_once_per_customer
             tombstones_installed_on_another_store_erase_there];
    ErasureRepeatsItself:
        [the_same_request_repeats_its_receipt]
        may [another_request_erases_again
             settings_and_decisions_are_there_after_a_restart];
    TakesErasedGenerations:
        [a_replicated_record_of_an_erased_generation_is_refused]
        may [a_customer_of_the_highest_generation_is_recorded_and_erased_like_any_other
             tombstones_installed_on_another_store_erase_there];
    TakesAnyGeneration:
        [a_record_of_a_generation_above_the_highest_is_refused];
    TakesAnyTombstone:
        [tombstones_above_the_highest_generation_are_refused_and_erase_nothing];
    ErasureEndsAtTheHighestGeneration:
        [a_customer_of_the_highest_generation_is_recorded_and_erased_like_any_other];
    RowsAppearAfterSummaries:
        [a_reader_never_sees_a_part_of_a_write]
        may [a_dropped_write_has_happened_wholly_or_not_at_all
             a_write_under_way_does_not_come_after_the_receipt
             no_write_that_began_before_the_receipt_appears_after_it];
    IgnoresTombstoneLimits:
        [tombstone_limits_are_from_1_to_1000];
    PurgeDropsEntries:
        [undelivered_entries_outlive_a_purge];
    WatermarkMovesBack:
        [a_watermark_is_never_moved_back]
        may [settings_and_decisions_are_there_after_a_restart];
    ShowsPurgedRows:
        [purged_rows_are_invisible_at_once
         history_goes_on_over_a_purge]
        may [a_late_event_is_known_for_the_horizon_after_its_arrival
             a_replicated_record_before_the_watermark_counts_but_leaves_no_row
             a_retry_of_a_purged_interaction_is_a_duplicate
             a_retry_within_the_horizon_is_a_duplicate_after_its_row_was_purged
             a_watermark_is_never_moved_back];
    TakesPurgedTimes:
        [a_new_interaction_before_the_watermark_is_refused]
        may [a_replicated_record_before_the_watermark_counts_but_leaves_no_row
             a_watermark_is_never_moved_back
             no_error_tells_personal_data
             purged_decisions_are_gone
             settings_and_decisions_are_there_after_a_restart];
    ReadsTimesUnsigned:
        [a_purge_before_every_row_takes_nothing_away];
    IgnoresEpochs:
        [a_write_under_an_old_epoch_is_refused
         every_kind_of_write_is_fenced]
        may [no_write_under_an_old_epoch_is_applied_after_the_fence
             settings_and_decisions_are_there_after_a_restart];
    ChecksEpochsOutsideTheUnit:
        [no_write_under_an_old_epoch_is_applied_after_the_fence];
    LowersTheFence:
        [a_fence_is_never_lowered];
    ReplicatedWritesLanes:
        [replicated_records_write_no_lane];
    ReplicatedIsRestamped:
        [replicated_records_keep_id_timestamp_and_generation]
        may [a_customer_of_the_highest_generation_is_recorded_and_erased_like_any_other
             a_late_event_is_known_for_the_horizon_after_its_arrival
             a_replicated_record_before_the_watermark_counts_but_leaves_no_row
             a_replicated_record_of_a_higher_generation_erases_what_lies_below
             live_and_replicated_records_share_their_keys];
    OutboxLosesEntries:
        [an_entry_is_there_when_its_record_is_acknowledged]
        may [a_fence_sets_the_lanes_of_its_tenant
             a_reader_never_sees_a_part_of_a_write
             entries_of_a_customer_keep_the_order_of_their_acknowledgements
             undelivered_entries_of_an_erased_customer_are_gone
             undelivered_entries_outlive_a_purge];
    TellsNoGeneration:
        [a_new_record_tells_the_generation_it_was_accepted_under]
        may [a_customer_of_the_highest_generation_is_recorded_and_erased_like_any_other];
    OutboxRepeatsDuplicates:
        [duplicates_and_refusals_write_no_entry];
    OutboxReordersACustomer:
        [entries_of_a_customer_keep_the_order_of_their_acknowledgements
         concurrent_customers_each_keep_their_order]
        may [ranges_that_go_back_and_forth_lose_nothing
             a_poisoned_entry_is_moved_aside_and_blocks_nobody
             a_relay_that_stops_leaves_the_rest_to_the_next
             entries_after_the_erasure_are_delivered
             fetch_goes_on_behind_a_position
             fetch_returns_the_oldest_in_order_but_what_is_in_flight
             host_events_are_appended_in_order_whatever_lanes_are_in_force
             replayed_dead_letters_come_behind_all_others
             several_relays_deliver_each_entry_once_and_in_order
             the_outbox_is_there_after_a_restart
             whoever_waits_misses_no_entry
             the_longest_ids_and_texts_of_every_kind_are_told];
    ReadsOnBehindWhatIsInFlight:
        [fetch_returns_the_oldest_in_order_but_what_is_in_flight
         fetch_goes_on_behind_a_position];
    BeginsEachPageAnew:
        [fetch_goes_on_behind_a_position];
    OutboxIgnoresLanes:
        [records_are_written_into_exactly_the_lanes_in_force]
        may [changes_of_different_lanes_do_not_undo_each_other
             a_tenants_backlog_is_its_own
             a_fence_sets_the_lanes_of_its_tenant
             an_erased_customer_is_gone_from_every_read];
    ReadsLanesBeforeItChangesThem:
        [changes_of_different_lanes_do_not_undo_each_other];
    LeasesAreShared:
        [a_range_is_leased_to_one_relay_at_a_time
         concurrent_requests_never_share_a_range]
        may [an_expired_lease_that_nobody_took_keeps_its_number
             a_lane_leads_to_one_destination_at_a_time
             who_has_given_back_every_range_is_no_longer_counted
             a_relay_that_lost_a_range_settles_nothing
             a_renewed_lease_is_kept
             ranges_beyond_the_bound_are_given_back
             several_relays_deliver_each_entry_once_and_in_order];
    ErasureWaitsForNoRelay:
        [nothing_that_was_read_ahead_is_delivered_after_the_receipt];
    RenumbersWhatExpired:
        [an_expired_lease_that_nobody_took_keeps_its_number];
    BacklogOfEverybody:
        [a_tenants_backlog_is_its_own];
    LaneLeadsEverywhere:
        [a_lane_leads_to_one_destination_at_a_time
         a_lane_is_left_to_another_destination_when_its_relays_are_gone_for_its_hold]
        may [a_destination_of_all_takes_the_lane_from_a_process_s_own];
    CountsWhoHasLeft:
        [who_has_given_back_every_range_is_no_longer_counted]
        may [a_destination_of_all_takes_the_lane_from_a_process_s_own];
    ReplayForgetsTheGeneration:
        [a_replayed_dead_letter_is_the_same_event_under_the_same_generation];
    IgnoresLeaseTokens:
        [a_lease_expires_and_its_number_grows
         a_relay_that_lost_a_range_settles_nothing]
        may [an_expired_lease_that_nobody_took_keeps_its_number
             a_destination_of_all_takes_the_lane_from_a_process_s_own
             a_lane_is_left_to_another_destination_when_its_relays_are_gone_for_its_hold
             a_relay_that_lost_a_range_moves_nothing_aside
             a_released_lease_is_free_at_once
             several_relays_deliver_each_entry_once_and_in_order];
    SettlesWithoutLease:
        [what_no_lease_covers_is_not_settled]
        may [an_expired_lease_that_nobody_took_keeps_its_number
             a_destination_of_all_takes_the_lane_from_a_process_s_own
             a_relay_that_lost_a_range_moves_nothing_aside
             a_lease_expires_and_its_number_grows
             a_relay_that_lost_a_range_settles_nothing];
    DropsPoisonedEntries:
        [a_poisoned_entry_is_moved_aside_and_blocks_nobody]
        may [a_tenants_backlog_is_its_own
             a_relay_that_lost_a_range_moves_nothing_aside
             a_replayed_dead_letter_is_the_same_event_under_the_same_generation
             dead_letters_are_listed_by_range_and_position
             replayed_dead_letters_come_behind_all_others
             the_outbox_is_there_after_a_restart
             undelivered_entries_of_an_erased_customer_are_gone
             undelivered_entries_outlive_a_purge];
    ReplayKeepsTheLetter:
        [replayed_dead_letters_come_behind_all_others];
}

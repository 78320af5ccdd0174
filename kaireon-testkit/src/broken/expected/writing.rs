//! Of what is recorded, under which key, and what it is counted in.

/// Puts these before what it is handed, and hands all on to the next.
macro_rules! writing {
    ($then:ident { $($so_far:tt)* } $($next:ident)*) => {
        $then! { {
            $($so_far)*
            ChecksKeysOutsideTheUnit:
                [concurrent_retries_from_several_handles_record_once
                 concurrent_conflicts_leave_one_winner
                 concurrent_overlapping_batches_record_each_key_once]
                may [a_dropped_write_has_happened_wholly_or_not_at_all
                     record_events_settles_equal_keys_in_arrival_order];
            KeysPerMonth:
                [record_event_with_reused_key_and_other_timestamp_is_a_duplicate]
                may [a_late_event_is_known_for_the_horizon_after_its_arrival
                     a_retry_after_the_horizon_is_a_duplicate_while_its_row_stands
                     a_retry_within_the_horizon_is_a_duplicate_after_its_customer_was_erased
                     a_retry_within_the_horizon_is_a_duplicate_after_its_row_was_purged];
            AnswersRetriesAsNew:
                [record_event_again_is_a_duplicate_of_the_first
                 record_events_again_finds_every_item
                 an_interaction_built_without_a_key_is_recognised_when_sent_again]
                may [a_late_event_is_known_for_the_horizon_after_its_arrival
                     a_new_record_tells_the_generation_it_was_accepted_under
                     a_replicated_record_before_the_watermark_counts_but_leaves_no_row
                     a_retry_after_the_horizon_is_a_duplicate_while_its_row_stands
                     a_retry_of_a_purged_interaction_is_a_duplicate
                     a_retry_of_an_erased_interaction_is_a_duplicate_and_writes_nothing
                     a_retry_within_the_horizon_is_a_duplicate_after_its_customer_was_erased
                     a_retry_within_the_horizon_is_a_duplicate_after_its_row_was_purged
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
                [the_last_contact_is_the_greatest_by_timestamp_and_id
                 every_order_of_arrival_gives_the_same_summaries]
                may [closed_periods_are_reached_by_late_events
                     concurrent_overlapping_batches_record_each_key_once
                     concurrent_writers_of_one_customer_lose_nothing
                     days_weeks_and_months_begin_at_midnight_utc
                     disconnect_finishes_what_was_accepted
                     every_edge_of_every_scalar_comes_back
                     every_field_of_an_interaction_comes_back
                     late_events_land_in_their_own_day_week_and_month
                     summaries_are_read_in_order];
            CountsCustomTypesAsImpressions:
                [custom_types_count_by_their_classification_alone]
                may [every_field_of_an_interaction_comes_back
                     every_interaction_type_comes_back
                     the_longest_ids_and_texts_of_every_kind_come_back];
            ForgetsTheRank:
                [every_field_of_an_interaction_comes_back
                 every_edge_of_every_scalar_comes_back]
                may [record_event_with_reused_key_and_other_details_keeps_the_first_details];
            AcceptsOtherDecisions:
                [a_decision_with_a_reused_id_and_other_content_conflicts
                 record_decisions_judges_each_item_in_order];
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
            ForgetsWeeksOfTwoMonths:
                [one_interaction_appears_in_twelve_groups]
                may [a_late_event_is_known_for_the_horizon_after_its_arrival
                     closed_periods_are_reached_by_late_events
                     days_weeks_and_months_begin_at_midnight_utc
                     every_edge_of_every_scalar_comes_back
                     every_order_of_arrival_gives_the_same_summaries
                     late_events_land_in_their_own_day_week_and_month
                     record_event_with_reused_key_and_other_timestamp_is_a_duplicate
                     record_events_again_finds_every_item
                     replicated_records_keep_id_timestamp_and_generation
                     summaries_are_read_in_order
                     ten_years_of_a_customer_are_kept_by_the_day
                     weeks_at_the_edge_of_the_year_are_iso_weeks];
            BoundsTheGroupsOfACustomer:
                [a_customer_of_many_offers_has_a_group_of_each
                 ten_years_of_a_customer_are_kept_by_the_day];
            CountsNegativeAsNeutral:
                [types_and_classifications_are_counted_apart]
                may [every_edge_of_every_scalar_comes_back
                     every_field_of_an_interaction_comes_back
                     every_interaction_type_comes_back];
            SumsNoClicks:
                [values_of_every_type_are_summed];
            FoldsKeys:
                [keys_that_look_alike_are_different_keys];
            SharesKeysAcrossTenants:
                [one_key_in_two_tenants_records_twice
                 a_batch_of_several_tenants_reaches_each]
                may [the_longest_ids_and_texts_of_every_kind_come_back];
            RefusesEmptyBatches:
                [record_events_of_an_empty_batch_is_empty];
            AnswersDecisionsAsNew:
                [a_decision_again_is_a_duplicate
                 concurrent_retries_of_a_decision_record_once]
                may [a_decision_is_known_as_long_as_an_interaction
                     a_replicated_record_before_the_watermark_counts_but_leaves_no_row
                     decisions_of_an_erased_customer_are_gone
                     purged_decisions_are_gone
                     record_decisions_judges_each_item_in_order
                     replicated_decisions_are_kept_as_given
                     the_longest_ids_and_texts_of_every_kind_come_back];
            DecisionKeysAcrossTenants:
                [one_recommendation_id_in_two_tenants_is_two_decisions]
                may [scan_decisions_returns_a_whole_tenant_exactly_once];
            CountsDecisions:
                [decisions_do_not_mix_with_interactions]
                may [an_erased_customer_is_gone_from_every_read];
            ForgetsPropensities:
                [every_field_of_a_decision_comes_back];
            SecondDisconnectFails:
                [disconnect_is_idempotent];
            BoundsAttributes:
                [attributes_of_every_kind_and_size_come_back
                 the_longest_ids_and_texts_of_every_kind_come_back
                 the_longest_ids_and_texts_of_every_kind_are_told];
            ReadsSummariesOutsideTheUnit:
                [concurrent_writers_of_one_customer_lose_nothing]
                may [a_dropped_write_has_happened_wholly_or_not_at_all
                     a_reader_never_sees_a_part_of_a_write
                     a_write_under_way_does_not_come_after_the_receipt
                     concurrent_conflicts_leave_one_winner
                     concurrent_overlapping_batches_record_each_key_once
                     concurrent_retries_from_several_handles_record_once
                     disconnect_finishes_what_was_accepted
                     no_write_that_began_before_the_receipt_appears_after_it
                     no_write_under_an_old_epoch_is_applied_after_the_fence];
            KeepsTypesInSmallLetters:
                [every_interaction_type_comes_back]
                may [custom_types_count_by_their_classification_alone];
            AcknowledgesAfterDisconnect:
                [after_disconnect_every_call_is_unavailable_and_not_applied
                 disconnect_finishes_what_was_accepted]
                may [no_error_tells_personal_data];
            OneRowPerIdAndTime:
                [history_keeps_two_records_of_one_id_and_timestamp];
            TrimsIds:
                [ids_of_every_script_and_length_are_kept_apart
                 tenants_with_awkward_names_have_data_of_their_own];
            RetryOverwritesTheFirst:
                [record_event_with_reused_key_and_other_details_keeps_the_first_details]
                may [a_retry_after_the_horizon_is_a_duplicate_while_its_row_stands
                     record_event_with_reused_key_and_other_timestamp_is_a_duplicate];
        } $($next)* }
    };
}

pub(super) use writing;

//! Of what is read, and what is said of the store.

/// Puts these before what it is handed, and hands all on to the next.
macro_rules! reading {
    ($then:ident { $($so_far:tt)* } $($next:ident)*) => {
        $then! { {
            $($so_far)*
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
            CursorSkipsEqualTimestamps:
                [history_of_equal_timestamps_is_paged_exactly_once_at_every_size]
                may [history_cursors_are_stable_under_concurrent_writes
                     history_is_complete_while_others_write
                     history_keeps_two_records_of_one_id_and_timestamp];
            UntilIsIncluded:
                [history_is_bounded_by_time];
            ScanStopsEarly:
                [scan_returns_a_whole_tenant_exactly_once
                 scan_is_resumed_through_another_handle
                 scan_is_complete_while_others_write]
                may [a_cursor_of_another_tenant_shows_nothing_of_it
                     a_purge_before_every_row_takes_nothing_away
                     attributes_of_every_kind_and_size_come_back
                     purged_rows_are_invisible_at_once
                     tenants_with_awkward_names_have_data_of_their_own
                     the_longest_ids_and_texts_of_every_kind_come_back];
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
            RowsAppearAfterSummaries:
                [a_reader_never_sees_a_part_of_a_write
                 a_dropped_write_has_happened_wholly_or_not_at_all
                 a_write_under_way_does_not_come_after_the_receipt]
                may [no_write_that_began_before_the_receipt_appears_after_it];
            IgnoresTombstoneLimits:
                [tombstone_limits_are_from_1_to_1000];
            ShowsPurgedRows:
                [purged_rows_are_invisible_at_once
                 history_goes_on_over_a_purge]
                may [a_late_event_is_known_for_the_horizon_after_its_arrival
                     a_replicated_record_before_the_watermark_counts_but_leaves_no_row
                     a_retry_of_a_purged_interaction_is_a_duplicate
                     a_retry_within_the_horizon_is_a_duplicate_after_its_row_was_purged
                     a_watermark_is_never_moved_back];
            ReadsTimesUnsigned:
                [a_purge_before_every_row_takes_nothing_away];
            HistoryGoesByYear:
                [history_is_newest_first]
                may [closed_periods_are_reached_by_late_events
                     every_edge_of_every_scalar_comes_back
                     late_events_land_in_their_own_day_week_and_month
                     summaries_are_read_in_order];
            IgnoresHistoryFilters:
                [history_is_filtered_by_what_was_shown];
            HistoryAlwaysGoesOn:
                [history_ends_without_an_empty_page];
            CursorMustBeARow:
                [history_cursors_go_through_text];
            IgnoresPageLimits:
                [history_limits_are_from_1_to_1000
                 scan_limits_are_from_1_to_1000]
                may [no_error_tells_personal_data];
            TakesForeignCursors:
                [scan_refuses_a_foreign_cursor]
                may [no_error_tells_personal_data];
            IgnoresSummaryFilters:
                [summaries_are_filtered_by_dimension
                 summaries_are_filtered_by_period
                 summaries_are_filtered_by_dimension_and_period_together]
                may [ten_years_of_a_customer_are_kept_by_the_day];
            FindsCustomersByTheirBeginning:
                [customers_have_summaries_of_their_own];
            FindsDecisionsByTheirBeginning:
                [a_decision_is_found_under_its_id];
            ScanOfDecisionsStopsEarly:
                [scan_decisions_returns_a_whole_tenant_exactly_once];
            SequenceStands:
                [a_fence_tells_how_far_its_store_has_come];
            DeclaresPingAway:
                [ping_agrees_with_the_capabilities]
                may [after_disconnect_every_call_is_unavailable_and_not_applied];
            DeclaresHistoryAway:
                [capabilities_agree_with_behaviour]
                may [attributes_of_every_kind_and_size_come_back
                     every_field_of_an_interaction_comes_back
                     history_cursors_are_stable_under_concurrent_writes
                     history_cursors_go_through_text
                     history_ends_without_an_empty_page
                     history_goes_on_over_a_purge
                     history_is_bounded_by_time
                     history_is_complete_while_others_write
                     history_is_filtered_by_what_was_shown
                     history_is_newest_first
                     history_keeps_two_records_of_one_id_and_timestamp
                     history_limits_are_from_1_to_1000
                     history_of_equal_timestamps_is_paged_exactly_once_at_every_size];
            TellsAnotherKey:
                [capabilities_agree_with_behaviour];
            ScanForgetsItsTenant:
                [a_cursor_of_another_tenant_shows_nothing_of_it]
                may [scan_returns_a_whole_tenant_exactly_once
                     tenants_with_awkward_names_have_data_of_their_own
                     the_longest_ids_and_texts_of_every_kind_come_back];
            HandlesRememberSummaries:
                [summaries_include_every_write_that_was_acknowledged];
            PagesByOffset:
                [history_cursors_are_stable_under_concurrent_writes
                 history_is_complete_while_others_write]
                may [history_cursors_go_through_text
                     history_goes_on_over_a_purge];
            DebugTellsCustomers:
                [no_operation_logs_or_measures_personal_data];
            TombstonesOfEverybody:
                [tombstones_are_listed_once_per_customer];
        } $($next)* }
    };
}

pub(super) use reading;

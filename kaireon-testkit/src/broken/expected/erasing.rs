//! Of erasure, retention, fences and records from elsewhere.

/// Puts these before what it is handed, and hands all on to the next.
macro_rules! erasing {
    ($then:ident { $($so_far:tt)* } $($next:ident)*) => {
        $then! { {
            $($so_far)*
            PurgeForgetsKeys:
                [a_retry_within_the_horizon_is_a_duplicate_after_its_row_was_purged
                 a_retry_within_the_horizon_is_a_duplicate_after_its_customer_was_erased
                 a_decision_is_known_as_long_as_an_interaction
                 a_retry_of_a_purged_interaction_is_a_duplicate]
                may [a_late_event_is_known_for_the_horizon_after_its_arrival
                     purged_decisions_are_gone
                     settings_and_decisions_are_there_after_a_restart];
            ErasureForgetsDecisions:
                [decisions_of_an_erased_customer_are_gone]
                may [an_erased_customer_is_gone_from_every_read];
            ErasureForgetsTheOutbox:
                [undelivered_entries_of_an_erased_customer_are_gone]
                may [an_erasure_that_waits_for_a_relay_has_done_all_but_the_receipt
                     a_replayed_dead_letter_is_the_same_event_under_the_same_generation
                     a_replicated_record_of_a_higher_generation_leaves_nothing_to_tell
                     a_tombstone_that_is_installed_waits_for_a_relay
                     entries_after_the_erasure_are_delivered
                     nothing_that_was_read_ahead_is_delivered_after_the_receipt];
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
                may [a_tombstone_that_is_installed_waits_for_a_relay
                     a_customer_of_the_highest_generation_is_recorded_and_erased_like_any_other
                     a_new_record_tells_the_generation_it_was_accepted_under
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
                may [an_erasure_that_waits_for_a_relay_has_done_all_but_the_receipt
                     another_request_erases_again
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
            PurgeDropsEntries:
                [undelivered_entries_outlive_a_purge];
            WatermarkMovesBack:
                [a_watermark_is_never_moved_back]
                may [settings_and_decisions_are_there_after_a_restart];
            TakesPurgedTimes:
                [a_new_interaction_before_the_watermark_is_refused]
                may [a_replicated_record_before_the_watermark_counts_but_leaves_no_row
                     a_watermark_is_never_moved_back
                     no_error_tells_personal_data
                     purged_decisions_are_gone
                     settings_and_decisions_are_there_after_a_restart];
            IgnoresEpochs:
                [a_write_under_an_old_epoch_is_refused
                 every_kind_of_write_is_fenced]
                may [no_write_under_an_old_epoch_is_applied_after_the_fence
                     settings_and_decisions_are_there_after_a_restart];
            ChecksEpochsOutsideTheUnit:
                [no_write_under_an_old_epoch_is_applied_after_the_fence];
            LowersTheFence:
                [a_fence_is_never_lowered];
            ReplicatedIsRestamped:
                [replicated_records_keep_id_timestamp_and_generation]
                may [a_customer_of_the_highest_generation_is_recorded_and_erased_like_any_other
                     a_late_event_is_known_for_the_horizon_after_its_arrival
                     a_replicated_record_before_the_watermark_counts_but_leaves_no_row
                     a_replicated_record_of_a_higher_generation_erases_what_lies_below
                     live_and_replicated_records_share_their_keys];
            TellsNoGeneration:
                [a_new_record_tells_the_generation_it_was_accepted_under]
                may [a_customer_of_the_highest_generation_is_recorded_and_erased_like_any_other];
            LiveTakesGenerations:
                [a_generation_is_given_exactly_where_the_record_is_not_live];
            DecisionsUnfenced:
                [every_kind_of_write_is_fenced];
            ReplicatedDecisionsAreRestamped:
                [replicated_decisions_are_kept_as_given];
            ErasureReachesNeighbours:
                [erasure_purge_and_fence_stay_within_their_tenant];
            ForgetsTheFence:
                [a_fence_is_raised_and_read]
                may [a_fence_is_never_lowered
                     a_fence_sets_the_lanes_of_its_tenant
                     a_write_under_an_old_epoch_is_refused
                     every_kind_of_write_is_fenced
                     no_write_under_an_old_epoch_is_applied_after_the_fence
                     settings_and_decisions_are_there_after_a_restart];
            FenceForgetsTheLanes:
                [a_fence_sets_the_lanes_of_its_tenant];
            ReplicatedRowsOutliveAPurge:
                [a_replicated_record_before_the_watermark_counts_but_leaves_no_row];
            HigherGenerationsEraseNothing:
                [a_replicated_record_of_a_higher_generation_erases_what_lies_below]
                may [a_replicated_record_of_a_higher_generation_leaves_nothing_to_tell];
            HigherGenerationsKeepEntries:
                [a_replicated_record_of_a_higher_generation_leaves_nothing_to_tell];
            ReplicatedHasKeysOfItsOwn:
                [live_and_replicated_records_share_their_keys]
                may [a_late_event_is_known_for_the_horizon_after_its_arrival];
            PurgeForgetsDecisions:
                [purged_decisions_are_gone]
                may [a_decision_is_known_as_long_as_an_interaction];
            SettingsAreNotDurable:
                [settings_and_decisions_are_there_after_a_restart];
            InstallingErasesNothing:
                [tombstones_installed_on_another_store_erase_there]
                may [a_tombstone_that_is_installed_waits_for_a_relay
                     a_customer_of_the_highest_generation_is_recorded_and_erased_like_any_other];
        } $($next)* }
    };
}

pub(super) use erasing;

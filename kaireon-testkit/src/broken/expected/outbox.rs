//! Of lanes, leases, entries and dead letters.

/// Puts these before what it is handed, and hands all on to the next.
macro_rules! outbox {
    ($then:ident { $($so_far:tt)* } $($next:ident)*) => {
        $then! { {
            $($so_far)*
            ErasureWaitsForNoRelay:
                [nothing_that_was_read_ahead_is_delivered_after_the_receipt]
                may [an_erasure_that_waits_for_a_relay_has_done_all_but_the_receipt];
            TombstonesWaitForNoRelay:
                [a_tombstone_that_is_installed_waits_for_a_relay];
            ErasureWaitsFirst:
                [an_erasure_that_waits_for_a_relay_has_done_all_but_the_receipt]
                may [nothing_that_was_read_ahead_is_delivered_after_the_receipt];
            ReplicatedWritesLanes:
                [replicated_records_write_no_lane]
                may [a_replicated_record_of_a_higher_generation_leaves_nothing_to_tell];
            OutboxLosesEntries:
                [an_entry_is_there_when_its_record_is_acknowledged]
                may [a_fence_sets_the_lanes_of_its_tenant
                     a_reader_never_sees_a_part_of_a_write
                     a_replicated_record_of_a_higher_generation_leaves_nothing_to_tell
                     entries_of_a_customer_keep_the_order_of_their_acknowledgements
                     undelivered_entries_of_an_erased_customer_are_gone
                     undelivered_entries_outlive_a_purge];
            OutboxRepeatsDuplicates:
                [duplicates_and_refusals_write_no_entry];
            OutboxReordersACustomer:
                [entries_of_a_customer_keep_the_order_of_their_acknowledgements
                 concurrent_customers_each_keep_their_order
                 ranges_that_go_back_and_forth_lose_nothing
                 several_relays_deliver_each_entry_once_and_in_order]
                may [a_poisoned_entry_is_moved_aside_and_blocks_nobody
                     a_relay_that_stops_leaves_the_rest_to_the_next
                     entries_after_the_erasure_are_delivered
                     fetch_goes_on_behind_a_position
                     fetch_returns_the_oldest_in_order_but_what_is_in_flight
                     host_events_are_appended_in_order_whatever_lanes_are_in_force
                     replayed_dead_letters_come_behind_all_others
                     the_longest_ids_and_texts_of_every_kind_are_told
                     the_outbox_is_there_after_a_restart
                     whoever_waits_misses_no_entry];
            ReadsOnBehindWhatIsInFlight:
                [fetch_returns_the_oldest_in_order_but_what_is_in_flight
                 fetch_goes_on_behind_a_position];
            BeginsEachPageAnew:
                [fetch_goes_on_behind_a_position];
            OutboxIgnoresLanes:
                [records_are_written_into_exactly_the_lanes_in_force]
                may [an_erasure_that_waits_for_a_relay_has_done_all_but_the_receipt
                     a_fence_sets_the_lanes_of_its_tenant
                     a_tenants_backlog_is_its_own
                     an_erased_customer_is_gone_from_every_read
                     changes_of_different_lanes_do_not_undo_each_other];
            ReadsLanesBeforeItChangesThem:
                [changes_of_different_lanes_do_not_undo_each_other];
            LeasesAreShared:
                [a_range_is_leased_to_one_relay_at_a_time
                 concurrent_requests_never_share_a_range]
                may [a_lane_leads_to_one_destination_at_a_time
                     a_relay_that_lost_a_range_settles_nothing
                     a_renewed_lease_is_kept
                     an_expired_lease_that_nobody_took_keeps_its_number
                     ranges_beyond_the_bound_are_given_back
                     several_relays_deliver_each_entry_once_and_in_order
                     who_has_given_back_every_range_is_no_longer_counted];
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
                may [a_destination_of_all_takes_the_lane_from_a_process_s_own
                     a_lane_is_left_to_another_destination_when_its_relays_are_gone_for_its_hold
                     a_relay_that_lost_a_range_moves_nothing_aside
                     a_released_lease_is_free_at_once
                     an_expired_lease_that_nobody_took_keeps_its_number
                     several_relays_deliver_each_entry_once_and_in_order];
            SettlesWithoutLease:
                [what_no_lease_covers_is_not_settled]
                may [a_destination_of_all_takes_the_lane_from_a_process_s_own
                     a_lease_expires_and_its_number_grows
                     a_relay_that_lost_a_range_moves_nothing_aside
                     a_relay_that_lost_a_range_settles_nothing
                     an_expired_lease_that_nobody_took_keeps_its_number];
            DropsPoisonedEntries:
                [a_poisoned_entry_is_moved_aside_and_blocks_nobody]
                may [a_relay_that_lost_a_range_moves_nothing_aside
                     a_replayed_dead_letter_is_the_same_event_under_the_same_generation
                     a_replicated_record_of_a_higher_generation_leaves_nothing_to_tell
                     a_tenants_backlog_is_its_own
                     dead_letters_are_listed_by_range_and_position
                     replayed_dead_letters_come_behind_all_others
                     the_outbox_is_there_after_a_restart
                     undelivered_entries_of_an_erased_customer_are_gone
                     undelivered_entries_outlive_a_purge];
            ReplayKeepsTheLetter:
                [replayed_dead_letters_come_behind_all_others];
            DecisionsUntold:
                [an_entry_holds_its_record_as_it_was_accepted]
                may [an_entry_is_there_when_its_record_is_acknowledged
                     entries_of_a_customer_keep_the_order_of_their_acknowledgements
                     the_longest_ids_and_texts_of_every_kind_are_told
                     undelivered_entries_outlive_a_purge];
            StatusTellsTheNewest:
                [a_status_counts_what_waits_and_since_when];
            SettlingAgainFails:
                [settled_entries_are_gone_and_settling_again_does_nothing];
            RelaysKeepTheirLane:
                [a_destination_of_all_takes_the_lane_from_a_process_s_own];
            PoisonsWithoutLease:
                [a_relay_that_lost_a_range_moves_nothing_aside];
            LeasesNeverExpire:
                [a_lease_expires_and_its_number_grows
                 a_relay_that_stops_leaves_the_rest_to_the_next]
                may [a_lane_is_left_to_another_destination_when_its_relays_are_gone_for_its_hold
                     an_expired_lease_that_nobody_took_keeps_its_number];
            ReleasesWhatWasLost:
                [a_released_lease_is_free_at_once];
            RenewalsDoNotExtend:
                [a_renewed_lease_is_kept]
                may [an_expired_lease_that_nobody_took_keeps_its_number];
            KeepsRangesBeyondTheBound:
                [ranges_beyond_the_bound_are_given_back]
                may [concurrent_requests_never_share_a_range];
            DeadLettersNewestFirst:
                [dead_letters_are_listed_by_range_and_position]
                may [replayed_dead_letters_come_behind_all_others];
            EntriesAreOfGenerationZero:
                [entries_after_the_erasure_are_delivered]
                may [a_replayed_dead_letter_is_the_same_event_under_the_same_generation];
            HostEventsNeedTheLane:
                [host_events_are_appended_in_order_whatever_lanes_are_in_force]
                may [a_destination_of_all_takes_the_lane_from_a_process_s_own
                     a_lane_is_left_to_another_destination_when_its_relays_are_gone_for_its_hold
                     a_lane_leads_to_one_destination_at_a_time
                     a_lease_expires_and_its_number_grows
                     a_relay_that_lost_a_range_moves_nothing_aside
                     a_relay_that_lost_a_range_settles_nothing
                     an_expired_lease_that_nobody_took_keeps_its_number
                     dead_letters_are_listed_by_range_and_position
                     fetch_goes_on_behind_a_position
                     replayed_dead_letters_come_behind_all_others
                     what_no_lease_covers_is_not_settled];
            QuietWaitsFail:
                [whoever_waits_misses_no_entry];
            OutboxIsNotDurable:
                [the_outbox_is_there_after_a_restart];
        } $($next)* }
    };
}

pub(super) use outbox;

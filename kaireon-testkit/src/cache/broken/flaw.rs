//! The rules that a broken cache or fetch alters, and the cases that must notice.

/// One altered rule of a cache that works, or of a fetch over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Flaw {
    /// For `IfAbsent`, what has expired is still there.
    ExpiredCountsAsPresent,
    /// For `IfPresent`, what has expired comes to life again.
    ExpiredComesToLife,
    /// Looks whether the condition holds, and sets later.
    LooksThenSets,
    /// Nothing expires.
    NeverExpires,
    /// The first ttl of a key stays.
    KeepsTheFirstTtl,
    /// Tenants share their keys.
    SharesTenants,
    /// A value above the bound is taken, and forgotten.
    ForgetsLargeValues,
    /// `peek` shows what was overwritten or deleted.
    PeekRemembers,
    /// `peek_fetched` shows what was invalidated or replaced.
    PeekFetchedRemembers,
    /// `peek_fetched` looks where `set` keeps its values.
    PeekFetchedShowsWhatWasSet,
    /// An expired value counts as deleted.
    CountsExpiredAsDeleted,
    /// `get_many` leaves out what is not there.
    LeavesOutWhatIsMissing,
    /// An erasure leaves what was fetched.
    ErasureForgetsFetched,
    /// An erasure takes every customer whose name begins so.
    ErasureTakesPrefixes,
    /// An erasure lets what is being fetched be kept.
    ErasureForgetsFlights,
    /// Calls work on after `disconnect`.
    WorksAfterDisconnect,
    /// Each call finds a flight table of its own.
    FlightsOfTheirOwn,
    /// Who waits for a fetch that is cancelled waits for ever.
    StrandsWaiters,
    /// A failure is remembered.
    RemembersFailures,
    /// Absence is remembered unasked.
    RemembersAbsence,
    /// Those who could be shown a stale value wait.
    WaitsForRevalidation,
    /// A failed fetch is an error, whatever is there.
    IgnoresStaleIfError,
    /// Stale values are shown to everybody.
    ShowsStaleUnasked,
    /// Keys that are fetched together expire together.
    IgnoresJitter,
    /// What was fetched lies where `get` finds it.
    KeepsUnderThePlainKey,
    /// It says that it is shared, and each process has its own.
    KeepsForItself,
    /// An erasure lets what another process is fetching be kept.
    ErasureForgetsFlightsElsewhere,
    /// A process that disconnects closes the cache for all.
    DisconnectsEverybody,
    /// A lease is granted to whoever asks.
    GrantsLeasesToAll,
    /// Who is granted a lease is not told what lies there by now.
    GrantsWithoutALook,
    /// What is brought under a lease is kept, whoever was granted it since.
    KeepsWhateverTheToken,
    /// A lease stands until it ends, though its holder gave it up.
    ReleasesNothing,
    /// What is fetched under a lease is kept behind a deletion.
    DeletionLeavesLeases,
    /// What is fetched under a lease is kept behind another process's erasure.
    ErasureLeavesLeases,
}

impl Flaw {
    /// Every flaw.
    pub const ALL: &[Self] = &[
        Self::ExpiredCountsAsPresent,
        Self::ExpiredComesToLife,
        Self::LooksThenSets,
        Self::NeverExpires,
        Self::KeepsTheFirstTtl,
        Self::SharesTenants,
        Self::ForgetsLargeValues,
        Self::PeekRemembers,
        Self::PeekFetchedRemembers,
        Self::PeekFetchedShowsWhatWasSet,
        Self::CountsExpiredAsDeleted,
        Self::LeavesOutWhatIsMissing,
        Self::ErasureForgetsFetched,
        Self::ErasureTakesPrefixes,
        Self::ErasureForgetsFlights,
        Self::WorksAfterDisconnect,
        Self::FlightsOfTheirOwn,
        Self::StrandsWaiters,
        Self::RemembersFailures,
        Self::RemembersAbsence,
        Self::WaitsForRevalidation,
        Self::IgnoresStaleIfError,
        Self::ShowsStaleUnasked,
        Self::IgnoresJitter,
        Self::KeepsUnderThePlainKey,
        Self::KeepsForItself,
        Self::ErasureForgetsFlightsElsewhere,
        Self::DisconnectsEverybody,
        Self::GrantsLeasesToAll,
        Self::GrantsWithoutALook,
        Self::KeepsWhateverTheToken,
        Self::ReleasesNothing,
        Self::DeletionLeavesLeases,
        Self::ErasureLeavesLeases,
    ];

    /// The cases that must fail.
    #[must_use]
    pub fn caught_by(self) -> &'static [&'static str] {
        match self {
            Self::ExpiredCountsAsPresent => &[
                "if_absent_counts_what_has_expired_as_absent",
                "what_has_expired_of_a_customer_who_has_more_counts_as_absent",
            ],
            Self::ExpiredComesToLife => &[
                "if_present_counts_what_has_expired_as_absent",
                "what_has_expired_of_a_customer_who_has_more_counts_as_absent",
            ],
            Self::LooksThenSets => &[
                "of_concurrent_callers_if_absent_one_sets",
                "if_absent_never_replaces_what_is_set_meanwhile",
                "of_concurrent_processes_if_absent_one_sets",
            ],
            Self::NeverExpires => &[
                "what_has_expired_of_a_customer_who_has_more_counts_as_absent",
                "a_value_is_gone_after_its_ttl_and_not_before",
                "what_was_fetched_is_not_fetched_again",
                "absence_is_remembered_for_its_ttl",
            ],
            Self::KeepsTheFirstTtl => &["setting_again_begins_a_new_ttl"],
            Self::SharesTenants => &["tenants_and_customers_do_not_share_keys"],
            Self::ForgetsLargeValues => &["a_value_above_the_bound_is_invalid_input_naming_value"],
            Self::PeekRemembers => &["peek_agrees_with_get"],
            Self::PeekFetchedRemembers | Self::PeekFetchedShowsWhatWasSet => {
                &["peek_fetched_shows_what_was_fetched_and_nothing_else"]
            }
            Self::CountsExpiredAsDeleted => &[
                "an_expired_value_does_not_count_as_deleted",
                "what_has_expired_of_a_customer_who_has_more_counts_as_absent",
            ],
            Self::LeavesOutWhatIsMissing => {
                &["many_values_are_read_set_and_deleted_in_the_order_of_the_keys"]
            }
            Self::ErasureForgetsFetched => &["erasing_a_customer_removes_what_was_fetched"],
            Self::ErasureTakesPrefixes => {
                &["erasing_a_customer_removes_what_carries_the_customer_and_nothing_else"]
            }
            Self::ErasureForgetsFlights => &["a_fetch_under_way_is_not_kept_behind_an_erasure"],
            Self::WorksAfterDisconnect => &["after_disconnect_calls_are_unavailable_and_not_applied"],
            Self::FlightsOfTheirOwn => &[
                "a_thousand_concurrent_callers_fetch_once",
                "callers_meet_across_handles",
                "a_failure_answers_all_who_waited_with_the_same_error",
            ],
            Self::StrandsWaiters => &[
                "a_cancelled_fetcher_hands_over_to_one_who_waits",
                "a_fetcher_that_panics_hands_over_to_one_who_waits",
            ],
            Self::RemembersFailures => &["who_comes_after_a_failure_fetches_anew"],
            Self::RemembersAbsence => &["absence_is_fetched_again_unless_it_is_remembered"],
            Self::WaitsForRevalidation => &[
                "one_caller_revalidates_and_the_others_get_the_stale_value",
                "whoever_may_see_a_stale_value_does_not_wait_for_another_process",
            ],
            Self::IgnoresStaleIfError => &["a_failure_within_the_window_is_answered_with_the_stale_value"],
            Self::ShowsStaleUnasked => &[
                "without_a_window_an_expired_value_is_fetched_anew",
                "a_failure_beyond_the_window_is_answered_with_the_error",
            ],
            Self::IgnoresJitter => &["jitter_only_shortens_the_ttl"],
            Self::KeepsUnderThePlainKey => &["get_set_and_del_do_not_see_what_was_fetched"],
            Self::KeepsForItself => &[
                "what_one_process_sets_another_reads_replaces_and_deletes",
                "a_value_ends_for_every_process",
                "of_concurrent_processes_if_absent_one_sets",
                "what_one_process_fetched_another_does_not_fetch_again",
                "an_erasure_reaches_what_other_processes_keep",
            ],
            Self::ErasureForgetsFlightsElsewhere => {
                &["a_fetch_under_way_elsewhere_is_not_kept_behind_an_erasure"]
            }
            Self::DisconnectsEverybody => &["a_process_that_disconnects_leaves_the_others_at_work"],
            Self::GrantsLeasesToAll => &[
                "a_lease_is_one_process_s_until_it_is_released_or_ends",
                "with_a_lease_one_of_all_processes_fetches",
            ],
            Self::GrantsWithoutALook => &["a_lease_is_one_process_s_until_it_is_released_or_ends"],
            Self::KeepsWhateverTheToken => &["who_comes_late_with_a_lease_that_another_has_keeps_nothing"],
            Self::ReleasesNothing => &[
                "a_lease_is_one_process_s_until_it_is_released_or_ends",
                "a_fetch_that_fails_under_a_lease_hands_over_to_another_process",
                "a_fetcher_that_is_cancelled_under_a_lease_hands_over",
                "what_cannot_be_kept_under_a_lease_holds_up_nobody",
            ],
            Self::DeletionLeavesLeases => {
                &["what_is_fetched_under_a_lease_is_not_kept_behind_an_invalidation_elsewhere"]
            }
            Self::ErasureLeavesLeases => {
                &["what_is_fetched_under_a_lease_is_not_kept_behind_an_erasure_elsewhere"]
            }
        }
    }

    /// Cases that the flaw fails as well, because they count on its rule.
    #[must_use]
    pub fn may_fail(self) -> &'static [&'static str] {
        match self {
            Self::ExpiredCountsAsPresent => &[
                "of_concurrent_callers_if_absent_one_sets",
                "a_value_ends_for_every_process",
            ],
            Self::NeverExpires => &[
                "a_value_ends_for_every_process",
                "setting_again_begins_a_new_ttl",
                "an_expired_value_does_not_count_as_deleted",
                "if_absent_counts_what_has_expired_as_absent",
                "if_present_counts_what_has_expired_as_absent",
                "of_concurrent_callers_if_absent_one_sets",
                "jitter_only_shortens_the_ttl",
            ],
            Self::KeepsTheFirstTtl => &["of_concurrent_callers_if_absent_one_sets"],
            Self::SharesTenants => &[
                "erasing_a_customer_removes_what_carries_the_customer_and_nothing_else",
                "a_lease_is_one_process_s_until_it_is_released_or_ends",
                "who_comes_late_with_a_lease_that_another_has_keeps_nothing",
            ],
            Self::PeekRemembers => &[
                "what_one_process_sets_another_reads_replaces_and_deletes",
                "an_erasure_reaches_what_other_processes_keep",
                "a_value_is_gone_after_its_ttl_and_not_before",
                "after_disconnect_calls_are_unavailable_and_not_applied",
                "peek_fetched_shows_what_was_fetched_and_nothing_else",
                "what_was_fetched_is_not_fetched_again",
                "erasing_a_customer_removes_what_was_fetched",
                "invalidate_removes_what_was_fetched",
                "absence_is_remembered_for_its_ttl",
                "jitter_only_shortens_the_ttl",
                "a_fetch_under_way_is_not_kept_behind_an_erasure",
                "what_is_being_fetched_while_it_is_invalidated_is_not_kept",
            ],
            Self::PeekFetchedRemembers => &[
                "an_erasure_reaches_what_other_processes_keep",
                "what_was_fetched_is_not_fetched_again",
                "erasing_a_customer_removes_what_was_fetched",
                "invalidate_removes_what_was_fetched",
                "absence_is_remembered_for_its_ttl",
                "jitter_only_shortens_the_ttl",
            ],
            Self::WorksAfterDisconnect => &["peek_fetched_shows_what_was_fetched_and_nothing_else"],
            Self::LeavesOutWhatIsMissing => &[
                "a_value_is_gone_after_its_ttl_and_not_before",
                "erasing_a_customer_removes_what_carries_the_customer_and_nothing_else",
                "after_disconnect_calls_are_unavailable_and_not_applied",
            ],
            Self::FlightsOfTheirOwn => &[
                "a_cancelled_fetcher_hands_over_to_one_who_waits",
                "a_cancelled_waiter_strands_nobody",
                "a_fetch_under_way_is_not_kept_behind_an_erasure",
                "what_is_being_fetched_while_it_is_invalidated_is_not_kept",
                "one_caller_revalidates_and_the_others_get_the_stale_value",
                "beyond_the_window_everybody_waits",
                "a_failure_within_the_window_is_answered_with_the_stale_value",
            ],
            Self::StrandsWaiters => &[
                "whoever_may_see_a_stale_value_does_not_wait_for_another_process",
                "a_fetcher_that_is_cancelled_under_a_lease_hands_over",
                "nobody_waits_for_longer_than_a_lease_lasts",
                "what_is_being_fetched_while_it_is_invalidated_is_not_kept",
                "one_caller_revalidates_and_the_others_get_the_stale_value",
            ],
            Self::RemembersFailures => &[
                "a_fetch_that_fails_under_a_lease_hands_over_to_another_process",
                "a_failure_within_the_window_is_answered_with_the_stale_value",
                "without_a_window_an_expired_value_is_fetched_anew",
                "a_failure_beyond_the_window_is_answered_with_the_error",
            ],
            Self::ShowsStaleUnasked => &["beyond_the_window_everybody_waits"],
            Self::ErasureForgetsFetched => &["an_erasure_reaches_what_other_processes_keep"],
            Self::GrantsLeasesToAll => &["whoever_may_see_a_stale_value_does_not_wait_for_another_process"],
            Self::KeepsWhateverTheToken => {
                &["what_is_fetched_under_a_lease_is_not_kept_behind_an_invalidation_elsewhere"]
            }
            Self::ErasureForgetsFlightsElsewhere => {
                &["what_is_fetched_under_a_lease_is_not_kept_behind_an_erasure_elsewhere"]
            }
            Self::KeepsForItself => &[
                "what_is_fetched_under_a_lease_is_not_kept_behind_an_erasure_elsewhere",
                "a_lease_is_one_process_s_until_it_is_released_or_ends",
                "who_comes_late_with_a_lease_that_another_has_keeps_nothing",
                "with_a_lease_one_of_all_processes_fetches",
                "a_fetch_that_fails_under_a_lease_hands_over_to_another_process",
                "whoever_may_see_a_stale_value_does_not_wait_for_another_process",
                "what_is_fetched_under_a_lease_is_not_kept_behind_an_invalidation_elsewhere",
                "a_fetch_under_way_elsewhere_is_not_kept_behind_an_erasure",
                "a_process_that_disconnects_leaves_the_others_at_work",
            ],
            Self::KeepsUnderThePlainKey => &[
                "an_erasure_reaches_what_other_processes_keep",
                "peek_fetched_shows_what_was_fetched_and_nothing_else",
                "erasing_a_customer_removes_what_was_fetched",
                "invalidate_removes_what_was_fetched",
                "what_is_being_fetched_while_it_is_invalidated_is_not_kept",
            ],
            _ => &[],
        }
    }
}

//! The list of the cases, and the macro that makes one test of each.

/// The list of the cases; what it is handed to makes tests or a table of it.
#[doc(hidden)]
#[macro_export]
macro_rules! __search_cases {
    ($then:ident $setting:tt) => {
        $crate::$then! { $setting
            search::documents {
                a_document_is_found_as_it_was_indexed
                a_document_takes_the_place_of_the_one_with_its_key_as_a_whole
                equal_ids_of_two_kinds_are_two_documents
                ids_that_look_alike_are_different_documents
                a_document_without_text_is_found_by_its_fields
                documents_at_the_bounds_are_taken
                a_body_of_one_endless_word_does_no_harm
                an_empty_batch_is_empty
                each_document_of_a_batch_has_its_own_outcome
                equal_keys_in_one_batch_are_settled_in_their_order
                documents_indexed_at_the_same_time_are_all_found
            }
            search::versions {
                an_older_version_never_overwrites_a_newer
                an_older_version_behind_a_newer_in_one_batch_is_outdated
                an_equal_version_is_written_again
                versions_beyond_what_a_float_holds_are_told_apart
                of_versions_at_the_same_time_the_highest_stays
            }
            search::text {
                all_words_must_be_in_title_or_body
                any_word_is_enough
                a_phrase_is_words_in_their_order
                a_phrase_does_not_reach_from_title_to_body
                the_last_word_is_a_prefix_as_one_types
                a_prefix_is_taken_as_it_was_typed
                words_match_by_their_english_stem
                words_match_without_case_and_accents
                no_word_is_too_common
                words_are_found_at_any_punctuation
                numbers_are_words
                a_text_without_words_matches_nothing
                a_query_without_text_matches_everything
                a_title_weighs_more_than_a_body
                more_of_the_words_rank_higher
                the_exact_title_comes_first
                scores_fall_along_the_hits
            }
            search::hostile {
                text_that_a_person_types_is_never_an_error
                operators_are_words
                wildcards_stand_for_nothing
                quotes_make_no_phrase
                text_changes_no_filter
                text_reaches_no_field_that_is_not_text
                keywords_are_compared_literally
                names_may_be_any_text
                texts_from_right_to_left_and_with_emoji_are_found_by_their_words
                nothing_personal_is_told
            }
            search::tenants {
                a_search_finds_what_is_its_tenants
                text_reaches_no_other_tenant
                totals_and_facets_count_one_tenant
                one_key_in_two_tenants_is_two_documents
                tenants_that_look_alike_are_different_tenants
                a_cursor_of_another_tenant_is_refused
                deleting_leaves_other_tenants_alone
                erasing_leaves_other_tenants_alone
            }
            search::filters {
                any_of_the_keywords_is_enough
                every_filter_must_hold
                an_empty_list_of_keywords_matches_nothing
                a_document_without_the_field_does_not_match
                number_ranges_include_their_start_and_exclude_their_end
                numbers_are_exact_to_the_last_decimal
                date_ranges_are_exact_to_the_millisecond
                empty_ranges_match_nothing
                kinds_limit_what_is_found
                fields_of_one_name_and_two_types_are_two_fields
                bounds_of_a_query_are_checked
            }
            search::sorting {
                numbers_sort_in_either_direction
                dates_sort_in_either_direction
                keywords_sort_by_bytes
                several_keywords_sort_by_the_lowest_or_the_highest
                what_lacks_the_field_comes_last
                equal_values_come_by_id_then_kind
                equal_scores_come_by_id_then_kind
            }
            search::cursors {
                pages_by_a_field_are_the_whole
                pages_by_relevance_are_the_whole
                pages_of_equal_values_skip_nothing
                pages_of_equal_scores_skip_nothing
                the_last_page_has_no_cursor
                pages_stay_stable_while_others_write
                a_cursor_of_another_query_is_refused
                what_is_no_cursor_is_refused
                a_cursor_goes_through_text
                the_total_is_that_of_all_pages
            }
            search::facets {
                terms_are_counted_most_frequent_first
                a_document_counts_under_each_of_its_keywords
                number_ranges_are_counted_in_their_order
                dates_are_counted_by_day
                dates_are_counted_by_iso_week
                dates_are_counted_by_month
                a_histogram_keeps_its_newest_periods
                facets_count_what_matches
                facets_count_all_pages
                a_facet_of_a_field_that_nothing_has_is_empty
            }
            search::highlights {
                words_that_match_are_marked
                marks_are_where_the_document_has_the_word
                only_whole_phrases_are_marked
                fragments_keep_their_bounds
                what_a_document_contains_is_no_mark
                without_text_nothing_is_marked
            }
            search::fuzzy {
                one_typo_is_forgiven
                two_typos_are_not
                short_words_must_be_exact
                no_typo_is_forgiven_unasked
                what_is_spelt_right_ranks_first
            }
            search::deletion {
                a_document_is_deleted_by_its_id
                what_is_not_there_counts_as_nothing
                a_kind_is_deleted
                a_tenant_is_deleted
                what_was_not_refreshed_is_deleted_too
                a_deleted_document_may_come_back_under_any_version
                more_than_1000_ids_are_refused
            }
            search::erasure {
                a_customers_documents_are_erased_at_once
                what_was_not_refreshed_is_erased_too
                erasing_again_finds_nothing
            }
            search::rebuilds {
                a_rebuild_serves_when_it_is_finished
                an_aborted_rebuild_changes_nothing
                live_documents_go_into_both
                a_live_document_is_not_overwritten_by_an_older_filling
                what_was_deleted_meanwhile_is_not_filled_in
                what_was_erased_meanwhile_is_not_filled_in
                a_rebuild_is_found_again_by_its_name
                one_rebuild_is_open_at_a_time
                steps_of_a_rebuild_may_be_repeated
                a_rebuild_that_is_not_open_is_not_found
            }
            search::handles {
                a_second_handle_finds_what_the_first_indexed
                a_disconnected_handle_refuses_everything
                disconnecting_twice_is_disconnecting_once
                a_ping_agrees_with_the_capabilities
                documents_are_there_after_a_restart
            }
        }
    };
}

/// Makes one test per case of the search index's suite.
///
/// The expression makes a fresh [`SearchFixture`](crate::search::SearchFixture); see
/// [`store_suite!`](crate::store_suite).
///
/// ```
/// mod in_memory {
///     kaireon_testkit::search_suite!(kaireon_testkit::search::broken::Fixture::sound());
/// }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! search_suite {
    ($fixture:expr $(,)?) => {
        $crate::__search_cases! { __family_tests ([] $fixture, $crate::search::SearchFixture::close) }
    };
    ($fixture:expr, needs = $needs:literal $(,)?) => {
        $crate::__search_cases! { __family_tests
        ([#[ignore = $needs]] $fixture, $crate::search::SearchFixture::close) }
    };
}

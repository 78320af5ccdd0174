//! The rules that a broken index alters, one each, and the cases that must notice.

/// One altered rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Flaw {
    /// A text that names another tenant finds that tenant's documents too.
    LeaksTenantsThroughText,
    /// The document that arrives last stays, whatever its version.
    OlderVersionWins,
    /// Versions are kept as floats.
    VersionsAreFloats,
    /// One outdated document stops the batch.
    BatchFailsWhole,
    /// Ids are kept in lower case.
    IdsForgetTheirCase,
    /// A cursor goes on behind everything that is equal to its place.
    CursorSkipsEqualValues,
    /// A text with a colon or an `OR` is read as a query, in which it replaces the filters.
    TextChangesFilters,
    /// A quote or parenthesis that is not closed is a syntax error.
    TextIsSyntax,
    /// A star at the end of a word is a wildcard.
    WildcardsWork,
    /// Words are compared as they are, not by their stems.
    ForgetsStems,
    /// An accent makes another word.
    AccentsCount,
    /// A typo is forgiven to everybody.
    ForgivesTyposUnasked,
    /// An empty list of keywords is no filter.
    EmptyListMatchesEverything,
    /// The end of a range is included.
    RangesIncludeTheirEnd,
    /// Numbers are kept as floats.
    NumbersAreFloats,
    /// What lacks the field comes first.
    MissingComesFirst,
    /// The total is that of the page.
    TotalIsOfThePage,
    /// Terms are counted on the page.
    FacetsCountOnePage,
    /// Days begin two hours early.
    HistogramsInLocalTime,
    /// Weeks begin on Sunday.
    WeeksBeginOnSunday,
    /// Marks are tags in the text.
    HighlightsAreTags,
    /// A deletion by kind reaches other tenants.
    DeletesAKindOfAllTenants,
    /// An erasure counts, and deletes nothing.
    ErasureOnlyCounts,
    /// What fills a rebuild is visible at once.
    RebuildServesEarly,
    /// Calls work on after `disconnect`.
    WorksAfterDisconnect,
    /// Documents are gone after a restart.
    ForgetsAtRestart,
    /// An error quotes what was typed.
    QuotesTextInErrors,
    /// What is typed is logged.
    LogsText,
}

macro_rules! flaws {
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

flaws! {
    LeaksTenantsThroughText: [text_reaches_no_other_tenant];
    OlderVersionWins: [
        an_older_version_never_overwrites_a_newer
        an_older_version_behind_a_newer_in_one_batch_is_outdated
        versions_beyond_what_a_float_holds_are_told_apart
        of_versions_at_the_same_time_the_highest_stays
    ] may [
        each_document_of_a_batch_has_its_own_outcome
        a_rebuild_serves_when_it_is_finished
        nothing_personal_is_told
    ];
    VersionsAreFloats: [versions_beyond_what_a_float_holds_are_told_apart];
    BatchFailsWhole: [each_document_of_a_batch_has_its_own_outcome] may [
        an_older_version_behind_a_newer_in_one_batch_is_outdated
        what_was_deleted_meanwhile_is_not_filled_in
        what_was_erased_meanwhile_is_not_filled_in
    ];
    IdsForgetTheirCase: [ids_that_look_alike_are_different_documents] may [
        a_kind_is_deleted
        a_prefix_is_taken_as_it_was_typed
        date_ranges_are_exact_to_the_millisecond
        equal_scores_come_by_id_then_kind
        equal_values_come_by_id_then_kind
        kinds_limit_what_is_found
        names_may_be_any_text
    ];
    CursorSkipsEqualValues: [pages_of_equal_values_skip_nothing pages_of_equal_scores_skip_nothing] may [
        pages_by_a_field_are_the_whole
        pages_by_relevance_are_the_whole
        pages_stay_stable_while_others_write
        the_last_page_has_no_cursor
        a_cursor_goes_through_text
        a_cursor_of_another_query_is_refused
    ];
    TextChangesFilters: [text_changes_no_filter text_that_a_person_types_is_never_an_error];
    TextIsSyntax: [text_that_a_person_types_is_never_an_error] may [operators_are_words quotes_make_no_phrase text_reaches_no_other_tenant];
    WildcardsWork: [wildcards_stand_for_nothing];
    ForgetsStems: [words_match_by_their_english_stem] may [
        marks_are_where_the_document_has_the_word
        texts_from_right_to_left_and_with_emoji_are_found_by_their_words
    ];
    AccentsCount: [words_match_without_case_and_accents] may [
        marks_are_where_the_document_has_the_word
        texts_from_right_to_left_and_with_emoji_are_found_by_their_words
    ];
    ForgivesTyposUnasked: [no_typo_is_forgiven_unasked] may [numbers_are_words];
    EmptyListMatchesEverything: [an_empty_list_of_keywords_matches_nothing];
    RangesIncludeTheirEnd: [
        number_ranges_include_their_start_and_exclude_their_end
        empty_ranges_match_nothing
    ];
    NumbersAreFloats: [numbers_are_exact_to_the_last_decimal numbers_sort_in_either_direction];
    MissingComesFirst: [what_lacks_the_field_comes_last] may [pages_by_a_field_are_the_whole];
    TotalIsOfThePage: [the_total_is_that_of_all_pages] may [totals_and_facets_count_one_tenant];
    FacetsCountOnePage: [facets_count_all_pages];
    HistogramsInLocalTime: [
        dates_are_counted_by_day
        dates_are_counted_by_iso_week
        dates_are_counted_by_month
    ];
    WeeksBeginOnSunday: [dates_are_counted_by_iso_week];
    HighlightsAreTags: [words_that_match_are_marked marks_are_where_the_document_has_the_word] may [
        fragments_keep_their_bounds
        only_whole_phrases_are_marked
        what_a_document_contains_is_no_mark
    ];
    DeletesAKindOfAllTenants: [deleting_leaves_other_tenants_alone];
    ErasureOnlyCounts: [
        a_customers_documents_are_erased_at_once
        what_was_not_refreshed_is_erased_too
        erasing_again_finds_nothing
    ] may [erasing_leaves_other_tenants_alone what_was_erased_meanwhile_is_not_filled_in];
    RebuildServesEarly: [a_rebuild_serves_when_it_is_finished an_aborted_rebuild_changes_nothing] may [
        a_rebuild_that_is_not_open_is_not_found
        documents_are_there_after_a_restart
        what_was_deleted_meanwhile_is_not_filled_in
        what_was_erased_meanwhile_is_not_filled_in
    ];
    WorksAfterDisconnect: [a_disconnected_handle_refuses_everything] may [nothing_personal_is_told];
    ForgetsAtRestart: [documents_are_there_after_a_restart] may [
        a_rebuild_is_found_again_by_its_name
        a_second_handle_finds_what_the_first_indexed
    ];
    QuotesTextInErrors: [nothing_personal_is_told];
    LogsText: [nothing_personal_is_told];
}

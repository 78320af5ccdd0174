//! The settings store's suite: of several who change a setting, each sees what it replaces.

#![allow(clippy::unwrap_used, reason = "a case is a test: its panic is the report")]

pub mod broken;
mod fixture;
pub mod handles;
pub mod reading;
pub mod swaps;
pub mod trail;

pub use fixture::SettingsFixture;

use crate::suite::Case;

/// The list of the cases; what it is handed to makes tests or a table of it.
#[doc(hidden)]
#[macro_export]
macro_rules! __settings_cases {
    ($then:ident $setting:tt) => {
        $crate::$then! { $setting
            settings::swaps {
                a_first_setting_is_version_one
                a_setting_is_replaced_only_by_who_saw_it
                the_same_swap_again_is_done_once
                the_same_swap_again_is_done_also_behind_others
                an_id_used_for_another_document_conflicts
                of_concurrent_swaps_over_one_version_one_is_done
                concurrent_writers_who_read_again_lose_nothing
                tenants_have_settings_of_their_own
                what_is_out_of_bounds_is_invalid_input_naming_the_field
                the_longest_document_comes_back
            }
            settings::reading {
                a_setting_reads_through_every_handle_as_it_was_set
                settings_are_listed_once_in_the_order_of_tenants
                changes_count_swaps_and_nothing_else
            }
            settings::trail {
                a_trail_has_every_setting_newest_first_with_who_and_why
                a_trail_is_read_in_pages
                what_was_lost_or_refused_leaves_no_entry
            }
            settings::handles {
                everything_is_there_after_a_restart
                after_disconnect_every_call_is_unavailable_and_not_applied
                ping_agrees_with_the_capabilities
            }
        }
    };
}

/// Every case of the settings store, as data.
pub static CASES: &[Case<dyn SettingsFixture>] = __settings_cases! { __case_table () };

//! The publisher's suite.

#![allow(clippy::unwrap_used, reason = "a case is a test: its panic is the report")]

pub mod bounds;
pub mod broken;
pub mod delivery;
mod fixture;
pub mod groups;
pub mod lifecycle;
pub mod redelivery;

pub use fixture::PublisherFixture;

use crate::suite::Case;

/// The list of the cases; what it is handed to makes tests or a table of it.
#[doc(hidden)]
#[macro_export]
macro_rules! __publisher_cases {
    ($then:ident $setting:tt) => {
        $crate::$then! { $setting
            publisher::delivery {
                an_event_arrives_as_it_was_published
                every_subscriber_receives_every_event
                other_topics_are_not_received
                one_subscription_receives_several_topics
                a_topic_named_twice_is_delivered_once
                what_was_published_before_is_not_received
                events_of_one_key_arrive_in_order
                a_batch_arrives_whole_and_in_order
                an_empty_batch_is_empty
                concurrent_publishers_lose_nothing
            }
            publisher::groups {
                each_event_goes_to_one_member
                each_group_receives_everything
                a_group_takes_nothing_from_a_lone_subscriber
                a_member_that_leaves_hands_over_what_it_had_not_acknowledged
                concurrent_members_neither_lose_nor_repeat
                groups_agree_with_the_capabilities
            }
            publisher::redelivery {
                a_nacked_delivery_comes_again_with_the_next_attempt
                a_dropped_delivery_comes_again
                an_unacknowledged_delivery_comes_again_after_its_timeout
                a_delivery_stuck_with_one_member_reaches_another
                an_acknowledged_delivery_does_not_come_again
                answering_twice_changes_nothing
                after_the_last_attempt_it_is_given_up
            }
            publisher::bounds {
                a_slow_subscriber_loses_only_its_own_and_learns_how_many
                a_slow_group_learns_how_many_it_lost
                subscriptions_out_of_bounds_are_invalid_input_naming_the_field
                where_a_subscription_may_begin_agrees_with_the_capabilities
            }
            publisher::lifecycle {
                a_waiting_subscriber_is_woken
                a_dropped_wait_loses_nothing
                has_subscribers_follows_those_who_come_and_go
                disconnect_ends_streams_after_what_was_accepted
                after_disconnect_calls_are_unavailable_and_not_applied
                ping_answers_or_is_unsupported
            }
        }
    };
}

/// Every case of the publisher, as data.
pub static CASES: &[Case<dyn PublisherFixture>] = __publisher_cases! { __case_table () };

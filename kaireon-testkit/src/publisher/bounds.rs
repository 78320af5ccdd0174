//! What a subscription may ask for, and what a slow one costs.

use std::time::Duration;

use kaireon_core::ErrorKind;
use kaireon_core::publisher::{StartAt, Subscription};
use kaireon_core::time::from_millis;

use super::fixture::{PublisherFixture, Stage, topic};

/// A backend that keeps what waits elsewhere loses nothing; none loses in silence.
pub async fn a_slow_subscriber_loses_only_its_own_and_learns_how_many(fixture: &dyn PublisherFixture) {
    let stage = Stage::open(fixture).await;
    let topic = topic("slow");
    let mut subscription = Subscription::to([topic.clone()]);
    subscription.max_pending = 10;
    let mut slow = stage.subscribe(subscription).await;
    let mut fast = stage.subscribe(Subscription::to([topic.clone()])).await;
    for number in 0..100 {
        stage.publish(&topic, number).await;
        assert_eq!(stage.receive(&mut fast, 1).await, [number]);
    }
    let (numbers, lost) = stage.drain(&mut slow).await;
    assert_eq!(
        numbers.len() as u64 + lost,
        100,
        "received and lost do not add up"
    );
    assert!(numbers.is_sorted() && numbers.len() >= 10);
    // It goes on with what comes now.
    stage.publish(&topic, 100).await;
    assert_eq!(stage.receive(&mut slow, 1).await, [100]);
}

/// Once, whichever member it is told.
pub async fn a_slow_group_learns_how_many_it_lost(fixture: &dyn PublisherFixture) {
    let stage = Stage::open(fixture).await;
    if !stage.can(stage.can.groups, "groups") {
        return;
    }
    let topic = topic("slow-group");
    let mut subscription = Subscription::to([topic.clone()]).in_group("g");
    subscription.max_pending = 10;
    let mut members = [
        stage.subscribe(subscription.clone()).await,
        stage.subscribe(subscription).await,
    ];
    stage.publish_all(&topic, 0..100).await;
    let (mut received, mut lost) = (0, 0);
    for member in &mut members {
        let (numbers, few) = stage.drain(member).await;
        received += numbers.len() as u64;
        lost += few;
    }
    assert_eq!(received + lost, 100, "{received} received, {lost} lost");
}

/// Before anything is done.
pub async fn subscriptions_out_of_bounds_are_invalid_input_naming_the_field(fixture: &dyn PublisherFixture) {
    let stage = Stage::open(fixture).await;
    let good = Subscription::to([topic("bounds")]);
    let wrong = [
        (
            Subscription {
                topics: Vec::new(),
                ..good.clone()
            },
            "topics",
        ),
        (good.clone().in_group(""), "group"),
        (good.clone().in_group("a\0b"), "group"),
        (
            Subscription {
                max_pending: 0,
                ..good.clone()
            },
            "max_pending",
        ),
        (
            Subscription {
                ack_timeout: Duration::ZERO,
                ..good.clone()
            },
            "ack_timeout",
        ),
        (
            Subscription {
                max_attempts: 0,
                ..good
            },
            "max_attempts",
        ),
    ];
    for (subscription, field) in wrong {
        let error = stage.publisher.subscribe(subscription).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.field()),
            (ErrorKind::InvalidInput, Some(field))
        );
    }
}

/// A backend that keeps nothing says so.
pub async fn where_a_subscription_may_begin_agrees_with_the_capabilities(fixture: &dyn PublisherFixture) {
    let stage = Stage::open(fixture).await;
    for start in [
        StartAt::Earliest,
        StartAt::Time(from_millis(1_700_000_000_000).unwrap()),
    ] {
        let subscription = Subscription {
            start,
            ..Subscription::to([topic("start")])
        };
        match stage.publisher.subscribe(subscription).await {
            Ok(_) => assert!(stage.can.replay, "{start:?} was taken"),
            Err(error) => {
                assert!(!stage.can.replay);
                assert_eq!(error.kind(), ErrorKind::Unsupported);
            }
        }
    }
}

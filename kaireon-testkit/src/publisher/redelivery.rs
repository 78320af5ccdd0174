//! What is not acknowledged comes again.

use std::time::Duration;

use kaireon_core::publisher::Subscription;

use super::fixture::{PublisherFixture, Stage, number, topic};

/// At once, not after the timeout.
pub async fn a_nacked_delivery_comes_again_with_the_next_attempt(fixture: &dyn PublisherFixture) {
    let stage = Stage::open(fixture).await;
    if !stage.can(stage.can.redelivers, "redelivery") {
        return;
    }
    let topic = topic("nack");
    let mut subscription = Subscription::to([topic.clone()]);
    subscription.ack_timeout = Duration::from_secs(600);
    let mut subscriber = stage.subscribe(subscription).await;
    stage.publish(&topic, 1).await;
    for attempt in 1..4 {
        let mut delivery = stage.next(&mut subscriber).await;
        assert_eq!((number(&delivery), delivery.attempt()), (1, attempt));
        delivery.nack().await.unwrap();
    }
    let mut delivery = stage.next(&mut subscriber).await;
    assert_eq!(delivery.attempt(), 4);
    delivery.ack().await.unwrap();
    stage.silent(&mut subscriber).await;
}

/// As if it had been nacked.
pub async fn a_dropped_delivery_comes_again(fixture: &dyn PublisherFixture) {
    let stage = Stage::open(fixture).await;
    if !stage.can(stage.can.redelivers, "redelivery") {
        return;
    }
    let topic = topic("dropped");
    let mut subscriber = stage.subscribe(Subscription::to([topic.clone()])).await;
    stage.publish(&topic, 1).await;
    drop(stage.next(&mut subscriber).await);
    let mut delivery = stage.next(&mut subscriber).await;
    assert_eq!((number(&delivery), delivery.attempt()), (1, 2));
    delivery.ack().await.unwrap();
    stage.silent(&mut subscriber).await;
}

/// Also to a subscriber that only waits.
pub async fn an_unacknowledged_delivery_comes_again_after_its_timeout(fixture: &dyn PublisherFixture) {
    let stage = Stage::open(fixture).await;
    if !stage.can(stage.can.redelivers, "redelivery") {
        return;
    }
    let topic = topic("timeout");
    let mut subscription = Subscription::to([topic.clone()]);
    subscription.ack_timeout = fixture.ack_timeout();
    let mut subscriber = stage.subscribe(subscription).await;
    stage.publish(&topic, 1).await;
    let started = std::time::Instant::now();
    let mut late = stage.next(&mut subscriber).await;
    let mut delivery = stage.next(&mut subscriber).await;
    assert!(
        started.elapsed() >= fixture.ack_timeout(),
        "it came before its timeout"
    );
    assert_eq!((number(&delivery), delivery.attempt()), (1, 2));
    // The answer to the first one comes too late, and changes nothing.
    late.nack().await.unwrap();
    delivery.ack().await.unwrap();
    stage.silent(&mut subscriber).await;
}

/// A member that hangs holds nothing for longer than the timeout, though it stays in the group.
pub async fn a_delivery_stuck_with_one_member_reaches_another(fixture: &dyn PublisherFixture) {
    let stage = Stage::open(fixture).await;
    if !stage.can(stage.can.redelivers && stage.can.groups, "redelivery in groups") {
        return;
    }
    let topic = topic("stuck");
    let mut subscription = Subscription::to([topic.clone()]).in_group("g");
    subscription.ack_timeout = fixture.ack_timeout();
    let mut stuck = stage.subscribe(subscription.clone()).await;
    stage.publish(&topic, 1).await;
    let held = stage.next(&mut stuck).await;
    let mut other = stage.subscribe(subscription).await;
    let mut delivery = stage.next(&mut other).await;
    assert_eq!((number(&delivery), delivery.attempt()), (1, 2));
    delivery.ack().await.unwrap();
    drop(held);
    stage.silent(&mut other).await;
}

/// Not even after the timeout.
pub async fn an_acknowledged_delivery_does_not_come_again(fixture: &dyn PublisherFixture) {
    let stage = Stage::open(fixture).await;
    let topic = topic("acked");
    let mut subscription = Subscription::to([topic.clone()]);
    subscription.ack_timeout = fixture.ack_timeout();
    let mut subscriber = stage.subscribe(subscription).await;
    stage.publish_all(&topic, 0..5).await;
    assert_eq!(stage.receive(&mut subscriber, 5).await, [0, 1, 2, 3, 4]);
    tokio::time::sleep(fixture.ack_timeout() * 2).await;
    stage.silent(&mut subscriber).await;
}

/// The first answer that got through counts.
pub async fn answering_twice_changes_nothing(fixture: &dyn PublisherFixture) {
    let stage = Stage::open(fixture).await;
    let topic = topic("twice");
    let mut subscriber = stage.subscribe(Subscription::to([topic.clone()])).await;
    stage.publish(&topic, 1).await;
    let mut delivery = stage.next(&mut subscriber).await;
    delivery.ack().await.unwrap();
    delivery.ack().await.unwrap();
    delivery.nack().await.unwrap();
    drop(delivery);
    stage.silent(&mut subscriber).await;
}

/// And what comes behind it is delivered.
pub async fn after_the_last_attempt_it_is_given_up(fixture: &dyn PublisherFixture) {
    let stage = Stage::open(fixture).await;
    if !stage.can(stage.can.redelivers, "redelivery") {
        return;
    }
    let topic = topic("given-up");
    let mut subscription = Subscription::to([topic.clone()]);
    subscription.max_attempts = 3;
    let mut subscriber = stage.subscribe(subscription).await;
    stage.publish(&topic, 1).await;
    for attempt in 1..=3 {
        let mut delivery = stage.next(&mut subscriber).await;
        assert_eq!((number(&delivery), delivery.attempt()), (1, attempt));
        delivery.nack().await.unwrap();
    }
    stage.silent(&mut subscriber).await;
    stage.publish(&topic, 2).await;
    assert_eq!(stage.receive(&mut subscriber, 1).await, [2]);
}

//! The members of a group share deliveries.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kaireon_core::ErrorKind;
use kaireon_core::publisher::Subscription;
use parking_lot::Mutex;
use tokio::time::timeout;

use super::fixture::{PublisherFixture, Stage, number, sorted, topic};

/// Never to two.
pub async fn each_event_goes_to_one_member(fixture: &dyn PublisherFixture) {
    let stage = Stage::open(fixture).await;
    if !stage.can(stage.can.groups, "groups") {
        return;
    }
    let topic = topic("one-member");
    let mut members = Vec::new();
    for _ in 0..3 {
        members.push(
            stage
                .subscribe(Subscription::to([topic.clone()]).in_group("g"))
                .await,
        );
    }
    stage.publish_all(&topic, 0..60).await;
    let mut numbers = Vec::new();
    for member in &mut members {
        numbers.extend(stage.drain(member).await.0);
    }
    assert_eq!(sorted(numbers), (0..60).collect::<Vec<_>>());
}

/// One group takes nothing from another.
pub async fn each_group_receives_everything(fixture: &dyn PublisherFixture) {
    let stage = Stage::open(fixture).await;
    if !stage.can(stage.can.groups, "groups") {
        return;
    }
    let topic = topic("two-groups");
    let subscription = Subscription::to([topic.clone()]);
    let mut one = stage.subscribe(subscription.clone().in_group("one")).await;
    let mut two = stage.subscribe(subscription.in_group("two")).await;
    stage.publish_all(&topic, 0..20).await;
    for member in [&mut one, &mut two] {
        let numbers = stage.receive(member, 20).await;
        assert_eq!(sorted(numbers), (0..20).collect::<Vec<_>>());
        stage.silent(member).await;
    }
}

/// Nor from those without one.
pub async fn a_group_takes_nothing_from_a_lone_subscriber(fixture: &dyn PublisherFixture) {
    let stage = Stage::open(fixture).await;
    if !stage.can(stage.can.groups, "groups") {
        return;
    }
    let topic = topic("beside");
    let mut lone = stage.subscribe(Subscription::to([topic.clone()])).await;
    let mut member = stage
        .subscribe(Subscription::to([topic.clone()]).in_group("g"))
        .await;
    stage.publish_all(&topic, 0..20).await;
    assert_eq!(
        sorted(stage.receive(&mut lone, 20).await),
        (0..20).collect::<Vec<_>>()
    );
    assert_eq!(
        sorted(stage.receive(&mut member, 20).await),
        (0..20).collect::<Vec<_>>()
    );
}

/// And what it had not taken yet.
pub async fn a_member_that_leaves_hands_over_what_it_had_not_acknowledged(fixture: &dyn PublisherFixture) {
    let stage = Stage::open(fixture).await;
    if !stage.can(stage.can.groups && stage.can.redelivers, "redelivery in groups") {
        return;
    }
    let topic = topic("leaves");
    let mut subscription = Subscription::to([topic.clone()]).in_group("g");
    subscription.ack_timeout = Duration::from_secs(600);
    let mut leaving = stage.subscribe(subscription.clone()).await;
    let mut held = Vec::new();
    stage.publish_all(&topic, 0..20).await;
    let mut acknowledged = stage.receive(&mut leaving, 3).await;
    for _ in 0..5 {
        held.push(stage.next(&mut leaving).await);
    }
    let mut staying = stage.subscribe(subscription).await;
    drop(leaving);
    acknowledged.extend(stage.receive(&mut staying, 17).await);
    assert_eq!(sorted(acknowledged), (0..20).collect::<Vec<_>>());
    // An answer of the member that left changes nothing any more.
    for mut delivery in held {
        delivery.nack().await.unwrap();
    }
    stage.silent(&mut staying).await;
}

/// Members on tasks of their own, while it is being published.
pub async fn concurrent_members_neither_lose_nor_repeat(fixture: &dyn PublisherFixture) {
    let stage = Stage::open(fixture).await;
    if !stage.can(stage.can.groups, "groups") {
        return;
    }
    let topic = topic("members");
    let received = Arc::new(Mutex::new(BTreeMap::<u64, u32>::new()));
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let mut subscription = Subscription::to([topic.clone()]).in_group("g");
        subscription.max_pending = 10_000;
        let mut member = stage.subscribe(subscription).await;
        let (received, silence) = (Arc::clone(&received), fixture.silence() * 4);
        tasks.push(tokio::spawn(async move {
            while let Ok(Ok(Some(mut delivery))) = timeout(silence, member.next_delivery()).await {
                *received.lock().entry(number(&delivery)).or_default() += 1;
                delivery.ack().await.unwrap();
            }
        }));
    }
    stage.publish_all(&topic, 0..2_000).await;
    for task in tasks {
        task.await.unwrap();
    }
    let received = received.lock();
    assert_eq!(received.len(), 2_000);
    assert!(
        received.values().all(|&times| times == 1),
        "an event went to two members"
    );
}

/// A backend without them says so when asked.
pub async fn groups_agree_with_the_capabilities(fixture: &dyn PublisherFixture) {
    let stage = Stage::open(fixture).await;
    let member = stage
        .publisher
        .subscribe(Subscription::to([topic("agree")]).in_group("g"))
        .await;
    assert_eq!(member.is_ok(), stage.can.groups);
    if let Err(error) = member {
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
}

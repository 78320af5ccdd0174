//! What is published arrives, where it was asked for.

use std::sync::Arc;

use kaireon_core::publisher::Subscription;

use super::fixture::{PublisherFixture, Stage, event, sorted, topic};
use crate::world::together;

/// Byte for byte.
pub async fn an_event_arrives_as_it_was_published(fixture: &dyn PublisherFixture) {
    let stage = Stage::open(fixture).await;
    let topic = topic("as-it-was");
    let mut subscriber = stage.subscribe(Subscription::to([topic.clone()])).await;
    let event = event(&topic, 7);
    stage.publisher.publish(event.clone()).await.unwrap();
    let mut delivery = stage.next(&mut subscriber).await;
    assert_eq!(delivery.event().envelope(), event.envelope());
    assert_eq!((delivery.event().id(), delivery.attempt()), (event.id(), 1));
    assert_eq!(delivery.event().event_type(), &topic);
    delivery.ack().await.unwrap();
    stage.silent(&mut subscriber).await;
}

/// Each its own copy.
pub async fn every_subscriber_receives_every_event(fixture: &dyn PublisherFixture) {
    let stage = Stage::open(fixture).await;
    let topic = topic("every");
    let mut subscribers = Vec::new();
    for _ in 0..3 {
        subscribers.push(stage.subscribe(Subscription::to([topic.clone()])).await);
    }
    stage.publish_all(&topic, 0..20).await;
    for subscriber in &mut subscribers {
        let numbers = stage.receive(subscriber, 20).await;
        assert_eq!(sorted(numbers), (0..20).collect::<Vec<_>>());
        stage.silent(subscriber).await;
    }
}

/// Only what was asked for.
pub async fn other_topics_are_not_received(fixture: &dyn PublisherFixture) {
    let stage = Stage::open(fixture).await;
    let (asked, other) = (topic("asked"), topic("other"));
    let mut subscriber = stage.subscribe(Subscription::to([asked.clone()])).await;
    stage.publish(&other, 1).await;
    stage.publish(&asked, 2).await;
    stage.publish(&other, 3).await;
    assert_eq!(stage.receive(&mut subscriber, 1).await, [2]);
    stage.silent(&mut subscriber).await;
}

/// All that were asked for.
pub async fn one_subscription_receives_several_topics(fixture: &dyn PublisherFixture) {
    let stage = Stage::open(fixture).await;
    let (one, two) = (topic("one"), topic("two"));
    let mut subscriber = stage
        .subscribe(Subscription::to([one.clone(), two.clone()]))
        .await;
    for number in 0..10 {
        stage
            .publish(if number % 2 == 0 { &one } else { &two }, number)
            .await;
    }
    let numbers = stage.receive(&mut subscriber, 10).await;
    assert_eq!(sorted(numbers), (0..10).collect::<Vec<_>>());
    stage.silent(&mut subscriber).await;
}

/// Naming it twice asks for it once.
pub async fn a_topic_named_twice_is_delivered_once(fixture: &dyn PublisherFixture) {
    let stage = Stage::open(fixture).await;
    let topic = topic("twice");
    let mut subscriber = stage
        .subscribe(Subscription::to([topic.clone(), topic.clone()]))
        .await;
    stage.publish(&topic, 1).await;
    assert_eq!(stage.receive(&mut subscriber, 1).await, [1]);
    stage.silent(&mut subscriber).await;
}

/// A subscription begins when it is made.
pub async fn what_was_published_before_is_not_received(fixture: &dyn PublisherFixture) {
    let stage = Stage::open(fixture).await;
    let topic = topic("before");
    let mut early = stage.subscribe(Subscription::to([topic.clone()])).await;
    stage.publish(&topic, 1).await;
    let mut late = stage.subscribe(Subscription::to([topic.clone()])).await;
    stage.publish(&topic, 2).await;
    assert_eq!(stage.receive(&mut early, 2).await, [1, 2]);
    assert_eq!(stage.receive(&mut late, 1).await, [2]);
    stage.silent(&mut late).await;
}

/// In the order of publishing, for one subscriber.
pub async fn events_of_one_key_arrive_in_order(fixture: &dyn PublisherFixture) {
    let stage = Stage::open(fixture).await;
    if !stage.can(stage.can.ordered, "order of one key") {
        return;
    }
    let topic = topic("order");
    let mut subscriber = stage.subscribe(Subscription::to([topic.clone()])).await;
    stage.publish_all(&topic, 0..200).await;
    assert_eq!(
        stage.receive(&mut subscriber, 200).await,
        (0..200).collect::<Vec<_>>()
    );
}

/// With an outcome for each.
pub async fn a_batch_arrives_whole_and_in_order(fixture: &dyn PublisherFixture) {
    let stage = Stage::open(fixture).await;
    let (one, two) = (topic("batch-one"), topic("batch-two"));
    let mut first = stage.subscribe(Subscription::to([one.clone()])).await;
    let mut second = stage.subscribe(Subscription::to([two.clone()])).await;
    let events: Vec<_> = (0..100)
        .map(|number| event(if number % 3 == 0 { &two } else { &one }, number))
        .collect();
    let outcome = stage.publisher.publish_batch(events).await.unwrap();
    assert_eq!(outcome.items().len(), 100);
    assert!(outcome.is_complete());
    let numbers = |third: bool| {
        (0..100)
            .filter(|number| (number % 3 == 0) == third)
            .collect::<Vec<u64>>()
    };
    let mut received = [
        stage.receive(&mut first, 66).await,
        stage.receive(&mut second, 34).await,
    ];
    if !stage.can(stage.can.ordered, "order of a batch") {
        received = received.map(sorted);
    }
    assert_eq!(received, [numbers(false), numbers(true)]);
    stage.silent(&mut first).await;
}

/// No outcomes, and no error.
pub async fn an_empty_batch_is_empty(fixture: &dyn PublisherFixture) {
    let stage = Stage::open(fixture).await;
    let outcome = stage.publisher.publish_batch(Vec::new()).await.unwrap();
    assert!(outcome.items().is_empty() && outcome.is_complete());
}

/// Eight tasks that publish at the same time.
pub async fn concurrent_publishers_lose_nothing(fixture: &dyn PublisherFixture) {
    let stage = Stage::open(fixture).await;
    let topic = topic("concurrent");
    let mut subscribers = Vec::new();
    for _ in 0..2 {
        let mut subscription = Subscription::to([topic.clone()]);
        subscription.max_pending = 10_000;
        subscribers.push(stage.subscribe(subscription).await);
    }
    let publishing = (0..8).map(|task| {
        let (publisher, topic) = (Arc::clone(&stage.publisher), topic.clone());
        async move {
            for number in 0..100 {
                publisher
                    .publish(event(&topic, task * 1_000 + number))
                    .await
                    .unwrap();
            }
        }
    });
    together(publishing).await;
    let published: Vec<u64> = (0..8)
        .flat_map(|task| (0..100).map(move |number| task * 1_000 + number))
        .collect();
    for subscriber in &mut subscribers {
        let numbers = stage.receive(subscriber, 800).await;
        for task in 0..8 {
            let own = numbers.iter().filter(|&&number| number / 1_000 == task);
            assert!(
                !stage.can.ordered || own.is_sorted(),
                "the events of task {task} are out of order"
            );
        }
        assert_eq!(sorted(numbers), published);
    }
}

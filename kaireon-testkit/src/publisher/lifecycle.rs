//! Waiting, leaving, and the end.

use std::sync::Arc;
use std::time::Duration;

use kaireon_core::publisher::Subscription;
use kaireon_core::{Effect, ErrorKind};
use tokio::time::timeout;

use super::fixture::{PublisherFixture, Stage, event, number, topic};

/// However often it was idle before.
pub async fn a_waiting_subscriber_is_woken(fixture: &dyn PublisherFixture) {
    let stage = Stage::open(fixture).await;
    let topic = topic("woken");
    let mut subscriber = stage.subscribe(Subscription::to([topic.clone()])).await;
    let reader = tokio::spawn(async move {
        let mut numbers = Vec::new();
        while numbers.len() < 5 {
            let mut delivery = subscriber.next_delivery().await.unwrap().unwrap();
            numbers.push(number(&delivery));
            delivery.ack().await.unwrap();
        }
        numbers
    });
    for number in 0..5 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        stage.publish(&topic, number).await;
    }
    let numbers = timeout(fixture.patience(), reader)
        .await
        .expect("it must be woken")
        .unwrap();
    assert_eq!(numbers, [0, 1, 2, 3, 4]);
}

/// A reader in a `select!` gives up its wait again and again.
pub async fn a_dropped_wait_loses_nothing(fixture: &dyn PublisherFixture) {
    let stage = Stage::open(fixture).await;
    let topic = topic("dropped-wait");
    let mut subscriber = stage.subscribe(Subscription::to([topic.clone()])).await;
    let publisher = Arc::clone(&stage.publisher);
    let publishing = tokio::spawn(async move {
        for number in 0..200 {
            publisher.publish(event(&topic, number)).await.unwrap();
            tokio::time::sleep(Duration::from_micros(300)).await;
        }
    });
    let mut numbers = Vec::new();
    let reading = async {
        while numbers.len() < 200 {
            if let Ok(delivery) = timeout(Duration::from_micros(200), subscriber.next_delivery()).await {
                let mut delivery = delivery.unwrap().unwrap();
                numbers.push(number(&delivery));
                delivery.ack().await.unwrap();
            }
        }
    };
    timeout(fixture.patience(), reading).await.expect("all must come");
    publishing.await.unwrap();
    assert_eq!(numbers, (0..200).collect::<Vec<_>>());
}

/// Where the backend knows.
pub async fn has_subscribers_follows_those_who_come_and_go(fixture: &dyn PublisherFixture) {
    let stage = Stage::open(fixture).await;
    let (asked, other) = (topic("somebody"), topic("nobody"));
    let before = stage.publisher.has_subscribers(&asked);
    if !stage.can(before.is_some(), "knowing who subscribes") {
        return;
    }
    assert_eq!(before, Some(false));
    let one = stage.subscribe(Subscription::to([asked.clone()])).await;
    let two = stage.subscribe(Subscription::to([asked.clone()])).await;
    assert_eq!(stage.publisher.has_subscribers(&asked), Some(true));
    assert_eq!(stage.publisher.has_subscribers(&other), Some(false));
    drop(one);
    assert_eq!(stage.publisher.has_subscribers(&asked), Some(true));
    drop(two);
    assert_eq!(stage.publisher.has_subscribers(&asked), Some(false));
}

/// What was accepted is delivered first.
pub async fn disconnect_ends_streams_after_what_was_accepted(fixture: &dyn PublisherFixture) {
    let stage = Stage::open(fixture).await;
    let topic = topic("end");
    let mut busy = stage.subscribe(Subscription::to([topic.clone()])).await;
    let mut idle = stage.subscribe(Subscription::to([self::topic("other")])).await;
    let waiting = tokio::spawn(async move { idle.next().await.is_none() });
    stage.publish_all(&topic, 0..10).await;
    stage.publisher.disconnect().await.unwrap();
    assert_eq!(stage.receive(&mut busy, 10).await, (0..10).collect::<Vec<_>>());
    let end = timeout(fixture.patience(), busy.next())
        .await
        .expect("the stream must end");
    assert!(end.is_none());
    let ended = timeout(fixture.patience(), waiting)
        .await
        .expect("a waiting reader must be told");
    assert!(ended.unwrap());
}

/// Also twice.
pub async fn after_disconnect_calls_are_unavailable_and_not_applied(fixture: &dyn PublisherFixture) {
    let stage = Stage::open(fixture).await;
    let topic = topic("after");
    stage.publisher.disconnect().await.unwrap();
    stage.publisher.disconnect().await.unwrap();
    let errors = [
        stage.publisher.publish(event(&topic, 1)).await.unwrap_err(),
        stage
            .publisher
            .subscribe(Subscription::to([topic.clone()]))
            .await
            .unwrap_err(),
        match stage.publisher.publish_batch(vec![event(&topic, 1)]).await {
            Err(error) => error,
            Ok(outcome) => outcome.into_values().unwrap_err(),
        },
    ];
    for error in errors {
        assert_eq!(
            (error.kind(), error.effect()),
            (ErrorKind::Unavailable, Effect::NotApplied)
        );
    }
    assert_ne!(stage.publisher.has_subscribers(&topic), Some(true));
}

/// Never anything else, while it is connected.
pub async fn ping_answers_or_is_unsupported(fixture: &dyn PublisherFixture) {
    let stage = Stage::open(fixture).await;
    if let Err(error) = stage.publisher.ping().await {
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        stage.can(false, "ping");
    }
}

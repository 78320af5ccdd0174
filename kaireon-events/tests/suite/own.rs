//! What the in-process publisher promises beyond the contract.

use std::time::Duration;

use kaireon_core::publisher::{Delivery, Signal, Subscriber, Subscription};
use kaireon_core::{ErrorKind, Event, EventPublisher, EventType};
use kaireon_events::{InProcessPublisher, InProcessPublisherConfig};
use tokio::time::{Instant, timeout};

fn topic(name: &str) -> EventType {
    EventType::new(name).unwrap()
}

fn publisher() -> InProcessPublisher {
    InProcessPublisher::new(InProcessPublisherConfig::default()).unwrap()
}

async fn publish(publisher: &InProcessPublisher, topic: &str, number: u64) {
    publisher
        .publish(Event::new(topic, &number).unwrap())
        .await
        .unwrap();
}

fn number(delivery: &Delivery) -> u64 {
    delivery.event().payload().unwrap()
}

async fn next(subscriber: &mut Subscriber) -> Signal {
    timeout(Duration::from_secs(3_600), subscriber.next())
        .await
        .unwrap()
        .unwrap()
        .unwrap()
}

async fn delivery(subscriber: &mut Subscriber) -> Delivery {
    match next(subscriber).await {
        Signal::Delivery(delivery) => delivery,
        other => panic!("{other:?}"),
    }
}

fn subscription(topics: &[&str]) -> Subscription {
    Subscription::to(topics.iter().map(|name| topic(name)))
}

#[tokio::test(start_paused = true)]
async fn an_unacknowledged_delivery_comes_again_at_its_timeout_and_not_before() {
    let publisher = publisher();
    let mut subscription = subscription(&["t"]);
    subscription.ack_timeout = Duration::from_secs(30);
    let mut subscriber = publisher.subscribe(subscription).await.unwrap();
    publish(&publisher, "t", 1).await;
    let _held = delivery(&mut subscriber).await;
    let started = Instant::now();
    assert_eq!(delivery(&mut subscriber).await.attempt(), 2);
    let waited = started.elapsed();
    assert!(
        waited >= Duration::from_secs(30) && waited < Duration::from_millis(30_010),
        "{waited:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_idle_member_watches_deliveries_that_others_take_while_it_sleeps() {
    let publisher = publisher();
    let mut long = subscription(&["t"]).in_group("g");
    long.ack_timeout = Duration::from_secs(600);
    let mut short = long.clone();
    short.ack_timeout = Duration::from_secs(5);
    let mut idle = publisher.subscribe(long).await.unwrap();
    let waiting = tokio::spawn(async move { delivery(&mut idle).await.attempt() });
    tokio::time::sleep(Duration::from_secs(60)).await;
    let mut stuck = publisher.subscribe(short).await.unwrap();
    // Polled before the idle one is woken, so that it is the one that gets it.
    publish(&publisher, "t", 1).await;
    let held = delivery(&mut stuck).await;
    let started = Instant::now();
    assert_eq!(waiting.await.unwrap(), 2);
    assert!(
        started.elapsed() <= Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn a_member_that_was_woken_and_does_not_look_keeps_nothing_from_the_others() {
    let publisher = publisher();
    let group = subscription(&["t"]).in_group("g");
    let mut careless = publisher.subscribe(group.clone()).await.unwrap();
    let mut waiting = publisher.subscribe(group).await.unwrap();
    // It waits, gives up, and never looks again, but stays in the group.
    assert!(timeout(Duration::from_millis(1), careless.next()).await.is_err());
    let reader = tokio::spawn(async move { number(&delivery(&mut waiting).await) });
    tokio::time::sleep(Duration::from_millis(1)).await;
    publish(&publisher, "t", 7).await;
    let published = Instant::now();
    assert_eq!(reader.await.unwrap(), 7);
    // Not by the timer with which idle members watch each other.
    assert!(
        published.elapsed() < Duration::from_secs(1),
        "{:?}",
        published.elapsed()
    );
    drop(careless);
}

#[tokio::test]
async fn what_was_delivered_and_not_acknowledged_counts_against_the_bound() {
    let publisher = publisher();
    let mut bounded = subscription(&["t"]);
    bounded.max_pending = 3;
    let mut subscriber = publisher.subscribe(bounded).await.unwrap();
    let mut held = Vec::new();
    for number in 0..3 {
        publish(&publisher, "t", number).await;
        held.push(delivery(&mut subscriber).await);
    }
    publish(&publisher, "t", 3).await;
    publish(&publisher, "t", 4).await;
    assert!(matches!(next(&mut subscriber).await, Signal::Lost(2)));
    held[0].ack().await.unwrap();
    publish(&publisher, "t", 5).await;
    assert_eq!(number(&delivery(&mut subscriber).await), 5);
    assert_eq!(publisher.stats().lost, 2);
}

#[tokio::test]
async fn a_loss_is_told_at_its_place_in_the_stream() {
    let publisher = publisher();
    let mut bounded = subscription(&["t"]);
    bounded.max_pending = 2;
    let mut subscriber = publisher.subscribe(bounded).await.unwrap();
    for number in 0..5 {
        publish(&publisher, "t", number).await;
    }
    for expected in [0, 1] {
        let mut delivery = delivery(&mut subscriber).await;
        assert_eq!(number(&delivery), expected);
        delivery.ack().await.unwrap();
    }
    publish(&publisher, "t", 5).await;
    assert!(matches!(next(&mut subscriber).await, Signal::Lost(3)));
    assert_eq!(number(&delivery(&mut subscriber).await), 5);
}

#[tokio::test]
async fn a_lone_subscriber_receives_all_of_its_topics_in_one_order() {
    let publisher = publisher();
    let mut subscriber = publisher.subscribe(subscription(&["a", "b"])).await.unwrap();
    for number in 0..50 {
        publish(&publisher, if number % 3 == 0 { "a" } else { "b" }, number).await;
    }
    for expected in 0..50 {
        assert_eq!(number(&delivery(&mut subscriber).await), expected);
        // Dropped: it comes again first, and is acknowledged then.
        let mut again = delivery(&mut subscriber).await;
        assert_eq!((number(&again), again.attempt()), (expected, 2));
        again.ack().await.unwrap();
    }
}

#[tokio::test]
async fn members_of_a_group_with_other_topics_are_unsupported_only_where_they_overlap() {
    let publisher = publisher();
    let _member = publisher
        .subscribe(subscription(&["a", "b"]).in_group("g"))
        .await
        .unwrap();
    let error = publisher
        .subscribe(subscription(&["b", "c"]).in_group("g"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let _same = publisher
        .subscribe(subscription(&["b", "a", "a"]).in_group("g"))
        .await
        .unwrap();
    let mut apart = publisher
        .subscribe(subscription(&["c"]).in_group("g"))
        .await
        .unwrap();
    publish(&publisher, "c", 1).await;
    assert_eq!(number(&delivery(&mut apart).await), 1);
}

#[tokio::test]
async fn the_last_member_takes_its_group_with_it() {
    let publisher = publisher();
    let member = publisher
        .subscribe(subscription(&["t"]).in_group("g"))
        .await
        .unwrap();
    publish(&publisher, "t", 1).await;
    drop(member);
    assert_eq!(publisher.has_subscribers(&topic("t")), Some(false));
    let mut next = publisher
        .subscribe(subscription(&["t"]).in_group("g"))
        .await
        .unwrap();
    publish(&publisher, "t", 2).await;
    assert_eq!(number(&delivery(&mut next).await), 2);
}

#[tokio::test]
async fn what_is_given_up_is_counted_and_makes_room() {
    let publisher = publisher();
    let mut once = subscription(&["t"]);
    (once.max_attempts, once.max_pending) = (1, 1);
    let mut subscriber = publisher.subscribe(once).await.unwrap();
    for expected in 0..3 {
        publish(&publisher, "t", expected).await;
        assert_eq!(number(&delivery(&mut subscriber).await), expected);
    }
    let stats = publisher.stats();
    assert_eq!((stats.given_up, stats.lost), (3, 0));
}

#[tokio::test]
async fn dropping_the_publisher_ends_the_streams() {
    let publisher = publisher();
    let mut subscriber = publisher.subscribe(subscription(&["t"])).await.unwrap();
    publish(&publisher, "t", 1).await;
    drop(publisher);
    assert_eq!(number(&delivery(&mut subscriber).await), 1);
    let mut again = delivery(&mut subscriber).await;
    again.ack().await.unwrap();
    assert!(subscriber.next().await.is_none() && subscriber.next().await.is_none());
}

#[tokio::test]
async fn a_subscription_above_the_publisher_s_bound_is_invalid_input() {
    let publisher =
        InProcessPublisher::new(InProcessPublisherConfig::default().with_max_pending(10)).unwrap();
    let mut large = subscription(&["t"]);
    large.max_pending = 11;
    let error = publisher.subscribe(large).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.field()),
        (ErrorKind::InvalidInput, Some("max_pending"))
    );
}

#[tokio::test]
async fn a_loop_that_publishes_lets_a_subscriber_on_the_same_thread_run() {
    let publisher = publisher();
    let mut subscriber = publisher.subscribe(subscription(&["t"])).await.unwrap();
    let reader = tokio::spawn(async move {
        let mut received = 0;
        while received < 20_000 {
            delivery(&mut subscriber).await.ack().await.unwrap();
            received += 1;
        }
    });
    let event = Event::new("t", &0).unwrap();
    for _ in 0..20_000 {
        publisher.publish(event.clone()).await.unwrap();
    }
    reader.await.unwrap();
    assert_eq!(publisher.stats().lost, 0);
}

#[tokio::test]
async fn the_longest_ack_timeout_does_not_overflow() {
    let publisher = publisher();
    let mut patient = subscription(&["t"]);
    patient.ack_timeout = Duration::MAX;
    let mut subscriber = publisher.subscribe(patient).await.unwrap();
    publish(&publisher, "t", 1).await;
    let _held = delivery(&mut subscriber).await;
    assert!(
        timeout(Duration::from_millis(10), subscriber.next())
            .await
            .is_err()
    );
}

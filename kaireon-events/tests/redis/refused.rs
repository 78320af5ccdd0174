//! What the server, or the publisher before it, does not take.

use kaireon_core::publisher::{StartAt, Subscription};
use kaireon_core::store::ItemOutcome;
use kaireon_core::{Effect, ErrorKind, Event, EventPublisher};
use kaireon_events::RedisPublisher;

use crate::fixture::{error_of, event, next_number, patient, publisher, server, topic};

fn keyed(topic: &str, number: u64, key: &str) -> Event {
    event(topic, number).with_key(key).unwrap()
}

fn shown(items: &[ItemOutcome<()>]) -> Vec<String> {
    let each = items.iter().map(|item| match item {
        ItemOutcome::Done(()) => "done".to_owned(),
        ItemOutcome::Failed(error) => format!("{:?}", error.kind()),
        ItemOutcome::NotAttempted => "not attempted".to_owned(),
    });
    each.collect()
}

#[tokio::test]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn in_a_batch_what_follows_a_refused_event_of_its_key_is_not_attempted() {
    let server = server().await;
    server
        .ask(&["ACL", "SETUSER", "default", "resetchannels", "&open.*"])
        .await
        .unwrap();
    let publisher = publisher(server.url()).await;
    let open = Subscription::to([topic("open.v1")]);
    let mut subscriber = publisher.subscribe(open).await.unwrap();
    let batch = vec![
        keyed("open.v1", 1, "a"),
        keyed("shut.v1", 2, "a"),
        keyed("open.v1", 3, "a"),
        keyed("open.v1", 4, "b"),
        event("shut.v1", 5),
        event("open.v1", 6),
    ];
    let outcome = publisher.publish_batch(batch).await.unwrap();
    let expected = [
        "done",
        "Unauthorized",
        "not attempted",
        "done",
        "Unauthorized",
        "done",
    ];
    assert_eq!(shown(outcome.items()), expected);
    let refused = error_of(&outcome.items()[1]);
    assert_eq!(
        (refused.effect(), refused.is_transient()),
        (Effect::NotApplied, false)
    );
    for number in [1, 4, 6] {
        assert_eq!(next_number(&mut subscriber).await, number);
    }
    let errors = [
        publisher.publish(event("shut.v1", 7)).await.unwrap_err(),
        publisher
            .subscribe(Subscription::to([topic("shut.v1")]))
            .await
            .unwrap_err(),
    ];
    for error in errors {
        assert_eq!(
            (error.kind(), error.effect()),
            (ErrorKind::Unauthorized, Effect::NotApplied)
        );
    }
}

#[tokio::test]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn an_event_that_is_too_large_is_refused_alone_and_holds_up_its_key() {
    let server = server().await;
    let config = patient(server.url()).with_max_event_bytes(1_000);
    let publisher = RedisPublisher::connect(config).await.unwrap();
    let large = Event::new("t", &"x".repeat(1_000))
        .unwrap()
        .with_key("a")
        .unwrap();
    let error = publisher.publish(large.clone()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.field()),
        (ErrorKind::InvalidInput, Some("envelope"))
    );
    let mut subscriber = publisher.subscribe(Subscription::to([topic("t")])).await.unwrap();
    let batch = vec![keyed("t", 1, "a"), large, keyed("t", 2, "a"), keyed("t", 3, "b")];
    let outcome = publisher.publish_batch(batch).await.unwrap();
    assert_eq!(
        shown(outcome.items()),
        ["done", "InvalidInput", "not attempted", "done"]
    );
    for number in [1, 3] {
        assert_eq!(next_number(&mut subscriber).await, number);
    }
}

#[tokio::test]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn a_batch_of_many_commands_keeps_its_order_and_stops_where_the_server_is_gone() {
    let mut server = server().await;
    let publisher = publisher(server.url()).await;
    let mut all = Subscription::to([topic("t")]);
    all.max_pending = 10_000;
    let mut subscriber = publisher.subscribe(all).await.unwrap();
    // More than a command takes by count, and then by bytes.
    let small = (0..1_500).map(|number| keyed("t", number, "a")).collect();
    assert!(publisher.publish_batch(small).await.unwrap().is_complete());
    let payload = |number: u64| (number, "x".repeat(300_000));
    let large = (0..10)
        .map(|number| Event::new("t", &payload(number)).unwrap())
        .collect();
    assert!(publisher.publish_batch(large).await.unwrap().is_complete());
    for number in 0..1_500 {
        assert_eq!(next_number(&mut subscriber).await, number);
    }
    for number in 0..10 {
        let delivery = crate::fixture::soon(subscriber.next_delivery())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            delivery.event().payload::<(u64, String)>().unwrap(),
            payload(number)
        );
    }
    server.kill().await.unwrap();
    let batch = (0..1_000).map(|number| keyed("t", number, "a")).collect();
    let outcome = publisher.publish_batch(batch).await.unwrap();
    let shown = shown(outcome.items());
    assert_eq!(shown[0], "Unavailable");
    assert!(
        shown[512..].iter().all(|outcome| outcome == "not attempted"),
        "{shown:?}"
    );
}

#[tokio::test]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn messages_of_others_that_are_no_event_of_their_channel_are_passed_over() {
    let server = server().await;
    let publisher = publisher(server.url()).await;
    let mut subscriber = publisher.subscribe(Subscription::to([topic("t")])).await.unwrap();
    let other = String::from_utf8(event("other", 1).envelope().to_vec()).unwrap();
    for message in ["hello", "", &other] {
        server.ask(&["PUBLISH", "t", message]).await.unwrap();
    }
    publisher.publish(event("t", 2)).await.unwrap();
    assert_eq!(next_number(&mut subscriber).await, 2);
    assert_eq!(publisher.stats().unreadable, 3);
}

#[tokio::test]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn what_only_a_stream_that_keeps_events_has_is_unsupported() {
    let server = server().await;
    let publisher = publisher(server.url()).await;
    let plain = Subscription::to([topic("t")]);
    let past = Subscription {
        start: StartAt::Earliest,
        ..plain.clone()
    };
    for subscription in [plain.clone().in_group("g"), past] {
        let error = publisher.subscribe(subscription).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
    let above = Subscription {
        max_pending: (1 << 20) + 1,
        ..plain
    };
    let error = publisher.subscribe(above).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.field()),
        (ErrorKind::InvalidInput, Some("max_pending"))
    );
}

//! Servers that are killed, connections that are cut or silent, and a subscriber that does not read.

use std::sync::Arc;
use std::time::Duration;

use kaireon_core::memory::MemoryStore;
use kaireon_core::outbox::{Lane, LaneSet};
use kaireon_core::publisher::{Signal, Subscriber, Subscription};
use kaireon_core::relay::{PublishSink, Relay, RelayConfig};
use kaireon_core::{Effect, ErrorKind, EventPublisher, EventType, Interaction, InteractionStore};
use kaireon_events::RedisPublisher;
use kaireon_testkit::proxy::Direction::ToClient;
use kaireon_testkit::proxy::{Cut, Flow, Link, Proxy, Rule, Unframed};
use kaireon_testkit::server::{RedisCluster, RedisSentinel};

use tokio::time::timeout;

use crate::fixture::{
    error_of, event, next_number, number, patient, programs, publisher, server, signal, soon, topic,
    until_published,
};

fn to(name: &str) -> Subscription {
    Subscription::to([topic(name)])
}

/// The next signal, which is a gap.
async fn gap(subscriber: &mut Subscriber) {
    let next = signal(subscriber).await;
    assert!(matches!(next, Signal::Gap), "{next:?}");
}

/// What is published from now on arrives, whatever came before.
async fn hears(publisher: &RedisPublisher, subscriber: &mut Subscriber, number: u64) {
    until_published(publisher, &event("t", number)).await;
    assert_eq!(next_number(subscriber).await, number);
}

/// The same where connections may break once more: it is published until it arrives.
async fn hears_again(publisher: &RedisPublisher, subscriber: &mut Subscriber, number: u64) {
    let hearing = async {
        loop {
            until_published(publisher, &event("t", number)).await;
            let pause = Duration::from_millis(200);
            if let Ok(Some(Ok(Signal::Delivery(delivery)))) = timeout(pause, subscriber.next()).await
                && self::number(&delivery) == number
            {
                return;
            }
        }
    };
    soon(hearing).await;
}

/// Takes what comes up to a gap.
async fn until_gap(subscriber: &mut Subscriber) {
    while !matches!(signal(subscriber).await, Signal::Gap) {}
}

#[tokio::test]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn a_subscription_outlives_its_server_and_tells_of_the_gap() {
    let mut server = server().await;
    let publisher = publisher(server.url()).await;
    let mut subscriber = publisher.subscribe(to("t")).await.unwrap();
    hears(&publisher, &mut subscriber, 1).await;
    server.kill().await.unwrap();
    let error = soon(publisher.publish(event("t", 2))).await.unwrap_err();
    assert!(
        error.kind() == ErrorKind::Unavailable && error.is_transient(),
        "{error:?}"
    );
    assert!(publisher.subscribe(to("t")).await.unwrap_err().is_transient());
    server.restart().await.unwrap();
    gap(&mut subscriber).await;
    hears(&publisher, &mut subscriber, 3).await;
    assert_eq!(publisher.stats().gaps, 1);
    publisher.disconnect().await.unwrap();
    assert!(soon(subscriber.next()).await.is_none());
}

#[tokio::test]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn a_disconnect_while_the_server_is_away_ends_the_streams_behind_a_gap() {
    let mut server = server().await;
    let publisher = publisher(server.url()).await;
    let mut subscriber = publisher.subscribe(to("t")).await.unwrap();
    server.kill().await.unwrap();
    soon(publisher.disconnect()).await.unwrap();
    gap(&mut subscriber).await;
    assert!(soon(subscriber.next()).await.is_none());
}

#[tokio::test]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn a_subscription_whose_connection_goes_silent_opens_another_one() {
    let server = server().await;
    let proxy = Proxy::start::<Unframed>(server.address()).await.unwrap();
    let direct = publisher(server.url()).await;
    let mut impatient = patient(proxy.in_url(&server.url()));
    impatient.connect.command_timeout = Duration::from_millis(200);
    let listening = RedisPublisher::connect(impatient).await.unwrap();
    let mut subscriber = soon(async {
        loop {
            // A busy machine may be too slow for that.
            match listening.subscribe(to("t")).await {
                Ok(subscriber) => return subscriber,
                Err(error) => assert!(error.is_transient(), "{error:?}"),
            }
        }
    })
    .await;
    hears_again(&direct, &mut subscriber, 1).await;
    let opened = proxy.accepted();
    let silent = Link {
        flow: Flow::Swallow,
        ..Link::default()
    };
    proxy.set(ToClient, silent);
    soon(async {
        while proxy.accepted() == opened {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    proxy.heal().await.unwrap();
    until_gap(&mut subscriber).await;
    hears_again(&direct, &mut subscriber, 2).await;
}

#[tokio::test]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn a_message_that_ends_half_way_is_a_gap() {
    let server = server().await;
    let proxy = Proxy::start::<Unframed>(server.address()).await.unwrap();
    let direct = publisher(server.url()).await;
    let listening = publisher(proxy.in_url(&server.url())).await;
    let mut subscriber = listening.subscribe(to("t")).await.unwrap();
    hears(&direct, &mut subscriber, 1).await;
    for (cut, number) in [(Cut::Fin, 2), (Cut::Reset, 3)] {
        let armed = proxy.arm(Rule::after_bytes(ToClient, 40).cut_after(cut));
        direct.publish(event("t", 100)).await.unwrap();
        soon(armed.fired()).await;
        gap(&mut subscriber).await;
        hears(&direct, &mut subscriber, number).await;
    }
    assert_eq!(listening.stats().unreadable, 0);
}

#[tokio::test]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn a_publish_whose_answer_is_cut_is_unknown_and_is_not_sent_again() {
    let server = server().await;
    let proxy = Proxy::start::<Unframed>(server.address()).await.unwrap();
    let direct = publisher(server.url()).await;
    let mut subscriber = direct.subscribe(to("t")).await.unwrap();
    let through = publisher(proxy.in_url(&server.url())).await;
    let cut = || proxy.arm(Rule::after_bytes(ToClient, 1).cut_before(Cut::Fin));
    let armed = cut();
    let error = through.publish(event("t", 1)).await.unwrap_err();
    soon(armed.fired()).await;
    assert_eq!(
        (error.kind(), error.effect()),
        (ErrorKind::Unavailable, Effect::Unknown)
    );
    until_published(&through, &event("t", 2)).await;
    // The script is known from here on.
    let outcome = through.publish_batch(vec![event("t", 3)]).await.unwrap();
    assert!(outcome.is_complete());
    let armed = cut();
    let batch = [4, 5].map(|number| event("t", number).with_key("k").unwrap());
    let outcome = through.publish_batch(batch.to_vec()).await.unwrap();
    soon(armed.fired()).await;
    let unknown = |at: usize| error_of(&outcome.items()[at]).effect();
    assert_eq!([unknown(0), unknown(1)], [Effect::Unknown; 2]);
    for number in 1..=5 {
        assert_eq!(next_number(&mut subscriber).await, number);
    }
}

#[tokio::test]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn a_subscriber_that_does_not_read_is_bounded_here_and_holds_up_nobody() {
    let server = server().await;
    let publisher = publisher(server.url()).await;
    let mut slow = to("t");
    slow.max_pending = 10;
    let mut slow = publisher.subscribe(slow).await.unwrap();
    let mut all = to("t");
    all.max_pending = 20_000;
    let mut fast = publisher.subscribe(all).await.unwrap();
    for part in 0..20 {
        let events = (0..1_000)
            .map(|number| event("t", part * 1_000 + number))
            .collect();
        assert!(publisher.publish_batch(events).await.unwrap().is_complete());
    }
    for number in 0..20_000 {
        assert_eq!(next_number(&mut fast).await, number);
    }
    // Its connection was read all the same: the end comes behind everything.
    publisher.disconnect().await.unwrap();
    for number in 0..10 {
        assert_eq!(next_number(&mut slow).await, number);
    }
    assert!(matches!(signal(&mut slow).await, Signal::Lost(19_990)));
    assert!(soon(slow.next()).await.is_none());
    assert_eq!(publisher.stats().lost, 19_990);
}

fn interaction(customer: u64, offer: u64) -> Interaction {
    Interaction::builder("acme", format!("c{customer}"))
        .offer(format!("{offer}"))
        .creative("b")
        .channel("web")
        .build()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn what_redis_does_not_take_stays_in_the_outbox_and_comes_in_order_when_it_does() {
    const CUSTOMERS: u64 = 7;
    let mut server = server().await;
    let publisher = Arc::new(publisher(server.url()).await);
    let store = MemoryStore::new();
    let outbox = store.outbox().unwrap();
    outbox.set_lanes(LaneSet::of(&[Lane::Publish])).await.unwrap();
    let backlog = async || outbox.status(Lane::Publish).await.unwrap().backlog;
    let mut config = RelayConfig::new(Lane::Publish);
    config.max_pause = Duration::from_millis(100);
    let sink = PublishSink::new(Arc::<RedisPublisher>::clone(&publisher));
    let relay = Relay::spawn(Arc::clone(&outbox), sink, config);
    let until = async |is_so: &dyn Fn() -> bool| {
        soon(async {
            while !is_so() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
    };

    // Refused by the server's rights, then by its absence.
    server
        .ask(&["ACL", "SETUSER", "default", "resetchannels"])
        .await
        .unwrap();
    for number in 0..500 {
        store
            .record_event(interaction(number % CUSTOMERS, number))
            .await
            .unwrap();
    }
    until(&|| relay.stats().failed > 0).await;
    assert_eq!((backlog().await, relay.stats().delivered), (500, 0));
    server.kill().await.unwrap();
    let failed = relay.stats().failed;
    for number in 500..1_000 {
        store
            .record_event(interaction(number % CUSTOMERS, number))
            .await
            .unwrap();
    }
    until(&|| relay.stats().failed > failed).await;
    assert_eq!((backlog().await, relay.stats().delivered), (1_000, 0));

    // A restart knows nothing of the rights. Nothing is published before somebody listens.
    server
        .set("user default on nopass ~* resetchannels +@all")
        .unwrap();
    server.restart().await.unwrap();
    server
        .ask(&["ACL", "SETUSER", "default", "allchannels", "-publish"])
        .await
        .unwrap();
    let listening = RedisPublisher::connect(patient(server.url())).await.unwrap();
    let mut subscriber = listening
        .subscribe(Subscription::to([EventType::interaction_recorded()]))
        .await
        .unwrap();
    server
        .ask(&["ACL", "SETUSER", "default", "+publish"])
        .await
        .unwrap();
    let mut last = vec![None; usize::try_from(CUSTOMERS).unwrap()];
    for _ in 0..1_000 {
        let delivery = match signal(&mut subscriber).await {
            Signal::Delivery(delivery) => delivery,
            other => panic!("{other:?}"),
        };
        let payload: std::collections::HashMap<String, Option<String>> = delivery.event().payload().unwrap();
        let number = |field: &str| {
            payload[field]
                .as_ref()
                .unwrap()
                .trim_start_matches('c')
                .parse::<u64>()
                .unwrap()
        };
        let (customer, offer) = (number("customerId"), number("offerId"));
        let last = &mut last[usize::try_from(customer).unwrap()];
        assert_eq!(
            offer,
            last.map_or(customer, |last| last + CUSTOMERS),
            "of customer {customer}"
        );
        *last = Some(offer);
    }
    soon(relay.drain(Duration::from_secs(100))).await.unwrap();
    assert_eq!((backlog().await, relay.stats().poisoned), (0, 0));
}

#[tokio::test]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn under_sentinel_publishers_and_subscribers_follow_the_primary() {
    let mut group = RedisSentinel::start(programs()).await.unwrap();
    let publisher = publisher(group.url()).await;
    let mut subscriber = publisher.subscribe(to("t")).await.unwrap();
    hears(&publisher, &mut subscriber, 1).await;
    group.servers()[0].kill().await.unwrap();
    gap(&mut subscriber).await;
    hears_again(&publisher, &mut subscriber, 2).await;
}

#[tokio::test]
#[ignore = "needs redis-bin: set KAIREON_TEST_REDIS_BINDIR"]
async fn in_a_cluster_any_client_hears_everything_at_any_node_also_behind_a_killed_one() {
    let mut cluster = RedisCluster::start(programs()).await.unwrap();
    let publisher = publisher(cluster.url()).await;
    let mut subscriber = publisher.subscribe(to("t")).await.unwrap();
    hears(&publisher, &mut subscriber, 1).await;
    let mut others = Vec::new();
    for node in cluster.nodes() {
        others.push(Plain::listen(&node.address(), "t").await);
    }
    let told = event("t", 2);
    publisher.publish(told.clone()).await.unwrap();
    assert_eq!(next_number(&mut subscriber).await, 2);
    for other in &mut others {
        assert_eq!(other.message().await, told.envelope());
    }
    let slot = cluster.nodes()[0]
        .ask(&["CLUSTER", "KEYSLOT", "kaireon"])
        .await
        .unwrap();
    let owner = cluster.owner_of(slot.parse().unwrap()).await.unwrap();
    // Whoever publishes by another client reaches ours.
    for (at, node) in cluster.nodes().iter().enumerate() {
        let told = event("t", 10 + at as u64);
        let text = String::from_utf8(told.envelope().to_vec()).unwrap();
        node.ask(&["PUBLISH", "t", &text]).await.unwrap();
        assert_eq!(next_number(&mut subscriber).await, 10 + at as u64);
    }
    cluster.kill(owner).await.unwrap();
    gap(&mut subscriber).await;
    hears_again(&publisher, &mut subscriber, 3).await;
}

/// A client that knows nothing of us.
struct Plain(tokio::io::BufReader<tokio::net::TcpStream>);

impl Plain {
    async fn listen(address: &str, channel: &str) -> Self {
        use tokio::io::AsyncWriteExt;

        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let subscribe = format!("SUBSCRIBE {channel}\r\n");
        stream.write_all(subscribe.as_bytes()).await.unwrap();
        let mut plain = Self(tokio::io::BufReader::new(stream));
        for line in ["*3", "$9", "subscribe", "$1", channel, ":1"] {
            assert_eq!(plain.line().await, line);
        }
        plain
    }

    async fn line(&mut self) -> String {
        use tokio::io::AsyncBufReadExt;

        let mut line = String::new();
        soon(self.0.read_line(&mut line)).await.unwrap();
        line.trim_end().to_owned()
    }

    async fn message(&mut self) -> String {
        for line in ["*3", "$7", "message", "$1", "t"] {
            assert_eq!(self.line().await, line);
        }
        let length = self.line().await;
        let message = self.line().await;
        assert_eq!(length, format!("${}", message.len()));
        message
    }
}

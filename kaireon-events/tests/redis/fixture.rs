//! Publishers on the servers that suites share; the suite's topics are of this process alone.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kaireon_core::publisher::{Delivery, Signal, Subscriber};
use kaireon_core::store::ItemOutcome;
use kaireon_core::wrap::{ConcurrencyLimit, Retry, RetryPolicy, Timeout, Trace};
use kaireon_core::{Error, Event, EventPublisher, EventType};
use kaireon_events::{RedisConnectConfig, RedisPublisher, RedisPublisherConfig};
use kaireon_testkit::publisher::PublisherFixture;
use kaireon_testkit::server::RedisServer;

const LONG: Duration = Duration::from_secs(120);

/// What `cargo xtask services up` tells.
pub(crate) fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("set {name}"))
}

pub(crate) fn programs() -> String {
    variable("KAIREON_TEST_REDIS_BINDIR")
}

pub(crate) async fn server() -> RedisServer {
    RedisServer::start(programs(), &[]).await.unwrap()
}

/// Waits for what has no end but in a defect.
pub(crate) async fn soon<T>(call: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONG, call).await.expect("it ends")
}

/// A configuration whose calls may take as long as a busy machine needs.
pub(crate) fn patient(url: impl Into<String>) -> RedisPublisherConfig {
    let connect = RedisConnectConfig::from_url(url)
        .with_command_timeout(Duration::from_secs(60))
        .with_connect_timeout(Duration::from_secs(60));
    RedisPublisherConfig::default().with_connect(connect)
}

pub(crate) async fn publisher(url: impl Into<String>) -> RedisPublisher {
    RedisPublisher::connect(patient(url)).await.unwrap()
}

pub(crate) fn topic(name: &str) -> EventType {
    EventType::new(name).unwrap()
}

pub(crate) fn event(topic: &str, number: u64) -> Event {
    Event::new(topic, &number).unwrap()
}

pub(crate) fn number(delivery: &Delivery) -> u64 {
    delivery.event().payload().unwrap()
}

pub(crate) async fn signal(subscriber: &mut Subscriber) -> Signal {
    soon(subscriber.next()).await.unwrap().unwrap()
}

/// The next signal, which is an event.
pub(crate) async fn next_number(subscriber: &mut Subscriber) -> u64 {
    match signal(subscriber).await {
        Signal::Delivery(delivery) => number(&delivery),
        other => panic!("{other:?}"),
    }
}

/// Publishes until it succeeds.
pub(crate) async fn until_published(publisher: &dyn EventPublisher, event: &Event) {
    soon(async {
        while let Err(error) = publisher.publish(event.clone()).await {
            assert!(error.is_transient(), "{error:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// Publishers of the suite.
pub(crate) struct OnRedis(RedisPublisherConfig);

impl OnRedis {
    pub(crate) fn server() -> Self {
        Self(patient(variable("KAIREON_TEST_REDIS_URL")))
    }

    pub(crate) fn tls() -> Self {
        let config = patient(variable("KAIREON_TEST_REDIS_TLS_URL"));
        let connect = config
            .connect
            .clone()
            .with_ca_file(variable("KAIREON_TEST_REDIS_CA"));
        Self(config.with_connect(connect))
    }

    pub(crate) fn restricted() -> Self {
        Self(patient(variable("KAIREON_TEST_REDIS_RESTRICTED_URL")))
    }

    pub(crate) fn cluster() -> Self {
        Self(patient(variable("KAIREON_TEST_REDIS_CLUSTER_URL")))
    }

    pub(crate) fn sentinel() -> Self {
        Self(patient(variable("KAIREON_TEST_REDIS_SENTINEL_URL")))
    }
}

#[async_trait]
impl PublisherFixture for OnRedis {
    async fn open(&self) -> Arc<dyn EventPublisher> {
        Arc::new(RedisPublisher::connect(self.0.clone()).await.unwrap())
    }

    fn patience(&self) -> Duration {
        LONG
    }

    // What is on its way over a busy machine's sockets takes longer than in memory.
    fn silence(&self) -> Duration {
        Duration::from_secs(2)
    }
}

pub(crate) fn wrapped(publisher: Arc<dyn EventPublisher>) -> Arc<dyn EventPublisher> {
    let limited = Timeout::new(ConcurrencyLimit::new(publisher, 64), LONG);
    Arc::new(Trace::new(Retry::new(limited, RetryPolicy::default())))
}

/// Why an item of a batch failed.
pub(crate) fn error_of(item: &ItemOutcome<()>) -> &Error {
    match item {
        ItemOutcome::Failed(error) => error,
        other => panic!("{other:?}"),
    }
}

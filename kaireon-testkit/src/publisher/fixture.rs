//! How the suite gets at a publisher, and what its cases share.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kaireon_core::publisher::{Delivery, PublisherCapabilities, Signal, Subscriber, Subscription};
use kaireon_core::{Event, EventPublisher, EventType};
use tokio::time::timeout;

use crate::Wrapped;
use crate::suite::{declared_away, marker, run_number};

/// Opens a publisher for the cases of the suite. Each case gets a fixture of its own.
#[async_trait]
pub trait PublisherFixture: Send + Sync {
    /// A live publisher. Cases call it once.
    async fn open(&self) -> Arc<dyn EventPublisher>;

    /// Cleans up. Called once, also after a case that failed.
    async fn close(&self) {}

    /// How long cases wait for what must come.
    fn patience(&self) -> Duration {
        Duration::from_secs(20)
    }

    /// How long nothing has to come before cases take it that nothing will.
    fn silence(&self) -> Duration {
        Duration::from_millis(120)
    }

    /// The ack timeout of the cases that wait for one.
    fn ack_timeout(&self) -> Duration {
        Duration::from_millis(100)
    }
}

#[async_trait]
impl<F, W> PublisherFixture for Wrapped<F, W>
where
    F: PublisherFixture,
    W: Fn(Arc<dyn EventPublisher>) -> Arc<dyn EventPublisher> + Send + Sync,
{
    async fn open(&self) -> Arc<dyn EventPublisher> {
        (self.1)(self.0.open().await)
    }

    async fn close(&self) {
        self.0.close().await;
    }

    fn patience(&self) -> Duration {
        self.0.patience()
    }

    fn silence(&self) -> Duration {
        self.0.silence()
    }

    fn ack_timeout(&self) -> Duration {
        self.0.ack_timeout()
    }
}

/// What a case works with.
pub(super) struct Stage<'f> {
    pub(super) fixture: &'f dyn PublisherFixture,
    pub(super) publisher: Arc<dyn EventPublisher>,
    pub(super) can: PublisherCapabilities,
}

impl<'f> Stage<'f> {
    pub(super) async fn open(fixture: &'f dyn PublisherFixture) -> Self {
        let publisher = fixture.open().await;
        let can = publisher.capabilities();
        Self {
            fixture,
            publisher,
            can,
        }
    }

    /// Whether the backend can; prints what it declares away.
    pub(super) fn can(&self, able: bool, what: &str) -> bool {
        if !able {
            declared_away(&self.can.backend, what);
        }
        able
    }

    pub(super) async fn subscribe(&self, subscription: Subscription) -> Subscriber {
        self.publisher.subscribe(subscription).await.unwrap()
    }

    pub(super) async fn publish(&self, topic: &EventType, number: u64) {
        self.publisher.publish(event(topic, number)).await.unwrap();
    }

    pub(super) async fn publish_all(&self, topic: &EventType, numbers: impl IntoIterator<Item = u64>) {
        for number in numbers {
            self.publish(topic, number).await;
        }
    }

    /// The next delivery, which must come.
    pub(super) async fn next(&self, subscriber: &mut Subscriber) -> Delivery {
        let next = timeout(self.fixture.patience(), subscriber.next_delivery()).await;
        next.expect("a delivery must come")
            .unwrap()
            .expect("the stream must go on")
    }

    /// The numbers of the next deliveries, each acknowledged.
    pub(super) async fn receive(&self, subscriber: &mut Subscriber, count: usize) -> Vec<u64> {
        let mut numbers = Vec::with_capacity(count);
        for _ in 0..count {
            let mut delivery = self.next(subscriber).await;
            numbers.push(number(&delivery));
            delivery.ack().await.unwrap();
        }
        numbers
    }

    /// Fails when something comes.
    pub(super) async fn silent(&self, subscriber: &mut Subscriber) {
        if let Ok(signal) = timeout(self.fixture.silence(), subscriber.next()).await {
            panic!("nothing may come any more, but there was {signal:?}");
        }
    }

    /// Acknowledges what comes until nothing does; returns the numbers and how many were lost.
    pub(super) async fn drain(&self, subscriber: &mut Subscriber) -> (Vec<u64>, u64) {
        let (mut numbers, mut lost) = (Vec::new(), 0);
        while let Ok(Some(signal)) = timeout(self.fixture.silence(), subscriber.next()).await {
            match signal.unwrap() {
                Signal::Delivery(mut delivery) => {
                    numbers.push(number(&delivery));
                    delivery.ack().await.unwrap();
                }
                Signal::Lost(few) => lost += few,
                Signal::Gap => panic!("nothing came between, and there is a gap"),
            }
        }
        (numbers, lost)
    }
}

/// A topic of this process and run alone: a broker may be shared.
pub(super) fn topic(name: &str) -> EventType {
    EventType::new(format!("t{}-{}.{name}.v1", std::process::id(), run_number())).unwrap()
}

/// An event that carries a number, under one key.
pub(super) fn event(topic: &EventType, number: u64) -> Event {
    Event::new(topic.as_str(), &number)
        .unwrap()
        .with_key(format!("{}key", marker(run_number())))
        .unwrap()
}

/// The number that a delivery carries.
pub(super) fn number(delivery: &Delivery) -> u64 {
    delivery.event().payload().unwrap()
}

/// In order, for comparing what came in no promised order.
pub(super) fn sorted(mut numbers: Vec<u64>) -> Vec<u64> {
    numbers.sort_unstable();
    numbers
}

//! A limit on how many calls run at once, over an event stream.

use async_trait::async_trait;

use super::ConcurrencyLimit;
use crate::Result;
use crate::event::{Event, EventType};
use crate::publisher::{EventPublisher, PublisherCapabilities, Subscriber, Subscription};
use crate::store::BatchOutcome;
use crate::wrap::name;
use crate::wrap::operation::Operation;

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<P: EventPublisher> EventPublisher for ConcurrencyLimit<P> {
    fn capabilities(&self) -> PublisherCapabilities {
        self.inner.capabilities()
    }

    fn has_subscribers(&self, topic: &EventType) -> Option<bool> {
        self.inner.has_subscribers(topic)
    }

    async fn publish(&self, event: Event) -> Result<()> {
        self.limited(Operation::Publish, name::of_events, self.inner.publish(event))
            .await
    }

    async fn publish_batch(&self, events: Vec<Event>) -> Result<BatchOutcome<()>> {
        self.limited(
            Operation::PublishBatch,
            name::of_events,
            self.inner.publish_batch(events),
        )
        .await
    }

    async fn subscribe(&self, subscription: Subscription) -> Result<Subscriber> {
        self.limited(
            Operation::Subscribe,
            name::of_events,
            self.inner.subscribe(subscription),
        )
        .await
    }

    async fn ping(&self) -> Result<()> {
        self.inner.ping().await
    }

    async fn disconnect(&self) -> Result<()> {
        self.inner.disconnect().await
    }
}

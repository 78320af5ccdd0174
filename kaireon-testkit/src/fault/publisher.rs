//! A publisher with faults.

use async_trait::async_trait;
use kaireon_core::publisher::{PublisherCapabilities, Subscriber, Subscription};
use kaireon_core::store::BatchOutcome;
use kaireon_core::{Event, EventPublisher, EventType, Result};

use super::Faulty;

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: EventPublisher> EventPublisher for Faulty<S> {
    fn capabilities(&self) -> PublisherCapabilities {
        self.inner.capabilities()
    }

    async fn publish(&self, event: Event) -> Result<()> {
        self.meet("publish", self.inner.publish(event)).await
    }

    async fn publish_batch(&self, events: Vec<Event>) -> Result<BatchOutcome<()>> {
        self.meet_batch("publish_batch", events, |events| self.inner.publish_batch(events))
            .await
    }

    async fn subscribe(&self, subscription: Subscription) -> Result<Subscriber> {
        self.meet("subscribe", self.inner.subscribe(subscription)).await
    }

    fn has_subscribers(&self, topic: &EventType) -> Option<bool> {
        self.inner.has_subscribers(topic)
    }

    async fn ping(&self) -> Result<()> {
        self.meet("ping", self.inner.ping()).await
    }

    async fn disconnect(&self) -> Result<()> {
        self.meet("disconnect", self.inner.disconnect()).await
    }
}

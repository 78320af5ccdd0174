//! Trying again, over an event stream.

use async_trait::async_trait;

use super::{Retry, batch};
use crate::Result;
use crate::event::{Event, EventType};
use crate::publisher::{EventPublisher, PublisherCapabilities, Subscriber, Subscription};
use crate::store::{BatchOutcome, ItemOutcome};
use crate::wrap::operation::Operation;

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<P: EventPublisher> EventPublisher for Retry<P> {
    fn capabilities(&self) -> PublisherCapabilities {
        self.inner.capabilities()
    }

    fn has_subscribers(&self, topic: &EventType) -> Option<bool> {
        self.inner.has_subscribers(topic)
    }

    async fn publish(&self, event: Event) -> Result<()> {
        self.repeated(Operation::Publish, || self.inner.publish(event.clone()))
            .await
    }

    async fn publish_batch(&self, events: Vec<Event>) -> Result<BatchOutcome<()>> {
        let send = |events| self.inner.publish_batch(events);
        self.repeated_batch(Operation::PublishBatch, events, overtaken, send)
            .await
    }

    async fn subscribe(&self, subscription: Subscription) -> Result<Subscriber> {
        self.repeated(Operation::Subscribe, || {
            self.inner.subscribe(subscription.clone())
        })
        .await
    }

    async fn ping(&self) -> Result<()> {
        self.inner.ping().await
    }

    async fn disconnect(&self) -> Result<()> {
        self.repeated(Operation::EventsDisconnect, || self.inner.disconnect())
            .await
    }
}

/// Holds back events behind which one with the same key was published: sent now, they would arrive after it.
fn overtaken(events: &[Event], outcomes: &[ItemOutcome<()>], open: &mut Vec<usize>) {
    batch::hold_overtaken(events, outcomes, open, Event::key);
}

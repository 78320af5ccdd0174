//! The gate in front of the event stream, which also tells the lane who is listening.

use std::sync::Arc;

use async_trait::async_trait;
use kaireon_core::publisher::{PublisherCapabilities, Subscriber, Subscription};
use kaireon_core::store::BatchOutcome;
use kaireon_core::{Event, EventPublisher, EventType, Result};

use super::Gate;
use crate::stream::{Streams, Wants};

/// A publisher behind a gate. `disconnect` closes the gate of this set; the backend itself is closed by the
/// facade.
#[derive(Debug)]
pub(crate) struct GatedPublisher {
    gate: Arc<Gate>,
    inner: Arc<dyn EventPublisher>,
    streams: Arc<Streams>,
}

impl GatedPublisher {
    pub(crate) fn new(gate: Arc<Gate>, inner: Arc<dyn EventPublisher>, streams: Arc<Streams>) -> Self {
        Self { gate, inner, streams }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl EventPublisher for GatedPublisher {
    fn capabilities(&self) -> PublisherCapabilities {
        self.inner.capabilities()
    }

    async fn publish(&self, event: Event) -> Result<()> {
        let _pass = self.gate.enter("publish")?;
        self.inner.publish(event).await
    }

    async fn publish_batch(&self, events: Vec<Event>) -> Result<BatchOutcome<()>> {
        let _pass = self.gate.enter("publish_batch")?;
        self.inner.publish_batch(events).await
    }

    async fn subscribe(&self, subscription: Subscription) -> Result<Subscriber> {
        let _pass = self.gate.enter("subscribe")?;
        let wants = Wants::of(&subscription.topics);
        // First the subscription, then the lane: what the lane's first entries tell then finds its reader.
        let subscriber = self.inner.subscribe(subscription).await?;
        self.streams.listen(subscriber, wants).await
    }

    fn has_subscribers(&self, topic: &EventType) -> Option<bool> {
        self.inner.has_subscribers(topic)
    }

    async fn ping(&self) -> Result<()> {
        let _pass = self.gate.enter("ping")?;
        self.inner.ping().await
    }

    async fn disconnect(&self) -> Result<()> {
        self.gate.close();
        self.gate.emptied().await;
        Ok(())
    }
}

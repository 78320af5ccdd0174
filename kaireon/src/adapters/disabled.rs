//! No event stream: recording goes on, nothing is published, and nothing queues up for later.

use std::sync::Arc;

use async_trait::async_trait;
use kaireon_core::publisher::{PublisherCapabilities, Subscriber, Subscription};
use kaireon_core::store::BatchOutcome;
use kaireon_core::{Error, Event, EventPublisher, EventType, Result};

use super::{Adapter, Connect};

pub(super) static PUBLISHER: Adapter<dyn EventPublisher> = Adapter {
    names: &[DisabledPublisher::NAME],
    needs: &[],
    stand_in: None,
    offered_by: None,
    check: |_| Vec::new(),
    place: |_| String::new(),
    shared: false,
    tables: None,
    connect: Connect::With(|_| {
        Box::pin(async { Ok(Arc::new(DisabledPublisher) as Arc<dyn EventPublisher>) })
    }),
};

/// A stream that is turned off: it says so to whoever publishes or subscribes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DisabledPublisher;

impl DisabledPublisher {
    pub(crate) const NAME: &'static str = "disabled";

    fn refusal(operation: &'static str) -> Error {
        Error::unsupported(Self::NAME, operation)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl EventPublisher for DisabledPublisher {
    fn capabilities(&self) -> PublisherCapabilities {
        PublisherCapabilities::minimal(Self::NAME)
    }

    async fn publish(&self, event: Event) -> Result<()> {
        let _ = event;
        Err(Self::refusal("publish"))
    }

    async fn publish_batch(&self, events: Vec<Event>) -> Result<BatchOutcome<()>> {
        let _ = events;
        Err(Self::refusal("publish_batch"))
    }

    async fn subscribe(&self, subscription: Subscription) -> Result<Subscriber> {
        let _ = subscription;
        Err(Self::refusal("subscribe"))
    }

    fn has_subscribers(&self, topic: &EventType) -> Option<bool> {
        let _ = topic;
        Some(false)
    }

    async fn ping(&self) -> Result<()> {
        Err(Self::refusal("ping"))
    }

    async fn disconnect(&self) -> Result<()> {
        Ok(())
    }
}

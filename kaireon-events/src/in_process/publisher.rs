//! The publisher.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use kaireon_core::publisher::{PublisherCapabilities, Subscriber, Subscription};
use kaireon_core::store::{BatchOutcome, ItemOutcome};
use kaireon_core::{Event, EventPublisher, EventType, Result};

use super::BACKEND;
use super::config::InProcessPublisherConfig;
use super::error::disconnected;
use super::registry::Registry;

/// Publishes to subscribers in this process, in memory.
///
/// - **Order.** A subscriber without a group receives the events of all its topics in the order of their
///   publishing. The members of a group each receive some, in that order; two of them may work on one key at the
///   same time. A redelivery comes ahead of what has not been delivered yet.
/// - **Redelivery.** What is nacked or dropped goes back to its subscriber or group at once, what is not
///   acknowledged within `ack_timeout` then, each with the next attempt number (the timeout of a lone subscriber's
///   delivery begins when it next asks for one, since nobody else could be handed it); after `max_attempts` it is given
///   up, counted in [`stats`](Self::stats) and logged by type and id. An acknowledgement that comes after its
///   timeout does nothing.
/// - **Bounds.** A subscriber holds at most `max_pending` events that it has not acknowledged, waiting ones
///   included; a group as many as its members together. What is published beyond that is lost to that subscriber
///   or group alone, and told at its place in the stream as `Signal::Lost`, in a group to one member.
/// - **Groups.** Members of a group that share a topic share all of their topics; another set is `Unsupported`. A
///   member that leaves hands what it had not acknowledged to the others; with the last one the group is gone,
///   and all that it had not acknowledged.
/// - **Disconnect**, and dropping the publisher, end the streams behind what was accepted. What is nacked after
///   that reaches members whose stream has not ended.
///
/// Subscribers need a tokio runtime with its timer. Publishing takes part in tokio's cooperative budget, so that a
/// loop that publishes lets subscribers on the same thread run.
pub struct InProcessPublisher {
    registry: Arc<Registry>,
    config: InProcessPublisherConfig,
}

/// What went wrong for subscribers since a publisher was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct InProcessPublisherStats {
    /// Events that were lost to a slow subscriber or group, once for each.
    pub lost: u64,
    /// Events that were delivered `max_attempts` times without an acknowledgement.
    pub given_up: u64,
}

impl InProcessPublisher {
    /// A publisher without subscribers yet.
    ///
    /// # Errors
    /// `Config` naming what is out of bounds.
    pub fn new(config: InProcessPublisherConfig) -> Result<Self> {
        config.check()?;
        Ok(Self {
            registry: Arc::default(),
            config,
        })
    }

    /// What went wrong for subscribers so far.
    #[must_use]
    pub fn stats(&self) -> InProcessPublisherStats {
        let (lost, given_up) = self.registry.counted();
        InProcessPublisherStats { lost, given_up }
    }
}

impl Drop for InProcessPublisher {
    fn drop(&mut self) {
        self.registry.close();
    }
}

impl fmt::Debug for InProcessPublisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InProcessPublisher")
            .field("config", &self.config)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl EventPublisher for InProcessPublisher {
    fn capabilities(&self) -> PublisherCapabilities {
        let mut capabilities = PublisherCapabilities::minimal(BACKEND);
        capabilities.redelivers = true;
        capabilities.groups = true;
        capabilities.ordered = true;
        capabilities
    }

    async fn publish(&self, event: Event) -> Result<()> {
        tokio::task::coop::consume_budget().await;
        self.registry.publish(event)
    }

    async fn publish_batch(&self, events: Vec<Event>) -> Result<BatchOutcome<()>> {
        tokio::task::coop::consume_budget().await;
        self.registry.publish_batch(&events)?;
        let outcomes = events.iter().map(|_| ItemOutcome::Done(())).collect();
        Ok(BatchOutcome::from_items(outcomes))
    }

    async fn subscribe(&self, subscription: Subscription) -> Result<Subscriber> {
        let member = self.registry.subscribe(subscription, self.config.max_pending)?;
        Ok(Subscriber::new(member))
    }

    fn has_subscribers(&self, topic: &EventType) -> Option<bool> {
        Some(self.registry.has_subscribers(topic))
    }

    async fn ping(&self) -> Result<()> {
        if self.registry.is_closed() {
            return Err(disconnected("ping"));
        }
        Ok(())
    }

    async fn disconnect(&self) -> Result<()> {
        self.registry.close();
        Ok(())
    }
}

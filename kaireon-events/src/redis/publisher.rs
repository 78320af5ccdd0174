//! The publisher.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use kaireon_connect::redis::{RedisClient, RedisCommand};
use kaireon_core::publisher::{PublisherCapabilities, StartAt, Subscriber, Subscription};
use kaireon_core::store::BatchOutcome;
use kaireon_core::{Error, Event, EventPublisher, EventType, Result};
use tokio::sync::watch;

use super::batch;
use super::config::RedisPublisherConfig;
use super::error::{BACKEND, failed, too_large, unsupported};
use super::gate::Gate;
use super::mailbox::{Mailbox, Reader};
use super::subscription::{Carrier, Counters};

/// Whose slot says by which node of a cluster everything goes: what is published by one node is heard there in its
/// order.
const BESIDE: &[u8] = b"kaireon";

/// Publishes to channels of Redis, for whoever listens at the time: fire and forget.
///
/// - **Envelope.** The channel is the topic, the message the envelope, byte for byte: `SUBSCRIBE interaction.recorded.v1`
///   in any client shows it. The partition key is not sent. Channels are common to all databases of a server.
/// - **`Ok`** means that the server has taken the event, whether or not anybody listened. Through the outbox's relay an
///   event that the server did not take stays in the outbox; what nobody listened to is gone.
/// - **Order.** What one publisher publishes, one after the other, arrives in that order at one server and under
///   Sentinel. Events of a batch are published by one command for every 512, or mebibyte, in their order.
/// - **Cluster.** `PUBLISH` at the node that has the slot of `kaireon`, from which it reaches every node, so that any
///   client may subscribe at any of them. Subscriptions of this type listen at that node as long as it can be reached.
///   While the slot moves two events of a key may change places, so that no order is promised.
/// - **Subscriptions** have a connection each, apart from that of the publisher, which is opened anew when it breaks, with
///   `Signal::Gap` at that place in the stream. A broken one is noticed at the latest after five times the bound on a
///   call. Groups and a start in the past are `Unsupported`; acknowledging does nothing.
/// - **Bounds.** A subscriber that does not fetch has at most `max_pending` events waiting in this process. What comes
///   beyond that is lost to it alone, and told at its place as `Signal::Lost`. The server never waits for it.
/// - **Messages of others** that are no envelope of their channel's type are passed over, counted and logged.
/// - **Disconnect**, and dropping the publisher, end the streams behind what was accepted.
///
/// Commands sent: `PUBLISH`, for batches `EVALSHA` (and `EVAL` once to each server), `SUBSCRIBE` and `PING`.
pub struct RedisPublisher {
    client: RedisClient,
    config: RedisPublisherConfig,
    gate: Gate,
    /// Dropped or told, it ends the subscriptions.
    ending: watch::Sender<()>,
    counters: Arc<Counters>,
}

/// What went wrong for subscribers since a publisher was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedisPublisherStats {
    /// Events that were lost to a slow subscriber, once for each.
    pub lost: u64,
    /// How often a subscription's connection was opened anew, or ended without knowing that everything had come.
    pub gaps: u64,
    /// Messages that were no event of their channel, once for each subscription.
    pub unreadable: u64,
}

impl RedisPublisher {
    /// Connects.
    ///
    /// # Errors
    /// As for [`RedisClient::connect`]; `Config` naming what is out of bounds.
    ///
    /// # Dropped futures
    /// Nothing is left behind.
    pub async fn connect(config: RedisPublisherConfig) -> Result<Self> {
        config.check()?;
        Ok(Self {
            client: RedisClient::connect(config.connect.clone()).await?,
            config,
            gate: Gate::new(),
            ending: watch::Sender::new(()),
            counters: Arc::default(),
        })
    }

    /// What went wrong for subscribers so far.
    #[must_use]
    pub fn stats(&self) -> RedisPublisherStats {
        let Counters {
            lost,
            gaps,
            unreadable,
        } = &*self.counters;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        RedisPublisherStats {
            lost: read(lost),
            gaps: read(gaps),
            unreadable: read(unreadable),
        }
    }

    fn checked(&self, subscription: Subscription) -> Result<(Vec<EventType>, usize)> {
        subscription.check()?;
        let Subscription {
            mut topics,
            group,
            start,
            max_pending,
            ack_timeout: _,
            max_attempts: _,
        } = subscription;
        if max_pending > self.config.max_pending {
            return Err(Error::invalid(
                "max_pending",
                "is above the bound of this publisher",
            ));
        }
        if group.is_some() {
            return Err(unsupported(
                "there are no groups: every listener hears everything",
            ));
        }
        if start != StartAt::Latest {
            return Err(unsupported(
                "a subscription cannot begin in the past: nothing is kept",
            ));
        }
        topics.sort_unstable();
        topics.dedup();
        Ok((topics, max_pending))
    }
}

impl fmt::Debug for RedisPublisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisPublisher")
            .field("config", &self.config)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl EventPublisher for RedisPublisher {
    fn capabilities(&self) -> PublisherCapabilities {
        let mut capabilities = PublisherCapabilities::minimal(BACKEND);
        capabilities.ordered = !self.client.is_cluster();
        capabilities
    }

    async fn publish(&self, event: Event) -> Result<()> {
        let _inside = self.gate.enter("publish").await?;
        let envelope = event.envelope();
        if envelope.len() > self.config.max_event_bytes {
            return Err(too_large());
        }
        let channel = event.event_type().as_str().to_owned();
        let publish = RedisCommand::write_beside("PUBLISH", BESIDE);
        let published = self.client.call(publish.arg(channel).arg(envelope)).await;
        published.map(drop).map_err(|fault| failed(fault, "publish"))
    }

    async fn publish_batch(&self, events: Vec<Event>) -> Result<BatchOutcome<()>> {
        let _inside = self.gate.enter("publish_batch").await?;
        let outcomes = batch::publish(&self.client, BESIDE, &events, self.config.max_event_bytes).await;
        Ok(BatchOutcome::from_items(outcomes))
    }

    async fn subscribe(&self, subscription: Subscription) -> Result<Subscriber> {
        let (topics, max_pending) = self.checked(subscription)?;
        let _inside = self.gate.enter("subscribe").await?;
        let channels = topics.iter().map(|topic| topic.as_str().to_owned()).collect();
        let listener = self.client.listen(channels, BESIDE).await;
        let mailbox = Mailbox::new(max_pending);
        let carrier = Carrier {
            listener: listener.map_err(|fault| failed(fault, "subscribe"))?,
            mailbox: Arc::clone(&mailbox),
            counters: Arc::clone(&self.counters),
        };
        let (reader, gone) = Reader::of(&mailbox);
        tokio::spawn(carrier.run(self.ending.subscribe(), gone));
        Ok(Subscriber::new(reader))
    }

    async fn ping(&self) -> Result<()> {
        let _inside = self.gate.enter("ping").await?;
        self.client.ping().await.map_err(|fault| failed(fault, "ping"))
    }

    async fn disconnect(&self) -> Result<()> {
        self.gate.close().await;
        // Those who listen hear what was accepted, and have ended when they hold this no more.
        self.ending.send_replace(());
        self.ending.closed().await;
        self.client.close();
        Ok(())
    }
}

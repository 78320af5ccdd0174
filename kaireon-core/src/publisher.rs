//! The event stream: publish, subscribe, acknowledge.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use futures_core::Stream;

use crate::event::{Event, EventType};
use crate::store::{BatchOutcome, ItemOutcome};
use crate::time::Timestamp;
use crate::{Error, Result};

/// What an [`EventPublisher`] promises.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PublisherCapabilities {
    /// The backend's name, as its configuration value.
    pub backend: Cow<'static, str>,
    /// Whether an event whose publish returned `Ok` survives a restart of everything.
    pub durable: bool,
    /// Whether what a subscriber did not acknowledge is delivered again.
    pub redelivers: bool,
    /// Whether members of one group share deliveries.
    pub groups: bool,
    /// Whether a subscription may begin in the past.
    pub replay: bool,
    /// Whether events of one partition key arrive in the order of their publishing.
    pub ordered: bool,
}

impl PublisherCapabilities {
    /// Fire and forget.
    #[must_use]
    pub fn minimal(backend: impl Into<Cow<'static, str>>) -> Self {
        Self {
            backend: backend.into(),
            durable: false,
            redelivers: false,
            groups: false,
            replay: false,
            ordered: false,
        }
    }
}

/// Where a subscription begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StartAt {
    /// With what is published from now on.
    #[default]
    Latest,
    /// With the oldest that is kept.
    Earliest,
    /// With what was published at this time or later.
    Time(Timestamp),
}

/// What to subscribe to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The topics; at least one.
    pub topics: Vec<EventType>,
    /// The consumer group: each event goes to one member. Without one, to this subscriber too.
    pub group: Option<String>,
    /// Where to begin, where the group has no position yet.
    pub start: StartAt,
    /// How many deliveries may wait in memory for this subscriber before it loses or delays its own; at least 1.
    pub max_pending: usize,
    /// How long a delivery may stay unacknowledged before it is delivered again; not zero.
    pub ack_timeout: Duration,
    /// After how many deliveries of one event it is given up (and moved aside where the backend can).
    pub max_attempts: u32,
}

impl Subscription {
    /// Everything published to these topics from now on, for this subscriber alone.
    #[must_use]
    pub fn to(topics: impl IntoIterator<Item = EventType>) -> Self {
        Self {
            topics: topics.into_iter().collect(),
            group: None,
            start: StartAt::Latest,
            max_pending: 1_024,
            ack_timeout: Duration::from_secs(30),
            max_attempts: 16,
        }
    }

    /// The same as a member of a group.
    #[must_use]
    pub fn in_group(mut self, group: impl Into<String>) -> Self {
        self.group = Some(group.into());
        self
    }

    /// Checks the bounds.
    ///
    /// # Errors
    /// `InvalidInput` naming `topics`, `group`, `max_pending`, `ack_timeout` or `max_attempts`.
    pub fn check(&self) -> Result<()> {
        if self.topics.is_empty() {
            return Err(Error::invalid("topics", "are empty"));
        }
        if let Some(group) = &self.group {
            crate::id::check_id("group", group)?;
        }
        if self.max_pending == 0 {
            return Err(Error::invalid("max_pending", "is zero"));
        }
        if self.ack_timeout.is_zero() {
            return Err(Error::invalid("ack_timeout", "is zero"));
        }
        if self.max_attempts == 0 {
            return Err(Error::invalid("max_attempts", "is zero"));
        }
        Ok(())
    }
}

/// What a subscriber is told.
#[derive(Debug)]
pub enum Signal {
    /// An event; acknowledge it.
    Delivery(Delivery),
    /// So many events were lost to this subscriber because it was too slow.
    Lost(u64),
    /// Events may have been lost here, nobody knows how many: the backend was out of reach, or no longer has them. Whoever
    /// must have them all reads them from the store.
    Gap,
}

/// A running subscription: a `Stream` of signals. It ends when the publisher disconnects; dropping it leaves the
/// group, and what it had not acknowledged is delivered again where the backend redelivers.
pub struct Subscriber(Pin<Box<dyn Stream<Item = Result<Signal>> + Send>>);

impl Subscriber {
    /// A subscriber over a backend's stream.
    pub fn new(stream: impl Stream<Item = Result<Signal>> + Send + 'static) -> Self {
        Self(Box::pin(stream))
    }

    /// The next signal; `None` when the stream has ended. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<Signal>> {
        std::future::poll_fn(|context| self.0.as_mut().poll_next(context)).await
    }

    /// The next delivery: skips over losses and gaps, which a caller who minds them takes from [`next`](Self::next).
    ///
    /// # Errors
    /// What the backend reports.
    pub async fn next_delivery(&mut self) -> Result<Option<Delivery>> {
        loop {
            match self.next().await {
                Some(Ok(Signal::Delivery(delivery))) => return Ok(Some(delivery)),
                Some(Ok(Signal::Lost(_) | Signal::Gap)) => {}
                Some(Err(error)) => return Err(error),
                None => return Ok(None),
            }
        }
    }
}

impl Stream for Subscriber {
    type Item = Result<Signal>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(context)
    }
}

impl fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Subscriber")
    }
}

/// What a subscriber says of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was processed.
    Ack,
    /// It was not; deliver it again.
    Nack,
}

/// A future that settles a delivery with a remote backend.
pub type SettleFuture<'a> = Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

/// How an answer is passed on.
#[allow(missing_debug_implementations, reason = "a future has nothing to show")]
pub enum Settling<'a> {
    /// It was settled at once; costs no allocation.
    Done(Result<()>),
    /// It takes a round trip.
    Pending(SettleFuture<'a>),
}

/// The backend's side of its deliveries; `token` is whatever the backend numbers them by.
pub trait Acknowledge: Send + Sync {
    /// Passes a subscriber's answer on. May be called again after an error.
    fn settle(&self, token: u64, answer: Answer) -> Settling<'_>;

    /// A delivery was dropped without an answer that was passed on. Must not block.
    fn abandoned(&self, token: u64);
}

/// One event for one subscriber. Dropped without an answer, it counts as not acknowledged, and is delivered
/// again where the backend redelivers.
pub struct Delivery {
    event: Event,
    attempt: u32,
    token: u64,
    backend: Option<Arc<dyn Acknowledge>>,
}

impl Delivery {
    /// A delivery; `attempt` counts from 1.
    #[must_use]
    pub fn new(event: Event, attempt: u32, backend: Arc<dyn Acknowledge>, token: u64) -> Self {
        Self {
            event,
            attempt,
            token,
            backend: Some(backend),
        }
    }

    /// The event.
    #[must_use]
    pub fn event(&self) -> &Event {
        &self.event
    }

    /// How often the backend knows it was delivered, this time included.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Says that it was processed. May be called again after an error; once it is settled, a repetition does
    /// nothing.
    ///
    /// # Errors
    /// `Unavailable` or `Timeout`: unknown whether the backend heard it; the event may come again.
    pub async fn ack(&mut self) -> Result<()> {
        self.settle(Answer::Ack).await
    }

    /// Says that it was not processed, and is to be delivered again.
    ///
    /// # Errors
    /// As for [`ack`](Self::ack).
    pub async fn nack(&mut self) -> Result<()> {
        self.settle(Answer::Nack).await
    }

    async fn settle(&mut self, answer: Answer) -> Result<()> {
        let Some(backend) = &self.backend else {
            return Ok(());
        };
        let result = match backend.settle(self.token, answer) {
            Settling::Done(result) => result,
            Settling::Pending(future) => future.await,
        };
        if result.is_ok() {
            self.backend = None;
        }
        result
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if let Some(backend) = self.backend.take() {
            backend.abandoned(self.token);
        }
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("event", &self.event)
            .field("attempt", &self.attempt)
            .finish()
    }
}

/// Publishes events to whoever subscribes, under one envelope.
///
/// # Errors
/// `InvalidInput` for an event that the backend can never carry (too large), for that event alone;
/// `Unavailable`, `Timeout` (effect unknown), `RateLimited` (not applied), `Unauthorized`.
///
/// # Dropped futures
/// A publish whose future is dropped may or may not happen. Consumers recognise repeats by the event's id.
#[async_trait]
pub trait EventPublisher: Send + Sync + fmt::Debug {
    /// What this backend promises.
    fn capabilities(&self) -> PublisherCapabilities;

    /// Publishes one event to the topic of its type.
    async fn publish(&self, event: Event) -> Result<()>;

    /// Publishes several; each has an outcome of its own. Events of one key keep their order: when one fails,
    /// those of the same key behind it in the batch are `NotAttempted`.
    ///
    /// # Errors
    /// `Err` only when none was tried.
    async fn publish_batch(&self, events: Vec<Event>) -> Result<BatchOutcome<()>> {
        let mut items = Vec::with_capacity(events.len());
        let mut failed = std::collections::HashSet::new();
        for event in events {
            let key = event.key().map(str::to_owned);
            if key.as_ref().is_some_and(|key| failed.contains(key)) {
                items.push(ItemOutcome::NotAttempted);
                continue;
            }
            match self.publish(event).await {
                Ok(()) => items.push(ItemOutcome::Done(())),
                Err(error) => {
                    failed.extend(key);
                    items.push(ItemOutcome::Failed(error));
                }
            }
        }
        Ok(BatchOutcome::from_items(items))
    }

    /// Subscribes. When it returns, what is published from then on arrives.
    ///
    /// # Errors
    /// `InvalidInput` naming what is out of bounds; `Unsupported` for a start or a group that the backend does
    /// not have.
    async fn subscribe(&self, subscription: Subscription) -> Result<Subscriber>;

    /// Whether somebody may receive what is published to this topic now. `None`: unknown, because subscribers
    /// are elsewhere; then it must be published.
    fn has_subscribers(&self, topic: &EventType) -> Option<bool> {
        let _ = topic;
        None
    }

    /// Asks the backend for a sign of life. `Unsupported` means unknown, not down.
    async fn ping(&self) -> Result<()> {
        Err(Error::unsupported(self.capabilities().backend, "ping"))
    }

    /// Sends what was accepted, ends the subscriptions, and lets go. Later calls answer `Unavailable`, not
    /// applied. Idempotent.
    async fn disconnect(&self) -> Result<()>;
}

const _: fn(&dyn EventPublisher) = |_| {};

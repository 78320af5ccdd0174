//! The event stream in memory.

mod queue;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use self::queue::{Found, Queue};
use crate::publisher::{
    Acknowledge, Answer, Delivery, PublisherCapabilities, Settling, Signal, StartAt, Subscriber, Subscription,
};
use crate::{Error, ErrorKind, Event, EventPublisher, EventType, Result};

const BACKEND: &str = "memory";

/// An event stream that is one lock over a list of queues: one for each subscriber without a group, and one for
/// each group. What a queue does is in `queue`; nothing of it is kept when its last member has left.
pub struct MemoryPublisher(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Wakes every member whenever anything has changed.
    changed: Notify,
}

#[derive(Default)]
struct State {
    queues: Vec<Queue>,
    /// Numbers queues, members and deliveries.
    next: u64,
    closed: bool,
}

impl State {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn queue(&mut self, id: u64) -> Option<&mut Queue> {
        self.queues.iter_mut().find(|queue| queue.id == id)
    }
}

impl MemoryPublisher {
    /// A publisher without subscribers yet.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::default())
    }
}

impl Default for MemoryPublisher {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for MemoryPublisher {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl fmt::Debug for MemoryPublisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryPublisher")
    }
}

impl Shared {
    fn close(&self) {
        self.state.lock().closed = true;
        self.changed.notify_waiters();
    }

    fn check_open(state: &State, operation: &'static str) -> Result<()> {
        if state.closed {
            return Err(Error::disconnected(BACKEND, operation));
        }
        Ok(())
    }

    fn join(self: &Arc<Self>, subscription: Subscription) -> Result<Member> {
        let unsupported = |context: &'static str| {
            Error::new(ErrorKind::Unsupported, context)
                .with_backend(BACKEND)
                .with_operation("subscribe")
        };
        subscription.check()?;
        if subscription.start != StartAt::Latest {
            return Err(unsupported(
                "a subscription cannot begin in the past: nothing is kept",
            ));
        }
        let mut state = self.state.lock();
        Self::check_open(&state, "subscribe")?;
        let member = state.number();
        let shared = state.queues.iter().find(|queue| queue.shares_with(&subscription));
        let id = match shared.map(|queue| (queue.id, queue.has_topics_of(&subscription))) {
            Some((id, true)) => id,
            Some((_, false)) => {
                return Err(unsupported(
                    "members of a group that share a topic must share all of their topics",
                ));
            }
            None => {
                let id = state.number();
                state.queues.push(Queue::new(id, &subscription));
                id
            }
        };
        if let Some(queue) = state.queue(id) {
            queue.join(member, subscription);
        }
        drop(state);
        self.changed.notify_waiters();
        Ok(Member {
            shared: Arc::clone(self),
            deliveries: Arc::new(Deliveries {
                shared: Arc::clone(self),
                queue: id,
            }),
            queue: id,
            id: member,
        })
    }
}

/// One member of a queue; dropping it leaves the queue.
struct Member {
    shared: Arc<Shared>,
    deliveries: Arc<Deliveries>,
    queue: u64,
    id: u64,
}

impl Member {
    /// Waits for the next signal; `None` at the end.
    async fn next(&self) -> Option<Signal> {
        loop {
            let changed = self.shared.changed.notified();
            tokio::pin!(changed);
            // Before looking, so that no change between the look and the wait is missed.
            changed.as_mut().enable();
            let watch = {
                let mut state = self.shared.state.lock();
                let (token, closed) = (state.number(), state.closed);
                match state.queue(self.queue)?.take(self.id, token, Instant::now()) {
                    Found::Delivery(event, attempt) => {
                        let backend: Arc<dyn Acknowledge> = Arc::<Deliveries>::clone(&self.deliveries);
                        return Some(Signal::Delivery(Delivery::new(event, attempt, backend, token)));
                    }
                    Found::Lost(lost) => return Some(Signal::Lost(lost)),
                    Found::Nothing(_) if closed => return None,
                    Found::Nothing(watch) => watch,
                }
            };
            tokio::select! {
                () = changed => {}
                () = sleep_until(watch) => {}
            }
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        if let Some(queue) = state.queue(self.queue) {
            queue.leave(self.id);
        }
        state.queues.retain(|queue| !queue.is_deserted());
        drop(state);
        self.shared.changed.notify_waiters();
    }
}

/// Where the deliveries of a queue are answered.
struct Deliveries {
    shared: Arc<Shared>,
    queue: u64,
}

impl Acknowledge for Deliveries {
    fn settle(&self, token: u64, answer: Answer) -> Settling<'_> {
        if let Some(queue) = self.shared.state.lock().queue(self.queue) {
            queue.settle(token, answer);
        }
        self.shared.changed.notify_waiters();
        Settling::Done(Ok(()))
    }

    fn abandoned(&self, token: u64) {
        let _ = self.settle(token, Answer::Nack);
    }
}

#[async_trait]
impl EventPublisher for MemoryPublisher {
    fn capabilities(&self) -> PublisherCapabilities {
        PublisherCapabilities {
            redelivers: true,
            groups: true,
            ordered: true,
            ..PublisherCapabilities::minimal(BACKEND)
        }
    }

    async fn publish(&self, event: Event) -> Result<()> {
        let mut state = self.0.state.lock();
        Shared::check_open(&state, "publish")?;
        for queue in &mut state.queues {
            queue.push(&event);
        }
        drop(state);
        self.0.changed.notify_waiters();
        Ok(())
    }

    async fn subscribe(&self, subscription: Subscription) -> Result<Subscriber> {
        let member = self.0.join(subscription)?;
        Ok(Subscriber::new(stream::unfold(member, |member| async {
            let signal = member.next().await?;
            Some((Ok(signal), member))
        })))
    }

    fn has_subscribers(&self, topic: &EventType) -> Option<bool> {
        let state = self.0.state.lock();
        Some(!state.closed && state.queues.iter().any(|queue| queue.reads(topic)))
    }

    async fn ping(&self) -> Result<()> {
        Shared::check_open(&self.0.state.lock(), "ping")
    }

    async fn disconnect(&self) -> Result<()> {
        self.0.close();
        Ok(())
    }
}

//! The subscriber that consumes both topics while the replay runs.

use std::collections::{BTreeMap, HashSet};

use kaireon::core::event::{DECISION_MADE, INTERACTION_RECORDED};
use kaireon::core::publisher::{Signal, Subscriber, Subscription};
use kaireon::core::{EventPublisher, EventType, Result};
use tokio::task::JoinHandle;

use crate::Failure;

/// How many events may wait for this subscriber before it loses some: more than a whole replay makes.
const MAX_PENDING: usize = 1 << 18;

/// A subscriber at work.
#[derive(Debug)]
pub(crate) struct Listener(JoinHandle<Result<Received>>);

/// What it received.
#[derive(Debug)]
pub(crate) struct Received {
    /// Different events, by type.
    pub(crate) by_type: BTreeMap<&'static str, u64>,
    /// Events that came again: delivery is at least once.
    pub(crate) repeats: u64,
    /// Events that it was too slow for.
    pub(crate) lost: u64,
    /// How often the stream was out of reach, and an unknown number of events lost.
    pub(crate) gaps: u64,
}

impl Listener {
    /// Subscribes: what is recorded from now on arrives.
    pub(crate) async fn begin(events: &dyn EventPublisher) -> Result<Self> {
        let subscription = Subscription {
            max_pending: MAX_PENDING,
            ..Subscription::to([EventType::interaction_recorded(), EventType::decision_made()])
        };
        let subscriber = events.subscribe(subscription).await?;
        Ok(Self(tokio::spawn(listen(subscriber))))
    }

    /// What it received until the stream ended, which it does when the publisher is shut down.
    pub(crate) async fn received(self) -> Result<Received, Failure> {
        Ok(self.0.await??)
    }
}

async fn listen(mut events: Subscriber) -> Result<Received> {
    let mut received = Received {
        by_type: BTreeMap::from([(INTERACTION_RECORDED, 0), (DECISION_MADE, 0)]),
        repeats: 0,
        lost: 0,
        gaps: 0,
    };
    // Whoever must not count twice remembers ids: after a crash, for example, the relay may deliver again.
    let mut seen = HashSet::new();
    while let Some(signal) = events.next().await {
        match signal? {
            Signal::Delivery(mut delivery) => {
                let event = delivery.event();
                let is_first = seen.insert((event.event_type().clone(), event.id().to_owned()));
                let count = received.by_type.get_mut(event.event_type().as_str());
                match count {
                    Some(count) if is_first => *count += 1,
                    _ => received.repeats += 1,
                }
                delivery.ack().await?;
            }
            Signal::Lost(events) => received.lost += events,
            Signal::Gap => received.gaps += 1,
        }
    }
    Ok(received)
}

//! The subscriber that reads both event streams while the replay runs.

use std::collections::{BTreeMap, HashSet};

use kaireon::Infra;
use kaireon::core::EventType;
use kaireon::core::publisher::{Signal, Subscriber, Subscription};
use tokio::task::JoinHandle;

use crate::Result;

/// So many events may wait for this subscriber before it loses any: all of a replay, should it be that slow.
const MAX_PENDING: usize = 1 << 18;

/// A subscriber at work.
pub(crate) struct Listener(JoinHandle<Result<Received>>);

/// What it received.
#[derive(Debug, Default)]
pub(crate) struct Received {
    by_type: BTreeMap<String, u64>,
    repeats: u64,
    lost: u64,
}

impl Listener {
    pub(crate) async fn subscribe(infra: &Infra) -> Result<Self> {
        let topics = [EventType::interaction_recorded(), EventType::decision_made()];
        let subscription = Subscription {
            max_pending: MAX_PENDING,
            ..Subscription::to(topics)
        };
        let subscriber = infra.events().subscribe(subscription).await?;
        Ok(Self(tokio::spawn(listen(subscriber))))
    }

    /// What it received until the stream ended.
    pub(crate) async fn finish(self) -> Result<Received> {
        self.0.await?
    }
}

async fn listen(mut events: Subscriber) -> Result<Received> {
    let mut received = Received::default();
    for topic in [EventType::interaction_recorded(), EventType::decision_made()] {
        received.by_type.insert(topic.to_string(), 0);
    }
    // Delivery is at least once; a repeat carries the id of the first.
    let mut seen = HashSet::new();
    while let Some(signal) = events.next().await {
        match signal? {
            Signal::Delivery(mut delivery) => {
                let event = delivery.event();
                let topic = event.event_type().to_string();
                if seen.insert((topic.clone(), event.id().to_owned())) {
                    *received.by_type.entry(topic).or_default() += 1;
                } else {
                    received.repeats += 1;
                }
                delivery.ack().await?;
            }
            Signal::Lost(lost) => received.lost += lost,
        }
    }
    Ok(received)
}

impl Received {
    pub(crate) fn by_type(&self) -> &BTreeMap<String, u64> {
        &self.by_type
    }

    pub(crate) fn print(&self) {
        println!("Events received");
        for (topic, count) in &self.by_type {
            println!("  {topic:<26} {count:>7}");
        }
        println!("  repeats {}, lost {}\n", self.repeats, self.lost);
    }
}

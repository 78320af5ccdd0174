//! Spans and metrics, over an event stream.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::StreamExt;

use super::Trace;
use crate::event::{Event, EventType};
use crate::publisher::{EventPublisher, PublisherCapabilities, Signal, Subscriber, Subscription};
use crate::store::{BatchOutcome, ItemOutcome};
use crate::wrap::name;
use crate::wrap::operation::Operation;
use crate::{Error, ErrorKind, Result};

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<P: EventPublisher> EventPublisher for Trace<P> {
    fn capabilities(&self) -> PublisherCapabilities {
        self.inner.capabilities()
    }

    fn has_subscribers(&self, topic: &EventType) -> Option<bool> {
        self.inner.has_subscribers(topic)
    }

    async fn publish(&self, event: Event) -> Result<()> {
        let call = self.inner.publish(event);
        let result = self.traced(Operation::Publish, name::of_events, call).await;
        let failure = result.as_ref().err().map(Error::kind);
        let system = self.system(name::of_events);
        self.meter.count_sent(Operation::Publish, system, failure, 1);
        result
    }

    async fn publish_batch(&self, events: Vec<Event>) -> Result<BatchOutcome<()>> {
        let call = self.inner.publish_batch(events);
        let result = self.traced(Operation::PublishBatch, name::of_events, call).await;
        // An `Err` says that none was tried, so none was sent.
        if let Ok(outcome) = &result {
            let system = self.system(name::of_events);
            for (failure, events) in by_outcome(outcome) {
                self.meter
                    .count_sent(Operation::PublishBatch, system, failure, events);
            }
        }
        result
    }

    async fn subscribe(&self, subscription: Subscription) -> Result<Subscriber> {
        let call = self.inner.subscribe(subscription);
        let subscriber = self.traced(Operation::Subscribe, name::of_events, call).await?;
        let system = self.system(name::of_events).to_owned();
        let meter = Arc::clone(&self.meter);
        Ok(Subscriber::new(subscriber.inspect(move |signal| {
            if let Ok(Signal::Delivery(_)) = signal {
                meter.count_consumed(&system);
            }
        })))
    }

    async fn ping(&self) -> Result<()> {
        self.traced(Operation::EventsPing, name::of_events, self.inner.ping())
            .await
    }

    async fn disconnect(&self) -> Result<()> {
        self.traced(
            Operation::EventsDisconnect,
            name::of_events,
            self.inner.disconnect(),
        )
        .await
    }
}

/// How many events of a batch were published, and how many failed for which reason; those that were not
/// attempted are neither.
fn by_outcome(outcome: &BatchOutcome<()>) -> Vec<(Option<ErrorKind>, u64)> {
    let mut counts: Vec<(Option<ErrorKind>, u64)> = Vec::new();
    for item in outcome.items() {
        let failure = match item {
            ItemOutcome::Done(()) => None,
            ItemOutcome::Failed(error) => Some(error.kind()),
            ItemOutcome::NotAttempted => continue,
        };
        match counts.iter_mut().find(|(counted, _)| *counted == failure) {
            Some((_, count)) => *count += 1,
            None => counts.push((failure, 1)),
        }
    }
    counts
}

//! Where a relay delivers to.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;

use crate::outbox::OutboxEntry;
use crate::publisher::EventPublisher;
use crate::store::ItemOutcome;
use crate::{Error, ErrorKind};

/// What became of one entry.
#[derive(Clone, Debug)]
pub enum Delivered {
    /// It was delivered, or needs no delivery any more.
    Done,
    /// It can never be delivered, for this reason.
    Poisoned(Error),
    /// It was not delivered this time.
    Failed(Error),
    /// It was not tried, because an entry before it failed.
    NotAttempted,
}

impl Delivered {
    /// What an error means for the entry it belongs to: `InvalidInput` and `Conflict` are poison, `Erased` needs
    /// no delivery, everything else may pass.
    #[must_use]
    pub fn from_error(error: Error) -> Self {
        match error.kind() {
            ErrorKind::InvalidInput | ErrorKind::Conflict => Self::Poisoned(error),
            ErrorKind::Erased => Self::Done,
            _ => Self::Failed(error),
        }
    }
}

/// Takes entries of a lane to whom they are for.
#[async_trait]
pub trait LaneSink: Send + Sync {
    /// Delivers entries; outcomes in their order.
    ///
    /// Where the lane promises an order, an entry must not be delivered while one before it with the same tenant
    /// and [`partition`](OutboxEntry::partition) failed; it is `NotAttempted` then. Entries may come again, with
    /// the same id.
    async fn deliver(&self, entries: &[OutboxEntry]) -> Vec<Delivered>;
}

/// Publishes the `publish` lane to an event stream.
#[derive(Debug)]
pub struct PublishSink {
    publisher: Arc<dyn EventPublisher>,
}

impl PublishSink {
    /// A sink over a publisher.
    #[must_use]
    pub fn new(publisher: Arc<dyn EventPublisher>) -> Self {
        Self { publisher }
    }

    /// Publishes the entries at these places in one batch and notes their outcomes.
    async fn publish(&self, entries: &[OutboxEntry], places: &[usize], outcomes: &mut [Delivered]) {
        let events = places.iter().map(|&place| entries[place].to_event()).collect();
        match self.publisher.publish_batch(events).await {
            Ok(batch) => {
                for (&place, item) in places.iter().zip(batch.into_items()) {
                    outcomes[place] = match item {
                        ItemOutcome::Done(()) => Delivered::Done,
                        ItemOutcome::Failed(error) => Delivered::from_error(error),
                        ItemOutcome::NotAttempted => Delivered::NotAttempted,
                    };
                }
            }
            // Nothing was tried, so no single entry is to blame: not even `InvalidInput` makes all of them poison.
            Err(error) => {
                for &place in places {
                    outcomes[place] = Delivered::Failed(error.clone());
                }
            }
        }
    }
}

#[async_trait]
impl LaneSink for PublishSink {
    async fn deliver(&self, entries: &[OutboxEntry]) -> Vec<Delivered> {
        let mut outcomes: Vec<_> = entries.iter().map(|_| Delivered::NotAttempted).collect();
        let mut rest: Vec<usize> = (0..entries.len()).collect();
        if self.publisher.capabilities().ordered {
            self.publish(entries, &rest, &mut outcomes).await;
            return outcomes;
        }
        // A stream that may reorder a batch gets one entry of each customer at a time.
        let mut failed = HashSet::new();
        while !rest.is_empty() {
            let mut seen = HashSet::new();
            let key = |place: usize| (entries[place].tenant.as_str(), entries[place].partition());
            let (wave, later): (Vec<_>, Vec<_>) =
                rest.into_iter().partition(|&place| seen.insert(key(place)));
            self.publish(entries, &wave, &mut outcomes).await;
            for place in wave {
                if matches!(outcomes[place], Delivered::Failed(_) | Delivered::NotAttempted) {
                    failed.insert(key(place));
                }
            }
            rest = later
                .into_iter()
                .filter(|&place| !failed.contains(&key(place)))
                .collect();
        }
        outcomes
    }
}

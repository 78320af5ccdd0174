//! The outbox relay: takes entries out of a lane and hands them to whom they are for.
//!
//! Delivery is at least once after `Ok`, and in commit order per customer. Any number of relays, in any number of
//! processes, share a lane by leased ranges of customers; a relay that dies loses its ranges to the others when
//! its leases expire, and one that was stopped and comes back is refused by the fencing numbers of the ranges it
//! has lost. Nothing is published inside a transaction.
//!
//! A batch is delivered while the one before it is settled and the one behind it is read. So a relay that dies has
//! up to two batches delivered that come again. Leases are renewed meanwhile, so a sink may take its time.
//!
//! What was read of a customer who is erased then is delivered before the erasure gives its receipt, or never: a relay
//! that is [asked to](crate::outbox::Leased::recalled) gives the customer's range back, with all that it has read of it,
//! as soon as the batch in hand is delivered, and the erasure waits for that, or for the end of the relay's leases. A
//! relay delivers nothing under leases that have ended. What its sink was handed before, and passes on though the call
//! was given up, is out of its hands.
//!
//! An entry that its sink calls poisonous ([`Delivered::Poisoned`]) is moved to the dead letters and leaves the
//! order. One that fails for a passing reason keeps its range waiting, with a growing pause, while the other
//! ranges go on.
//!
//! ```
//! use std::sync::Arc;
//! use kaireon_core::memory::{MemoryPublisher, MemoryStore};
//! use kaireon_core::outbox::{Lane, LaneSet};
//! use kaireon_core::publisher::Subscription;
//! use kaireon_core::relay::{PublishSink, Relay, RelayConfig};
//! use kaireon_core::{EventPublisher, EventType, Interaction, InteractionStore};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> kaireon_core::Result<()> {
//! let store = MemoryStore::new();
//! let outbox = store.outbox().expect("the reference store has an outbox");
//! outbox.set_lanes(LaneSet::of(&[Lane::Publish])).await?;
//! let publisher: Arc<dyn EventPublisher> = Arc::new(MemoryPublisher::new());
//! let mut events = publisher.subscribe(Subscription::to([EventType::interaction_recorded()])).await?;
//!
//! let relay = Relay::spawn(outbox, PublishSink::new(Arc::clone(&publisher)), RelayConfig::new(Lane::Publish));
//! let shown = Interaction::builder("acme", "c7").offer("shoes").creative("banner").channel("web").build()?;
//! store.record_event(shown.clone()).await?;
//!
//! let mut delivery = events.next_delivery().await?.expect("the publisher is connected");
//! assert_eq!(delivery.event().id(), shown.id.as_str());
//! delivery.ack().await?;
//! relay.drain(std::time::Duration::from_secs(5)).await?;
//! # Ok(()) }
//! ```

mod hand;
mod hold;
mod measure;
mod run;
mod sink;
mod size;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use sink::{Delivered, LaneSink, PublishSink};

use crate::outbox::{Destination, Lane, Outbox};
use crate::{Effect, Error, ErrorKind, InteractionId, Result};

/// How a relay works.
#[derive(Clone, Debug)]
pub struct RelayConfig {
    /// The lane it empties.
    pub lane: Lane,
    /// Its name among the relays of the lane; unique by default.
    pub owner: String,
    /// The most entries it takes at once; 512 by default, 0 counts as 1. Halved while whole batches run out of time
    /// ([`Timeout`](crate::ErrorKind::Timeout)), and doubled again after full ones went through.
    pub max_entries: u32,
    /// How long its leases last, and so how long a dead relay's ranges wait; 10 s by default. Renewed at a third,
    /// also while a batch is being delivered, so a sink may take longer than a lease lasts. A delivery during which
    /// no renewal succeeds is given up when the leases end.
    pub lease_ttl: Duration,
    /// The longest it waits for a wake-up before it looks again; 500 ms by default.
    pub max_idle: Duration,
    /// The pause after a first failure of a range, doubled at each further one; 20 ms by default.
    pub min_pause: Duration,
    /// The longest pause of a failing range; 5 s by default.
    pub max_pause: Duration,
    /// How often backlog and age are measured for the metrics; 5 s by default. Delivery does not wait for it.
    pub status_every: Duration,
    /// Where its sink delivers to. While the lane leads elsewhere, the relay takes no ranges, and says so once.
    pub destination: Destination,
}

impl RelayConfig {
    /// A relay of a lane, under a name of its own.
    #[must_use]
    pub fn new(lane: Lane) -> Self {
        Self {
            lane,
            owner: format!("relay-{}", InteractionId::fresh()),
            max_entries: 512,
            lease_ttl: Duration::from_secs(10),
            max_idle: Duration::from_millis(500),
            min_pause: Duration::from_millis(20),
            max_pause: Duration::from_secs(5),
            status_every: Duration::from_secs(5),
            destination: Destination::unnamed(),
        }
    }
}

/// What a relay has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RelayStats {
    /// Entries that were delivered and settled.
    pub delivered: u64,
    /// Entries that were moved to the dead letters.
    pub poisoned: u64,
    /// Entries that were tried, failed, and will be tried again.
    pub failed: u64,
}

#[derive(Debug, Default)]
struct Counters {
    delivered: AtomicU64,
    poisoned: AtomicU64,
    failed: AtomicU64,
}

/// What the handle tells the task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// Go on until told otherwise.
    Run,
    /// Empty the lane, then end.
    Drain,
    /// End after what is in hand.
    Stop,
}

/// A running relay. Dropping it ends the task after what is in hand is abandoned; entries that were delivered but
/// not yet settled are delivered again by the next relay.
#[derive(Debug)]
pub struct Relay {
    order: watch::Sender<Order>,
    counters: Arc<Counters>,
    task: tokio::sync::Mutex<Option<JoinHandle<()>>>,
}

impl Relay {
    /// Starts a relay as a task of the present runtime.
    pub fn spawn(outbox: Arc<dyn Outbox>, sink: impl LaneSink + 'static, config: RelayConfig) -> Self {
        let (order, orders) = watch::channel(Order::Run);
        let counters = Arc::new(Counters::default());
        let worker = run::Worker::new(outbox, Arc::new(sink), config, orders, Arc::clone(&counters));
        let task = tokio::spawn(worker.run());
        Self {
            order,
            counters,
            task: tokio::sync::Mutex::new(Some(task)),
        }
    }

    /// What it has done so far.
    #[must_use]
    pub fn stats(&self) -> RelayStats {
        let Counters {
            delivered,
            poisoned,
            failed,
        } = &*self.counters;
        RelayStats {
            delivered: delivered.load(Ordering::Relaxed),
            poisoned: poisoned.load(Ordering::Relaxed),
            failed: failed.load(Ordering::Relaxed),
        }
    }

    /// Empties the lane as far as this relay's ranges go, gives its leases back, and ends.
    ///
    /// # Errors
    /// `Timeout` when the deadline passed first; the relay has ended then as well, and what was left waits for
    /// the next one.
    ///
    /// # Dropped futures
    /// The relay goes on to empty its lane and ends; a second call waits for that.
    pub async fn drain(&self, deadline: Duration) -> Result<()> {
        self.finish(Order::Drain, deadline).await
    }

    /// Ends after the batch in hand, and gives the leases back.
    ///
    /// # Errors
    /// As for [`drain`](Self::drain).
    pub async fn stop(&self, deadline: Duration) -> Result<()> {
        self.finish(Order::Stop, deadline).await
    }

    async fn finish(&self, order: Order, deadline: Duration) -> Result<()> {
        // An earlier order to stop is not weakened to draining.
        self.order.send_if_modified(|present| {
            let change = *present == Order::Run || order == Order::Stop;
            if change {
                *present = order;
            }
            change
        });
        let late = || {
            Error::new(
                ErrorKind::Timeout,
                "the outbox was not emptied before the deadline",
            )
            .with_operation("drain")
            .with_effect(Effect::Unknown)
        };
        let end = run::after(tokio::time::Instant::now(), deadline);
        let mut slot = tokio::time::timeout_at(end, self.task.lock())
            .await
            .map_err(|_| late())?;
        // The handle stays in its slot while it is waited for, so that a caller who is dropped meanwhile leaves it
        // to the next one.
        let Some(task) = slot.as_mut() else {
            return Ok(());
        };
        let ended = match tokio::time::timeout_at(end, &mut *task).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => {
                Err(Error::new(ErrorKind::Internal, "the relay ended by a panic").with_operation("drain"))
            }
            Err(_) => {
                task.abort();
                Err(late())
            }
        };
        *slot = None;
        ended
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(task) = self.task.get_mut() {
            task.abort();
        }
    }
}

#[cfg(test)]
mod tests;

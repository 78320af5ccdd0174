//! What lies between a store and an event stream: the `publish` lane of the outbox, and the relay that empties it.

mod keeper;
mod lane_use;
mod listeners;
mod readers;
mod streams;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kaireon_core::outbox::{Destination, Lane, LaneSet};
use kaireon_core::publisher::Subscriber;
use kaireon_core::relay::{PublishSink, Relay, RelayConfig};
use kaireon_core::{Effect, Error, ErrorKind, EventPublisher, Outbox, Result};
pub(crate) use lane_use::{LanePolicy, LaneUse, LaneWriters, Reach, Wants};
pub(crate) use listeners::Listeners;
use parking_lot::Mutex;
pub(crate) use streams::Streams;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// The least time for the last thing that a stream does, whatever its deadline says.
const LAST_MOMENT: Duration = Duration::from_millis(10);

/// What the lane is to be.
#[derive(Clone, Copy, Debug)]
enum Wanted {
    On,
    Off,
}

/// How far a stream has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Another stream of the same outbox still empties it.
    Waiting,
    Running,
    Ended,
}

/// One lane from one store to one publisher.
pub(crate) struct EventStream {
    core: Arc<Core>,
    keeper: Mutex<Option<AbortHandle>>,
}

struct Core {
    use_of: LaneUse,
    outbox: Option<Arc<dyn Outbox>>,
    publisher: Arc<dyn EventPublisher>,
    /// Of every relay of this stream: others know it by one name, and it delivers to one destination.
    relays: RelayConfig,
    /// Names this process, across resets: its streams deliver to the same subscribers.
    process: String,
    leftovers_wait: Duration,
    listeners: Arc<Listeners>,
    changed: Notify,
    phase: watch::Sender<Phase>,
    /// Whether another stream has taken the lane over, so that this one leaves it alone.
    handed_over: AtomicBool,
    /// Whoever changes the lane holds this lock meanwhile.
    relay: tokio::sync::Mutex<Option<Arc<Relay>>>,
}

impl EventStream {
    /// A stream that does nothing yet.
    pub(crate) fn new(
        use_of: LaneUse,
        outbox: Option<Arc<dyn Outbox>>,
        (publisher, listeners): (Arc<dyn EventPublisher>, Arc<Listeners>),
        leftovers_wait: Duration,
        former: Option<&Self>,
    ) -> Arc<Self> {
        let relays = RelayConfig::new(Lane::Publish);
        let process = former.map_or_else(|| relays.owner.clone(), |former| former.core.process.clone());
        let backend = publisher.capabilities().backend;
        let destination = match (use_of.policy, use_of.reach) {
            // Nobody else can open the store.
            (_, Reach::Process) => Destination::unnamed(),
            (LanePolicy::Always, Reach::Shared) => Destination::shared(backend),
            (LanePolicy::Never | LanePolicy::WhileSubscribed, Reach::Shared) => {
                Destination::process(format!("{backend} of {process}"))
            }
        };
        let relays = RelayConfig {
            destination,
            ..relays
        };
        let core = Core {
            use_of,
            outbox,
            publisher,
            relays,
            process,
            leftovers_wait,
            listeners,
            changed: Notify::new(),
            phase: watch::Sender::new(Phase::Waiting),
            handed_over: AtomicBool::new(false),
            relay: tokio::sync::Mutex::default(),
        };
        Arc::new(Self {
            core: Arc::new(core),
            keeper: Mutex::new(None),
        })
    }

    pub(crate) fn use_of(&self) -> LaneUse {
        self.core.use_of
    }

    /// Turns the lane on where it is to be on from the first record.
    pub(crate) async fn prepare(&self) -> Result<()> {
        let core = &self.core;
        let _changing = core.relay.lock().await;
        match core.use_of.policy {
            LanePolicy::Never => Ok(()),
            LanePolicy::Always => core.set_lane(Wanted::On).await,
            LanePolicy::WhileSubscribed => core.set_lane_for_listeners().await.map(drop),
        }
    }

    /// Begins to relay, and lets subscribers in. Idempotent.
    pub(crate) async fn start(&self) -> Result<()> {
        let core = &self.core;
        let mut relay = core.relay.lock().await;
        if *core.phase.borrow() != Phase::Waiting {
            return Ok(());
        }
        match (core.use_of.policy, core.use_of.reach) {
            (LanePolicy::Always, _) => {
                core.set_lane(Wanted::On).await?;
                core.run_relay(&mut relay);
                self.keep(Arc::clone(core).keep_on());
            }
            // It may be on for others.
            (LanePolicy::Never, Reach::Shared) => self.keep(Arc::clone(core).keep_shared()),
            (LanePolicy::WhileSubscribed, Reach::Shared) => {
                if core.set_lane_for_listeners().await? {
                    core.run_relay(&mut relay);
                }
                self.keep(Arc::clone(core).keep_shared());
            }
            (LanePolicy::Never, Reach::Process) => core.set_lane(Wanted::Off).await?,
            (LanePolicy::WhileSubscribed, Reach::Process) => {
                if core.set_lane_for_listeners().await? {
                    core.run_relay(&mut relay);
                } else {
                    core.set_lane(Wanted::Off).await?;
                }
                let leftovers_wait = core.leftovers_wait().await?;
                self.keep(Arc::clone(core).keep(leftovers_wait));
            }
        }
        drop(relay);
        core.phase.send_replace(Phase::Running);
        Ok(())
    }

    fn keep(&self, keeper: impl Future<Output = ()> + Send + 'static) {
        if self.core.outbox.is_some() {
            let keeper = tokio::spawn(keeper).abort_handle();
            if let Some(former) = self.keeper.lock().replace(keeper) {
                former.abort();
            }
        }
    }

    /// Counts a subscriber in, until it is dropped; what is recorded from now on is written into the lane.
    ///
    /// # Errors
    /// `Unavailable`, transient, where the lane of a shared store leads elsewhere and the subscriber is there for what
    /// is recorded: to one process's subscribers, or to a broker. Half of the events would be lost to each.
    pub(crate) async fn listen(&self, subscriber: Subscriber, wants: Wants) -> Result<Subscriber> {
        let core = &self.core;
        if core.use_of.policy != LanePolicy::WhileSubscribed || core.outbox.is_none() {
            return Ok(subscriber);
        }
        let ended = || {
            Error::new(ErrorKind::Unavailable, "the event stream has ended")
                .with_operation("subscribe")
                .with_effect(Effect::NotApplied)
        };
        let mut phases = core.phase.subscribe();
        let phase = *phases
            .wait_for(|phase| *phase != Phase::Waiting)
            .await
            .map_err(|_| ended())?;
        if phase == Phase::Ended {
            return Err(ended());
        }
        let listening = core.listeners.enter();
        let mut relay = core.relay.lock().await;
        if let (Some(outbox), Reach::Shared) = (&core.outbox, core.use_of.reach) {
            let elsewhere = match &*relay {
                // Known before the lane is on, so that nobody who finds it unread turns it off again.
                None => core.announce(&**outbox).await?,
                Some(_) => readers::elsewhere(&**outbox, &core.relays).await?,
            };
            match (elsewhere, wants) {
                (None, _) => {}
                (Some(in_force), Wants::Recorded) => return Err(leads_elsewhere(&in_force)),
                (Some(in_force), Wants::OwnEvents) => {
                    tracing::warn!(%in_force, "what goes through the outbox of the shared store is delivered elsewhere");
                    return Ok(subscriber);
                }
            }
        }
        core.set_lane(Wanted::On).await?;
        core.run_relay(&mut relay);
        drop(relay);
        Ok(listening.with(subscriber))
    }

    /// Delivers what waits, ends the relay, and leaves the lane off where it was on for subscribers of this
    /// process alone. Lets no subscriber in any more. Idempotent.
    pub(crate) async fn drain(&self, deadline: Instant) -> Result<()> {
        self.core.phase.send_replace(Phase::Ended);
        if let Some(keeper) = self.keeper.lock().take() {
            keeper.abort();
        }
        // Whoever starts the relay just now holds it while a store is asked, which may hang.
        let relay =
            tokio::time::timeout_at(deadline.max(Instant::now() + LAST_MOMENT), self.core.relay.lock())
                .await
                .map_err(|_| {
                    Error::new(
                        ErrorKind::Timeout,
                        "the relay was still being started at the deadline",
                    )
                })?
                .clone();
        let drained = match relay {
            Some(relay) => {
                relay
                    .drain(deadline.saturating_duration_since(Instant::now()))
                    .await
            }
            None => Ok(()),
        };
        if self.core.use_of.policy == LanePolicy::WhileSubscribed {
            let off = async {
                let _changing = self.core.relay.lock().await;
                self.core.turn_off().await
            };
            let late = |_| Error::new(ErrorKind::Timeout, "the publish lane was not turned off in time");
            tokio::time::timeout_at(deadline.max(Instant::now() + LAST_MOMENT), off)
                .await
                .map_err(late)
                .flatten()?;
        }
        drained
    }
}

impl Core {
    /// Turns the lane on or off; under the lock.
    async fn set_lane(&self, wanted: Wanted) -> Result<()> {
        let Some(outbox) = &self.outbox else {
            return Ok(());
        };
        if self.handed_over.load(Ordering::Acquire) {
            return Ok(());
        }
        // The other lanes are a migration's and an export's, not ours to change.
        let publish = LaneSet::of(&[Lane::Publish]);
        let (on, off) = match wanted {
            Wanted::On => (publish, LaneSet::NONE),
            Wanted::Off => (LaneSet::NONE, publish),
        };
        let present = outbox.lanes().await?;
        if present.changed(on, off) != present {
            outbox.change_lanes(on, off).await?;
        }
        Ok(())
    }

    /// Turns the lane on for those who subscribed before a reset; whether that was so. Under the lock.
    async fn set_lane_for_listeners(&self) -> Result<bool> {
        let Some(outbox) = self.outbox.as_ref().filter(|_| self.listeners.any()) else {
            return Ok(false);
        };
        if self.use_of.reach == Reach::Shared
            && let Some(in_force) = self.announce(&**outbox).await?
        {
            tracing::warn!(%in_force, "subscribers from before a reset are not told of the shared store: its events go elsewhere");
            return Ok(false);
        }
        self.set_lane(Wanted::On).await?;
        Ok(true)
    }

    fn run_relay(&self, relay: &mut Option<Arc<Relay>>) {
        if let (Some(outbox), None) = (&self.outbox, &relay) {
            let sink = PublishSink::new(Arc::clone(&self.publisher));
            let relays = self.relays.clone();
            *relay = Some(Arc::new(Relay::spawn(Arc::clone(outbox), sink, relays)));
        }
    }
}

fn leads_elsewhere(in_force: &str) -> Error {
    let context = format!(
        "the events of the shared store go to `{in_force}`, and not to subscribers of this process as well: subscribe \
         where they go, or choose a stream that all processes reach"
    );
    Error::new(ErrorKind::Unavailable, context)
        .with_operation("subscribe")
        .with_transient(true)
        .with_effect(Effect::NotApplied)
}

impl Drop for EventStream {
    fn drop(&mut self) {
        if let Some(keeper) = self.keeper.lock().take() {
            keeper.abort();
        }
    }
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream")
            .field("use_of", &self.core.use_of)
            .field("phase", &*self.core.phase.borrow())
            .field("listeners", &self.core.listeners)
            .finish_non_exhaustive()
    }
}

/// While this lives, a stream leaves its lane to another one of the same outbox.
pub(crate) struct HandedOver<'a>(&'a EventStream);

impl<'a> HandedOver<'a> {
    /// Returns when the stream has ended what it was changing.
    pub(crate) async fn begin(stream: &'a EventStream) -> Self {
        stream.core.handed_over.store(true, Ordering::Release);
        let handed_over = Self(stream);
        drop(stream.core.relay.lock().await);
        handed_over
    }

    /// Leaves it for good.
    pub(crate) fn complete(self) {
        std::mem::forget(self);
    }
}

impl Drop for HandedOver<'_> {
    /// The other stream was not to be had.
    fn drop(&mut self) {
        self.0.core.handed_over.store(false, Ordering::Release);
        self.0.core.changed.notify_one();
    }
}

#[cfg(test)]
mod tests;

//! What lies between a store and an event stream: the `publish` lane of the outbox, and the relay that empties it.

mod keeper;
mod readers;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use kaireon_core::outbox::{Destination, Lane, LaneSet};
use kaireon_core::publisher::{Signal, Subscriber};
use kaireon_core::relay::{PublishSink, Relay, RelayConfig};
use kaireon_core::{Effect, Error, ErrorKind, EventPublisher, EventType, Outbox, Result};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// When recorded events are written into the `publish` lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LanePolicy {
    /// Never: the stream is disabled. What an earlier run left stays for the next one that has a stream.
    Never,
    /// Always: subscribers may be elsewhere.
    Always,
    /// While somebody in this process subscribes.
    WhileSubscribed,
}

/// The least time for the last thing that a stream does, whatever its deadline says.
const LAST_MOMENT: Duration = Duration::from_millis(10);

/// Who may use a store's outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// This process alone.
    Process,
    /// Other processes as well, with configurations of their own.
    Shared,
}

/// What the lane is to be.
#[derive(Clone, Copy, Debug)]
enum Wanted {
    On,
    Off,
}

/// What a subscriber is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wants {
    /// What is recorded in the store.
    Recorded,
    /// Events of the host's own alone, which may be published in this process.
    OwnEvents,
}

impl Wants {
    pub(crate) fn of(topics: &[EventType]) -> Self {
        let recorded = [EventType::interaction_recorded(), EventType::decision_made()];
        match topics.iter().any(|topic| recorded.contains(topic)) {
            true => Self::Recorded,
            false => Self::OwnEvents,
        }
    }
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
    policy: LanePolicy,
    reach: Reach,
    outbox: Option<Arc<dyn Outbox>>,
    publisher: Arc<dyn EventPublisher>,
    /// Of every relay of this stream: others know it by one name, and it delivers to one destination.
    relays: RelayConfig,
    /// Names this process, across resets: its streams deliver to the same subscribers.
    process: String,
    leftovers_wait: Duration,
    listeners: AtomicUsize,
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
        (policy, reach): (LanePolicy, Reach),
        outbox: Option<Arc<dyn Outbox>>,
        publisher: Arc<dyn EventPublisher>,
        leftovers_wait: Duration,
        former: Option<&Self>,
    ) -> Arc<Self> {
        let relays = RelayConfig::new(Lane::Publish);
        let process = former.map_or_else(|| relays.owner.clone(), |former| former.core.process.clone());
        let backend = publisher.capabilities().backend;
        let destination = match (policy, reach) {
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
            policy,
            reach,
            outbox,
            publisher,
            relays,
            process,
            leftovers_wait,
            listeners: AtomicUsize::new(0),
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

    pub(crate) fn policy(&self) -> LanePolicy {
        self.core.policy
    }

    /// Turns the lane on where it is to be on from the first record.
    pub(crate) async fn prepare(&self) -> Result<()> {
        if self.core.policy == LanePolicy::Always {
            let _changing = self.core.relay.lock().await;
            self.core.set_lane(Wanted::On).await?;
        }
        Ok(())
    }

    /// Begins to relay, and lets subscribers in. Idempotent.
    pub(crate) async fn start(&self) -> Result<()> {
        let core = &self.core;
        let mut relay = core.relay.lock().await;
        if *core.phase.borrow() != Phase::Waiting {
            return Ok(());
        }
        match (core.policy, core.reach) {
            (LanePolicy::Always, _) => {
                core.set_lane(Wanted::On).await?;
                core.run_relay(&mut relay);
                self.keep(Arc::clone(core).keep_on());
            }
            // It may be on for others.
            (LanePolicy::Never | LanePolicy::WhileSubscribed, Reach::Shared) => {
                self.keep(Arc::clone(core).keep_shared());
            }
            (LanePolicy::Never, Reach::Process) => core.set_lane(Wanted::Off).await?,
            (LanePolicy::WhileSubscribed, Reach::Process) => {
                core.set_lane(Wanted::Off).await?;
                self.keep(Arc::clone(core).keep());
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
        if core.policy != LanePolicy::WhileSubscribed || core.outbox.is_none() {
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
        core.listeners.fetch_add(1, Ordering::AcqRel);
        let listening = Listening(Arc::clone(core));
        let mut relay = core.relay.lock().await;
        if let (Some(outbox), Reach::Shared) = (&core.outbox, core.reach) {
            let elsewhere = match &*relay {
                // Known before the lane is on, so that nobody who finds it unread turns it off again.
                None => readers::announce(&**outbox, &core.relays).await?,
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
        Ok(Subscriber::new(Counted {
            subscriber,
            _listening: listening,
        }))
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
        if self.core.policy == LanePolicy::WhileSubscribed {
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
            .field("policy", &self.core.policy)
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

/// One subscriber that counts as listening.
struct Listening(Arc<Core>);

impl Drop for Listening {
    fn drop(&mut self) {
        if self.0.listeners.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.changed.notify_one();
        }
    }
}

/// A subscription that counts as listening while it lives.
struct Counted {
    subscriber: Subscriber,
    _listening: Listening,
}

impl Stream for Counted {
    type Item = Result<Signal>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.subscriber).poll_next(context)
    }
}

#[cfg(test)]
mod tests;

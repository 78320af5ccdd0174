//! One set of connected backends, the gates in front of them, and the handles that are given out.

mod backends;
mod handles;

use std::sync::Arc;
use std::time::Duration;

use kaireon_core::outbox::Lane;
use kaireon_core::wrap::{Timeout, Trace};
use kaireon_core::{Error, ErrorKind, EventPublisher, EventType, Outbox, Result};
use tokio::time::Instant;

use self::backends::Backends;
use self::handles::{Gates, Handles, handles};
use crate::Config;
use crate::adapters::DisabledPublisher;
use crate::gate::Gate;
use crate::plan::Plan;
use crate::report::{DrainReport, Outcome, Part};
use crate::startup::Startup;
use crate::stream::{EventStream, HandedOver, LanePolicy, Reach};

/// Which part of a deadline the calls that are under way have to themselves.
const CALLS_SHARE: f64 = 0.8;

/// One set.
#[derive(Debug)]
pub(crate) struct Set {
    config: Config,
    startup: Startup,
    backends: Backends,
    stream: Arc<EventStream>,
    gates: Gates,
    pub(crate) handles: Handles,
}

impl Set {
    /// Connects what a plan says, taking over from `former` what is the same. Its stream is not started yet.
    pub(crate) async fn build(plan: &Plan, config: Config, former: Option<&Self>) -> Result<Self> {
        let former_backends = former.map(|former| &former.backends);
        let backends = Backends::connect(plan, &config, former_backends).await?;
        let stream = stream(&backends, &config, former);
        let gates = Gates::of(&backends);
        let handles = handles(&backends, &gates, &stream, config.calls);
        let set = Self {
            config,
            startup: plan.startup.clone(),
            backends,
            stream,
            gates,
            handles,
        };
        // Of another store the former stream goes on by itself; of this one only one stream may set the lane.
        let handed_over = match former {
            Some(former) if former.shares_store_only(&set) => Some(HandedOver::begin(&former.stream).await),
            _ => None,
        };
        if let Err(error) = set.stream.prepare().await {
            drop(handed_over);
            set.backends.abandon(former_backends).await;
            return Err(error);
        }
        if let Some(handed_over) = handed_over {
            handed_over.complete();
        }
        Ok(set)
    }

    /// Whether two sets have one store between them, and a stream each.
    fn shares_store_only(&self, other: &Self) -> bool {
        self.backends.store.is(&other.backends.store) && !self.has_stream_of(other)
    }

    fn has_stream_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.stream, &other.stream)
    }

    /// Begins to relay, where it has not begun yet.
    pub(crate) async fn start(&self) -> Result<()> {
        self.stream.start().await
    }

    pub(crate) fn startup(&self) -> &Startup {
        &self.startup
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Waits until nobody holds a handle any more, `grace` at most.
    pub(crate) async fn released(&self, grace: Duration) {
        /// Nothing tells of a reference that is given back, so it is looked for.
        const LOOK_EVERY: Duration = Duration::from_millis(5);

        let end = Instant::now() + grace;
        while Instant::now() < end && self.handles.are_held() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Lets no call in any more.
    pub(crate) fn close(&self) {
        self.gates.close();
    }

    /// Finishes what was accepted, delivers what waits in the outbox, and lets go of all that `next` has not taken
    /// over.
    pub(crate) async fn drain(&self, next: Option<&Self>, deadline: Instant) -> DrainReport {
        self.close();
        let Gates {
            store,
            events,
            search,
            cache,
            limits,
        } = &self.gates;
        // One call that hangs must not take the time in which all else could end well.
        let calls = Instant::now()
            + deadline
                .saturating_duration_since(Instant::now())
                .mul_f64(CALLS_SHARE);
        let (store, events, search, cache, _) = tokio::join!(
            emptied(store, calls),
            emptied(events, calls),
            emptied(search, calls),
            emptied(cache, calls),
            emptied(limits, calls),
        );
        let relay = match next {
            Some(next) if self.has_stream_of(next) => Outcome::CarriedOver,
            _ => outcome(self.stream.drain(deadline).await),
        };
        let mut parts = vec![(Part::Relay, relay)];
        let next = next.map(|next| &next.backends);
        let Backends {
            store: store_backend,
            events: events_backend,
            search: search_backend,
            cache: cache_backend,
            limiter: _,
            breaker: _,
        } = &self.backends;
        if next.is_some_and(|next| next.events.is(events_backend)) {
            parts.push((Part::Events, carried(events)));
        } else {
            let raw = Arc::clone(&events_backend.raw);
            let end = let_go(async move { raw.disconnect().await }, deadline).await;
            parts.push((Part::Events, worse(events, end)));
        }
        if next.is_some_and(|next| next.search.is(search_backend)) {
            parts.push((Part::Search, carried(search)));
        } else {
            let raw = Arc::clone(&search_backend.raw);
            let end = let_go(async move { raw.disconnect().await }, deadline).await;
            parts.push((Part::Search, worse(search, end)));
        }
        if next.is_some_and(|next| next.cache.is(cache_backend)) {
            parts.push((Part::Cache, carried(cache)));
        } else {
            let raw = Arc::clone(&cache_backend.raw);
            let end = let_go(async move { raw.disconnect().await }, deadline).await;
            parts.push((Part::Cache, worse(cache, end)));
        }
        if next.is_some_and(|next| next.store.is(store_backend)) {
            parts.push((Part::Store, carried(store)));
        } else {
            let raw = Arc::clone(&store_backend.raw);
            let end = let_go(async move { raw.disconnect().await }, deadline).await;
            parts.push((Part::Store, worse(store, end)));
        }
        DrainReport::new(parts)
    }

    pub(crate) async fn ping_store(&self) -> Result<()> {
        let _pass = self.gates.store.enter("ping")?;
        self.backends.store.raw.ping().await
    }

    pub(crate) async fn ping_events(&self) -> Result<()> {
        let _pass = self.gates.events.enter("ping")?;
        self.backends.events.raw.ping().await
    }

    pub(crate) async fn ping_search(&self) -> Result<()> {
        let _pass = self.gates.search.enter("ping")?;
        self.backends.search.raw.ping().await
    }

    pub(crate) async fn ping_cache(&self) -> Result<()> {
        let _pass = self.gates.cache.enter("ping")?;
        self.backends.cache.raw.ping().await
    }

    /// How many entries wait to be published; `Unsupported` where the store has no outbox.
    pub(crate) async fn relay_status(&self) -> Result<Option<u64>> {
        let _pass = self.gates.store.enter("status")?;
        let Some(outbox) = self.backends.store.raw.outbox() else {
            return Err(Error::unsupported(
                self.backends.store.raw.capabilities().backend,
                "outbox",
            ));
        };
        let status = outbox.status(Lane::Publish).await?;
        Ok(Some(status.backlog))
    }
}

/// The stream between a set's store and its publisher: the former one, where both are the same.
fn stream(backends: &Backends, config: &Config, former: Option<&Set>) -> Arc<EventStream> {
    let Backends { store, events, .. } = backends;
    let policy = lane_policy(&*events.raw);
    if let Some(former) = former.filter(|former| {
        former.backends.store.is(store)
            && former.backends.events.is(events)
            && former.stream.policy() == policy
    }) {
        return Arc::clone(&former.stream);
    }
    let backend = store.raw.capabilities().backend;
    let limit = config.calls.attempt_timeout;
    let outbox = store.raw.outbox().map(|outbox| {
        // The relay tries again by itself.
        Arc::new(Timeout::new(outbox, limit).with_name(backend.clone())) as Arc<dyn Outbox>
    });
    if outbox.is_none() && policy != LanePolicy::Never {
        tracing::warn!(%backend, "the store has no outbox: what it records is not published");
    }
    let publisher = Arc::new(Trace::new(Timeout::new(Arc::clone(&events.raw), limit)));
    let reach = if store.shared {
        Reach::Shared
    } else {
        Reach::Process
    };
    let former = former.map(|former| &*former.stream);
    EventStream::new((policy, reach), outbox, publisher, config.leftovers_wait, former)
}

/// A publisher that knows its subscribers has all of them in this process.
fn lane_policy(events: &dyn EventPublisher) -> LanePolicy {
    if events.capabilities().backend == DisabledPublisher::NAME {
        return LanePolicy::Never;
    }
    match events.has_subscribers(&EventType::interaction_recorded()) {
        Some(_) => LanePolicy::WhileSubscribed,
        None => LanePolicy::Always,
    }
}

/// Whether the calls that were in have ended before the deadline.
async fn emptied(gate: &Gate, deadline: Instant) -> bool {
    tokio::time::timeout_at(deadline, gate.emptied()).await.is_ok()
}

/// Disconnects as a task of its own, which goes on after the deadline.
async fn let_go(disconnect: impl Future<Output = Result<()>> + Send + 'static, deadline: Instant) -> Outcome {
    match tokio::time::timeout_at(deadline, tokio::spawn(disconnect)).await {
        Err(_) => Outcome::TimedOut,
        Ok(Ok(result)) => outcome(result),
        Ok(Err(_)) => {
            let context = "disconnecting ended by a panic";
            Outcome::Failed(Error::new(ErrorKind::Internal, context).with_operation("disconnect"))
        }
    }
}

fn outcome(result: Result<()>) -> Outcome {
    match result {
        Ok(()) => Outcome::Drained,
        Err(error) if error.kind() == ErrorKind::Timeout => Outcome::TimedOut,
        Err(error) => Outcome::Failed(error),
    }
}

fn worse(emptied: bool, end: Outcome) -> Outcome {
    match end {
        Outcome::Drained if !emptied => Outcome::TimedOut,
        end => end,
    }
}

fn carried(emptied: bool) -> Outcome {
    if emptied {
        Outcome::CarriedOver
    } else {
        Outcome::TimedOut
    }
}

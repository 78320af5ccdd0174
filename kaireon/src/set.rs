//! One set of connected backends, the gates in front of them, and the handles that are given out.

use std::sync::Arc;
use std::time::Duration;

use kaireon_core::breaker::CircuitBreaker;
use kaireon_core::limiter::RateLimiter;
use kaireon_core::outbox::Lane;
use kaireon_core::search::SearchIndex;
use kaireon_core::wrap::{Retry, Timeout, Trace};
use kaireon_core::{
    CacheStore, Container, DynContainer, Error, ErrorKind, EventPublisher, EventType, InteractionStore,
    Result,
};
use tokio::time::Instant;

use crate::Config;
use crate::adapters::{DisabledPublisher, breaker, limiter};
use crate::config::CallPolicy;
use crate::gate::{
    Appends, Gate, GatedBreaker, GatedCache, GatedLimiter, GatedPublisher, GatedSearch, GatedStore,
};
use crate::plan::{Chosen, Identity, Plan};
use crate::report::{DrainReport, Outcome, Part};
use crate::startup::Startup;
use crate::stream::{EventStream, LanePolicy};

/// Which part of a deadline the calls that are under way have to themselves.
const CALLS_SHARE: f64 = 0.8;

/// A connected backend, and what tells whether another configuration means the same one.
#[derive(Debug)]
struct Connected<T: ?Sized> {
    identity: Option<Identity>,
    raw: Arc<T>,
}

impl<T: ?Sized> Clone for Connected<T> {
    fn clone(&self) -> Self {
        Self {
            identity: self.identity.clone(),
            raw: Arc::clone(&self.raw),
        }
    }
}

impl<T: ?Sized> Connected<T> {
    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.raw, &other.raw)
    }
}

/// The backends of a set.
#[derive(Debug)]
struct Backends {
    store: Connected<dyn InteractionStore>,
    events: Connected<dyn EventPublisher>,
    search: Connected<dyn SearchIndex>,
    cache: Connected<dyn CacheStore>,
    limiter: Arc<dyn RateLimiter>,
    breaker: Arc<dyn CircuitBreaker>,
}

#[derive(Debug)]
struct Gates {
    store: Arc<Gate>,
    events: Arc<Gate>,
    search: Arc<Gate>,
    cache: Arc<Gate>,
    limits: Arc<Gate>,
}

/// What callers get.
#[derive(Debug)]
pub(crate) struct Handles {
    pub(crate) container: DynContainer,
    pub(crate) limiter: Arc<dyn RateLimiter>,
    pub(crate) breaker: Arc<dyn CircuitBreaker>,
}

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
        let gates = Gates {
            store: Gate::new(backends.store.raw.capabilities().backend),
            events: Gate::new(backends.events.raw.capabilities().backend),
            search: Gate::new(backends.search.raw.capabilities().backend),
            cache: Gate::new(backends.cache.raw.capabilities().backend),
            limits: Gate::new(backends.cache.raw.capabilities().backend),
        };
        let handles = handles(&backends, &gates, &stream, config.calls);
        let set = Self {
            config,
            startup: plan.startup.clone(),
            backends,
            stream,
            gates,
            handles,
        };
        match set.take_lane(former).await {
            Ok(()) => Ok(set),
            Err(error) => {
                set.backends.abandon(former_backends).await;
                Err(error)
            }
        }
    }

    /// Sees to it that what is recorded from now on is published as this set wants it.
    async fn take_lane(&self, former: Option<&Self>) -> Result<()> {
        // Of another store the former stream goes on by itself; of this one only one stream may set the lane.
        let former = former
            .filter(|former| former.backends.store.is(&self.backends.store) && !self.has_stream_of(former));
        if let Some(former) = former {
            former.stream.hand_over().await;
        }
        let prepared = self.stream.prepare().await;
        if let (Err(_), Some(former)) = (&prepared, former) {
            former.stream.take_back().await;
        }
        prepared
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
        let Gates {
            store,
            events,
            search,
            cache,
            limits,
        } = &self.gates;
        for gate in [store, events, search, cache, limits] {
            gate.close();
        }
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

impl Backends {
    async fn connect(plan: &Plan, config: &Config, former: Option<&Self>) -> Result<Self> {
        // Of this process; their counts outlive a reset.
        let (limiter, breaker) = match former {
            Some(former) => (Arc::clone(&former.limiter), Arc::clone(&former.breaker)),
            None => (limiter()?, breaker()?),
        };
        let store = connected(&plan.store, config, former.map(|former| &former.store)).await?;
        let rest = async {
            let events = connected(&plan.publisher, config, former.map(|former| &former.events)).await?;
            let search = connected(&plan.search, config, former.map(|former| &former.search)).await;
            let search = match search {
                Ok(search) => search,
                Err(error) => {
                    abandon_events(&events, former).await;
                    return Err(error);
                }
            };
            match connected(&plan.cache, config, former.map(|former| &former.cache)).await {
                Ok(cache) => Ok((events, search, cache)),
                Err(error) => {
                    abandon_events(&events, former).await;
                    abandon_search(&search, former).await;
                    Err(error)
                }
            }
        };
        match rest.await {
            Ok((events, search, cache)) => Ok(Self {
                store,
                events,
                search,
                cache,
                limiter,
                breaker,
            }),
            Err(error) => {
                abandon_store(&store, former).await;
                Err(error)
            }
        }
    }

    /// Lets go of what was connected for a set that is not to be.
    async fn abandon(&self, former: Option<&Self>) {
        abandon_events(&self.events, former).await;
        abandon_search(&self.search, former).await;
        if !former.is_some_and(|former| former.cache.is(&self.cache)) {
            note(self.cache.raw.disconnect().await);
        }
        abandon_store(&self.store, former).await;
    }
}

async fn abandon_store(store: &Connected<dyn InteractionStore>, former: Option<&Backends>) {
    if !former.is_some_and(|former| former.store.is(store)) {
        note(store.raw.disconnect().await);
    }
}

async fn abandon_events(events: &Connected<dyn EventPublisher>, former: Option<&Backends>) {
    if !former.is_some_and(|former| former.events.is(events)) {
        note(events.raw.disconnect().await);
    }
}

async fn abandon_search(search: &Connected<dyn SearchIndex>, former: Option<&Backends>) {
    if !former.is_some_and(|former| former.search.is(search)) {
        note(search.raw.disconnect().await);
    }
}

/// The error that matters is the one for which a set was abandoned.
fn note(disconnected: Result<()>) {
    if let Err(error) = disconnected {
        tracing::warn!(%error, "a backend of a set that was not to be did not let go");
    }
}

async fn connected<T: ?Sized + 'static>(
    chosen: &Chosen<T>,
    config: &Config,
    former: Option<&Connected<T>>,
) -> Result<Connected<T>> {
    let identity = chosen.identity(config);
    if let Some(former) = former.filter(|former| identity.is_some() && former.identity == identity) {
        return Ok(former.clone());
    }
    let raw = chosen.connect(config).await?;
    // Asked again: the place of a folder that was just made may have another name now.
    Ok(Connected {
        identity: chosen.identity(config),
        raw,
    })
}

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
    let outbox = store.raw.outbox();
    if outbox.is_none() && policy != LanePolicy::Never {
        let backend = store.raw.capabilities().backend;
        tracing::warn!(%backend, "the store has no outbox: what it records is not published");
    }
    EventStream::new(policy, outbox, Arc::clone(&events.raw), config.leftovers_wait)
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

fn handles(backends: &Backends, gates: &Gates, stream: &Arc<EventStream>, calls: CallPolicy) -> Handles {
    let Backends {
        store,
        events,
        search,
        cache,
        limiter,
        breaker,
    } = backends;
    let CallPolicy {
        attempt_timeout,
        maintenance_timeout,
        retry,
    } = calls;
    let appends = match stream.policy() {
        LanePolicy::Never => Appends::Refused,
        LanePolicy::Always | LanePolicy::WhileSubscribed => Appends::Accepted,
    };
    let store = Timeout::new(Arc::clone(&store.raw), attempt_timeout).maintenance(maintenance_timeout);
    let events = Timeout::new(Arc::clone(&events.raw), attempt_timeout);
    let search = Timeout::new(Arc::clone(&search.raw), attempt_timeout).maintenance(maintenance_timeout);
    let cache = Timeout::new(Arc::clone(&cache.raw), attempt_timeout).maintenance(maintenance_timeout);
    let store: Arc<dyn InteractionStore> = Arc::new(GatedStore::new(
        Arc::clone(&gates.store),
        appends,
        Arc::new(Trace::new(Retry::new(store, retry))),
    ));
    let events: Arc<dyn EventPublisher> = Arc::new(GatedPublisher::new(
        Arc::clone(&gates.events),
        Arc::new(Trace::new(Retry::new(events, retry))),
        Arc::clone(stream),
    ));
    let search: Arc<dyn SearchIndex> = Arc::new(GatedSearch::new(
        Arc::clone(&gates.search),
        Arc::new(Trace::new(Retry::new(search, retry))),
    ));
    let cache: Arc<dyn CacheStore> = Arc::new(GatedCache::new(
        Arc::clone(&gates.cache),
        Arc::new(Trace::new(Retry::new(cache, retry))),
    ));
    Handles {
        container: Container::builder()
            .store(store)
            .events(events)
            .search(search)
            .cache(cache)
            .build(),
        limiter: Arc::new(GatedLimiter::new(Arc::clone(&gates.limits), Arc::clone(limiter))),
        breaker: Arc::new(GatedBreaker::new(Arc::clone(&gates.limits), Arc::clone(breaker))),
    }
}

impl Handles {
    /// Whether somebody else holds one of them.
    fn are_held(&self) -> bool {
        let Self {
            container,
            limiter,
            breaker,
        } = self;
        Arc::strong_count(container.store()) > 1
            || Arc::strong_count(container.events()) > 1
            || Arc::strong_count(container.search()) > 1
            || Arc::strong_count(container.cache()) > 1
            || Arc::strong_count(limiter) > 1
            || Arc::strong_count(breaker) > 1
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

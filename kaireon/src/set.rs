//! One set of connected backends, the gates in front of them, and the handles that are given out.

mod backends;
mod connected;
mod drain;
mod handles;
#[cfg(feature = "switch")]
mod switched;

use std::sync::Arc;
use std::time::Duration;

use kaireon_core::outbox::Lane;
use kaireon_core::wrap::{Timeout, Trace};
use kaireon_core::{Error, EventPublisher, EventType, Outbox, Result};
use tokio::time::Instant;

use self::backends::{Backends, Member};
use self::handles::{Gates, Handles, handles};
use crate::Config;
use crate::adapters::DisabledPublisher;
use crate::plan::Plan;
use crate::report::Part;
use crate::startup::{Choice, Startup};
use crate::stream::{EventStream, HandedOver, LanePolicy, LaneUse, Reach, Streams};

/// One set.
#[derive(Debug)]
pub(crate) struct Set {
    config: Config,
    startup: Startup,
    backends: Backends,
    streams: Arc<Streams>,
    gates: Gates,
    pub(crate) handles: Handles,
}

impl Set {
    /// Connects what a plan says, taking over from `former` what is the same. Its stream is not started yet.
    pub(crate) async fn build(plan: &Plan, config: Config, former: Option<&Self>) -> Result<Self> {
        let former_backends = former.map(|former| &former.backends);
        let backends = Backends::connect(plan, &config, former_backends).await?;
        let streams = Arc::new(streams(&backends, &config, former));
        let gates = Gates::of(&backends);
        let mut startup = plan.startup.clone();
        if backends.limits_are_shared() {
            startup.limits = Choice::new(backends.limits_backend(), "where the cache is");
        }
        if backends.shared_breaker.is_some() {
            startup.breakers = Choice::new(backends.breakers_backend(), "where the cache is");
        }
        let handles = handles(&backends, &gates, &streams, config.calls);
        let set = Self {
            config,
            startup,
            backends,
            streams,
            gates,
            handles,
        };
        // Of another store the former stream goes on by itself; of the same one only one stream may set the lane.
        let mut handed_over = Vec::new();
        for stream in former.map(|former| former.left_by(&set)).unwrap_or_default() {
            handed_over.push(HandedOver::begin(stream).await);
        }
        if let Err(error) = set.streams.prepare().await {
            drop(handed_over);
            set.backends.abandon(former_backends).await;
            return Err(error);
        }
        for handed_over in handed_over {
            handed_over.complete();
        }
        Ok(set)
    }

    /// The streams of stores that another set has as well, with streams of its own.
    fn left_by(&self, other: &Self) -> Vec<&EventStream> {
        let left = |(member, stream): &(&Member, &Arc<EventStream>)| {
            other.backends.has(&member.store) && !other.streams.has(stream)
        };
        self.of_members()
            .filter(left)
            .map(|(_, stream)| &**stream)
            .collect()
    }

    /// The stores, each with its stream.
    fn of_members(&self) -> impl Iterator<Item = (&Member, &Arc<EventStream>)> {
        self.backends.members.iter().zip(self.streams.iter())
    }

    /// Begins to relay, where it has not begun yet.
    pub(crate) async fn start(&self) -> Result<()> {
        #[cfg(feature = "switch")]
        if let Some(switch) = &self.backends.switch {
            switch.start()?;
        }
        self.streams.start().await
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

    /// The names of the stores.
    pub(crate) fn stores(&self) -> impl Iterator<Item = &str> {
        self.backends.members.iter().map(|member| member.name.as_str())
    }

    /// Asks the store of that place among [`stores`](Self::stores) for a sign of life.
    pub(crate) async fn ping_store(&self, place: usize) -> Result<()> {
        let _pass = self.gates.store.enter("ping")?;
        self.backends.members[place].store.raw.ping().await
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

    /// How many entries wait in a lane of the store of that place; `Unsupported` where it has no outbox.
    pub(crate) async fn backlog(&self, place: usize, lane: Lane) -> Result<u64> {
        let _pass = self.gates.store.enter("status")?;
        let store = &self.backends.members[place].store.raw;
        let Some(outbox) = store.outbox() else {
            return Err(Error::unsupported(store.capabilities().backend, "outbox"));
        };
        Ok(outbox.status(lane).await?.backlog)
    }

    /// The tenant switch, where there is one.
    #[cfg(feature = "switch")]
    pub(crate) fn tenant_switch(&self) -> Option<&crate::TenantSwitch> {
        Some(&self.backends.switch.as_ref()?.tenants)
    }

    /// What the backend of the switch's settings is called; `None` without a switch.
    #[cfg(feature = "switch")]
    pub(crate) fn settings_name(&self) -> Option<&str> {
        Some(&self.backends.switch.as_ref()?.settings_name)
    }

    /// Asks the switch's settings for a sign of life.
    #[cfg(feature = "switch")]
    pub(crate) async fn ping_settings(&self) -> Result<()> {
        let _pass = self.gates.store.enter("ping")?;
        match &self.backends.switch {
            Some(switch) => switch.settings.raw.ping().await,
            None => Err(Error::unsupported("switch", "ping")),
        }
    }

    /// The lanes of each store that are relayed.
    pub(crate) fn lanes(&self) -> &'static [(Part, Lane)] {
        #[cfg(feature = "switch")]
        if self.backends.switch.is_some() {
            return &[(Part::Relay, Lane::Publish), (Part::Replication, Lane::Replicate)];
        }
        &[(Part::Relay, Lane::Publish)]
    }
}

/// The streams between a set's stores and its publisher; a former one, where both are the same.
fn streams(backends: &Backends, config: &Config, former: Option<&Set>) -> Streams {
    let Backends { members, events, .. } = backends;
    let policy = lane_policy(&*events.raw);
    let publisher = Arc::new(Trace::new(Timeout::new(
        Arc::clone(&events.raw),
        config.calls.attempt_timeout,
    )));
    // Of the same publisher: who subscribed to it goes on.
    let of_former = former.filter(|former| former.backends.events.is(events));
    let listeners = of_former.map_or_else(Arc::default, |former| Arc::clone(former.streams.listeners()));
    let stream = |member: &Member| {
        let store = &member.store;
        let use_of = LaneUse {
            policy,
            reach: match store.shared {
                true => Reach::Shared,
                false => Reach::Process,
            },
            writers: backends.writers(),
        };
        if let Some((_, stream)) = of_former
            .into_iter()
            .flat_map(Set::of_members)
            .find(|(other, stream)| other.store.is(store) && stream.use_of() == use_of)
        {
            return Arc::clone(stream);
        }
        let backend = store.raw.capabilities().backend;
        let outbox = store.raw.outbox().map(|outbox| {
            // The relay tries again by itself.
            let limited = Timeout::new(outbox, config.calls.attempt_timeout);
            Arc::new(limited.with_name(backend.clone())) as Arc<dyn Outbox>
        });
        if outbox.is_none() && policy != LanePolicy::Never {
            tracing::warn!(%backend, "the store has no outbox: what it records is not published");
        }
        let heard = (
            Arc::clone(&publisher) as Arc<dyn EventPublisher>,
            Arc::clone(&listeners),
        );
        let process = former.and_then(|former| former.streams.iter().next());
        let process = process.map(|stream| &**stream);
        EventStream::new(use_of, outbox, heard, config.leftovers_wait, process)
    };
    let streams = members.iter().map(stream).collect();
    Streams::new(streams, listeners)
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

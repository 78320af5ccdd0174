//! The connected backends of a set, before anything is put in front of them.

use std::borrow::Cow;
use std::sync::Arc;

use kaireon_core::breaker::{BreakerConfig, CircuitBreaker};
use kaireon_core::limiter::RateLimiter;
use kaireon_core::search::SearchIndex;
use kaireon_core::{CacheStore, EventPublisher, InteractionStore, Result};

use super::connected::{Connected, Disconnect, abandon, connected};
#[cfg(feature = "switch")]
use super::switched::Switched;
use crate::Config;
use crate::adapters::{breaker, limiter};
use crate::plan::Plan;
use crate::stream::LaneWriters;

/// A store, by the name of its choice.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) store: Connected<dyn InteractionStore>,
}

/// The backends of a set.
#[derive(Debug)]
pub(super) struct Backends {
    /// The store, or those of a switch.
    pub(super) members: Vec<Member>,
    #[cfg(feature = "switch")]
    pub(super) switch: Option<Switched>,
    pub(super) events: Connected<dyn EventPublisher>,
    pub(super) search: Connected<dyn SearchIndex>,
    pub(super) cache: Connected<dyn CacheStore>,
    /// Where the cache is, if it has one there; otherwise this process's.
    pub(super) limiter: Arc<dyn RateLimiter>,
    /// The limiter of this process, whether or not it is used.
    of_process: Arc<dyn RateLimiter>,
    /// Where the cache is, if it has them there.
    pub(super) shared_breaker: Option<Arc<dyn CircuitBreaker>>,
    /// The breakers of this process, which stand in for those.
    pub(super) breaker: Arc<dyn CircuitBreaker>,
}

impl Backends {
    /// Connects what a plan says, taking over from `former` what is the same.
    pub(super) async fn connect(plan: &Plan, config: &Config, former: Option<&Self>) -> Result<Self> {
        // Of this process; their counts outlive a reset.
        let (of_process, breaker) = match former {
            Some(former) => (Arc::clone(&former.of_process), Arc::clone(&former.breaker)),
            None => (limiter()?, breaker()?),
        };
        // What was connected anew so far, for the case that the rest is not to be had.
        let mut begun: Vec<Box<dyn Disconnect>> = Vec::new();
        let connected = async {
            let mut members = Vec::new();
            let of_former: Vec<_> = former
                .map(|former| former.members.iter().map(|member| &member.store).collect())
                .unwrap_or_default();
            for chosen in &plan.stores {
                let store = connected(chosen, config, &of_former, &mut begun).await?;
                members.push(Member {
                    name: chosen.choice.backend.clone(),
                    store,
                });
            }
            #[cfg(feature = "switch")]
            let switch = match &plan.switch {
                None => None,
                Some(switch) => {
                    let former = former.and_then(|former| former.switch.as_ref());
                    Some(Switched::connect(switch, config, &members, former, &mut begun).await?)
                }
            };
            let of_former = former.map(|former| &former.events);
            let events = connected(&plan.publisher, config, of_former.as_slice(), &mut begun).await?;
            let of_former = former.map(|former| &former.search);
            let search = connected(&plan.search, config, of_former.as_slice(), &mut begun).await?;
            let of_former = former.map(|former| &former.cache);
            let cache = connected(&plan.cache, config, of_former.as_slice(), &mut begun).await?;
            Ok(Self {
                members,
                #[cfg(feature = "switch")]
                switch,
                events,
                search,
                shared_breaker: cache.raw.breaker(BreakerConfig::default())?,
                limiter: cache.raw.limiter().unwrap_or_else(|| Arc::clone(&of_process)),
                of_process,
                cache,
                breaker,
            })
        };
        let connected = connected.await;
        if connected.is_err() {
            abandon(begun).await;
        }
        connected
    }

    /// Whether rate limits are counted where the cache is, for all processes that share it.
    pub(super) fn limits_are_shared(&self) -> bool {
        !Arc::ptr_eq(&self.limiter, &self.of_process)
    }

    /// The name of what counts them.
    pub(super) fn limits_backend(&self) -> Cow<'static, str> {
        match self.limits_are_shared() {
            true => self.cache.raw.capabilities().backend,
            false => "in-process".into(),
        }
    }

    /// The name of what keeps circuit breakers.
    pub(super) fn breakers_backend(&self) -> Cow<'static, str> {
        match self.shared_breaker {
            Some(_) => self.cache.raw.capabilities().backend,
            None => "in-process".into(),
        }
    }

    /// What callers' records go to and come from: the one store, or the switch.
    pub(super) fn store(&self) -> Arc<dyn InteractionStore> {
        #[cfg(feature = "switch")]
        if let Some(switch) = &self.switch {
            return Arc::new(switch.tenants.switch_store().clone());
        }
        Arc::clone(&self.members[0].store.raw)
    }

    /// Who writes into the lanes of the stores.
    pub(super) fn writers(&self) -> LaneWriters {
        #[cfg(feature = "switch")]
        if self.switch.is_some() {
            return LaneWriters::FencedToo;
        }
        LaneWriters::ByDefault
    }

    /// Lets go of what was connected for a set that is not to be.
    pub(super) async fn abandon(&self, former: Option<&Self>) {
        let mut begun: Vec<Box<dyn Disconnect>> = Vec::new();
        for member in &self.members {
            if !former.is_some_and(|former| former.has(&member.store)) {
                begun.push(Box::new(Arc::clone(&member.store.raw)));
            }
        }
        #[cfg(feature = "switch")]
        if let Some(switch) = &self.switch {
            let former = former.and_then(|former| former.switch.as_ref());
            if !former.is_some_and(|former| former.settings.is(&switch.settings)) {
                begun.push(Box::new(Arc::clone(&switch.settings.raw)));
            }
        }
        if !former.is_some_and(|former| former.events.is(&self.events)) {
            begun.push(Box::new(Arc::clone(&self.events.raw)));
        }
        if !former.is_some_and(|former| former.search.is(&self.search)) {
            begun.push(Box::new(Arc::clone(&self.search.raw)));
        }
        if !former.is_some_and(|former| former.cache.is(&self.cache)) {
            begun.push(Box::new(Arc::clone(&self.cache.raw)));
        }
        abandon(begun).await;
    }

    /// Whether a store is one of these.
    pub(super) fn has(&self, store: &Connected<dyn InteractionStore>) -> bool {
        self.members.iter().any(|member| member.store.is(store))
    }
}

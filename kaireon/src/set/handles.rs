//! The gates in front of a set's backends, and the handles that are given out.

use std::sync::Arc;

use kaireon_core::breaker::{CircuitBreaker, FallbackBreaker};
use kaireon_core::limiter::RateLimiter;
use kaireon_core::search::SearchIndex;
use kaireon_core::wrap::{Retry, Timeout, Trace};
use kaireon_core::{CacheStore, Container, DynContainer, EventPublisher, InteractionStore};

use super::backends::Backends;
use crate::config::CallPolicy;
use crate::gate::{
    Appends, Gate, GatedBreaker, GatedCache, GatedLimiter, GatedPublisher, GatedSearch, GatedStore,
};
use crate::stream::{LanePolicy, Streams};

/// One gate for each concern.
#[derive(Debug)]
pub(super) struct Gates {
    pub(super) store: Arc<Gate>,
    pub(super) events: Arc<Gate>,
    pub(super) search: Arc<Gate>,
    pub(super) cache: Arc<Gate>,
    pub(super) limits: Arc<Gate>,
    pub(super) breakers: Arc<Gate>,
}

impl Gates {
    pub(super) fn of(backends: &Backends) -> Self {
        Self {
            store: Gate::new(backends.store().capabilities().backend),
            events: Gate::new(backends.events.raw.capabilities().backend),
            search: Gate::new(backends.search.raw.capabilities().backend),
            cache: Gate::new(backends.cache.raw.capabilities().backend),
            limits: Gate::new(backends.limits_backend()),
            breakers: Gate::new(backends.breakers_backend()),
        }
    }

    /// Lets no call in any more.
    pub(super) fn close(&self) {
        let Self {
            store,
            events,
            search,
            cache,
            limits,
            breakers,
        } = self;
        for gate in [store, events, search, cache, limits, breakers] {
            gate.close();
        }
    }
}

/// What callers get.
#[derive(Debug)]
pub(crate) struct Handles {
    pub(crate) container: DynContainer,
    pub(crate) limiter: Arc<dyn RateLimiter>,
    pub(crate) breaker: Arc<dyn CircuitBreaker>,
}

/// The handles of a set: `Gate<Trace<Retry<Timeout<backend>>>>`.
pub(super) fn handles(
    backends: &Backends,
    gates: &Gates,
    streams: &Arc<Streams>,
    calls: CallPolicy,
) -> Handles {
    let Backends {
        members: _,
        #[cfg(feature = "switch")]
            switch: _,
        events,
        search,
        cache,
        limiter,
        breaker,
        shared_breaker,
        ..
    } = backends;
    let CallPolicy {
        attempt_timeout,
        maintenance_timeout,
        retry,
    } = calls;
    let appends = match streams.policy() {
        LanePolicy::Never => Appends::Refused,
        LanePolicy::Always | LanePolicy::WhileSubscribed => Appends::Accepted,
    };
    let store = Timeout::new(backends.store(), attempt_timeout).with_maintenance_limit(maintenance_timeout);
    let events = Timeout::new(Arc::clone(&events.raw), attempt_timeout);
    let search =
        Timeout::new(Arc::clone(&search.raw), attempt_timeout).with_maintenance_limit(maintenance_timeout);
    let cache =
        Timeout::new(Arc::clone(&cache.raw), attempt_timeout).with_maintenance_limit(maintenance_timeout);
    let store: Arc<dyn InteractionStore> = Arc::new(GatedStore::new(
        Arc::clone(&gates.store),
        appends,
        Arc::new(Trace::new(Retry::new(store, retry))),
    ));
    let events: Arc<dyn EventPublisher> = Arc::new(GatedPublisher::new(
        Arc::clone(&gates.events),
        Arc::new(Trace::new(Retry::new(events, retry))),
        Arc::clone(streams),
    ));
    let search: Arc<dyn SearchIndex> = Arc::new(GatedSearch::new(
        Arc::clone(&gates.search),
        Arc::new(Trace::new(Retry::new(search, retry))),
    ));
    let cache: Arc<dyn CacheStore> = Arc::new(GatedCache::new(
        Arc::clone(&gates.cache),
        Arc::new(Trace::new(Retry::new(cache, retry))),
    ));
    let limiter: Arc<dyn RateLimiter> = match backends.limits_are_shared() {
        true => {
            let name = backends.limits_backend();
            let limiter = Timeout::new(Arc::clone(limiter), attempt_timeout).with_name(name.clone());
            Arc::new(Trace::new(Retry::new(limiter, retry)).with_name(name))
        }
        // There is nothing to wait for or to try again.
        false => Arc::clone(limiter),
    };
    let breaker: Arc<dyn CircuitBreaker> = match shared_breaker {
        // Tried again by nobody: the next call is soon, and this process can answer as well.
        Some(shared) => {
            let name = backends.breakers_backend();
            let shared = Timeout::new(Arc::clone(shared), attempt_timeout).with_name(name.clone());
            let shared = Arc::new(Trace::new(shared).with_name(name));
            Arc::new(FallbackBreaker::new(shared, Arc::clone(breaker)))
        }
        None => Arc::clone(breaker),
    };
    Handles {
        container: Container::builder()
            .store(store)
            .events(events)
            .search(search)
            .cache(cache)
            .build(),
        limiter: Arc::new(GatedLimiter::new(Arc::clone(&gates.limits), limiter)),
        breaker: Arc::new(GatedBreaker::new(Arc::clone(&gates.breakers), breaker)),
    }
}

impl Handles {
    /// Whether somebody else holds one of them.
    pub(super) fn are_held(&self) -> bool {
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

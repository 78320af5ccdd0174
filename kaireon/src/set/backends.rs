//! The connected backends of a set, before anything is put in front of them.

use std::sync::Arc;

use kaireon_core::breaker::CircuitBreaker;
use kaireon_core::limiter::RateLimiter;
use kaireon_core::search::SearchIndex;
use kaireon_core::{CacheStore, EventPublisher, InteractionStore, Result};

use crate::Config;
use crate::adapters::{breaker, limiter};
use crate::plan::{Chosen, Identity, Plan};

/// A connected backend, and what tells whether another configuration means the same one.
#[derive(Debug)]
pub(super) struct Connected<T: ?Sized> {
    identity: Option<Identity>,
    /// Whether other processes may have it open as well.
    pub(super) shared: bool,
    pub(super) raw: Arc<T>,
}

impl<T: ?Sized> Clone for Connected<T> {
    fn clone(&self) -> Self {
        Self {
            identity: self.identity.clone(),
            shared: self.shared,
            raw: Arc::clone(&self.raw),
        }
    }
}

impl<T: ?Sized> Connected<T> {
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.raw, &other.raw)
    }
}

/// The backends of a set.
#[derive(Debug)]
pub(super) struct Backends {
    pub(super) store: Connected<dyn InteractionStore>,
    pub(super) events: Connected<dyn EventPublisher>,
    pub(super) search: Connected<dyn SearchIndex>,
    pub(super) cache: Connected<dyn CacheStore>,
    pub(super) limiter: Arc<dyn RateLimiter>,
    pub(super) breaker: Arc<dyn CircuitBreaker>,
}

impl Backends {
    /// Connects what a plan says, taking over from `former` what is the same.
    pub(super) async fn connect(plan: &Plan, config: &Config, former: Option<&Self>) -> Result<Self> {
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
    pub(super) async fn abandon(&self, former: Option<&Self>) {
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
        shared: chosen.shared,
        raw,
    })
}

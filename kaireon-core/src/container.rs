//! The four parts of an infrastructure, held together.

use std::sync::Arc;

use crate::cache::CacheStore;
use crate::publisher::EventPublisher;
use crate::search::SearchIndex;
use crate::store::InteractionStore;
use crate::{Error, Result};

/// A store, an event stream, a search index and a cache, each of a type known when the host is compiled.
///
/// ```
/// use kaireon_core::{CacheStore, Container, EventPublisher, InteractionStore, SearchIndex};
/// # async fn example(
/// #     my_store: impl InteractionStore + 'static, my_events: impl EventPublisher + 'static,
/// #     my_search: impl SearchIndex + 'static, my_cache: impl CacheStore + 'static,
/// # ) -> kaireon_core::Result<()> {
/// let parts = Container::builder()
///     .store(my_store)
///     .events(my_events)
///     .search(my_search)
///     .cache(my_cache)
///     .build();
/// parts.store().ping().await?;
/// parts.disconnect().await.into_result()
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Container<S, E, X, C> {
    store: S,
    events: E,
    search: X,
    cache: C,
}

/// A container whose parts are chosen at run time. A clone shares them.
pub type DynContainer =
    Container<Arc<dyn InteractionStore>, Arc<dyn EventPublisher>, Arc<dyn SearchIndex>, Arc<dyn CacheStore>>;

impl Container<Missing, Missing, Missing, Missing> {
    /// Begins a container. It can be built once all four parts are given, in any order.
    pub fn builder() -> ContainerBuilder<Missing, Missing, Missing, Missing> {
        ContainerBuilder {
            store: Missing,
            events: Missing,
            search: Missing,
            cache: Missing,
        }
    }
}

impl<S, E, X, C> Container<S, E, X, C> {
    /// The interaction store.
    pub const fn store(&self) -> &S {
        &self.store
    }

    /// The event stream.
    pub const fn events(&self) -> &E {
        &self.events
    }

    /// The search index.
    pub const fn search(&self) -> &X {
        &self.search
    }

    /// The cache.
    pub const fn cache(&self) -> &C {
        &self.cache
    }

    /// The parts, to take apart: store, event stream, search index, cache.
    pub fn into_parts(self) -> (S, E, X, C) {
        let Self {
            store,
            events,
            search,
            cache,
        } = self;
        (store, events, search, cache)
    }
}

impl<S, E, X, C> Container<S, E, X, C>
where
    S: InteractionStore + 'static,
    E: EventPublisher + 'static,
    X: SearchIndex + 'static,
    C: CacheStore + 'static,
{
    /// The same parts behind pointers.
    #[must_use]
    pub fn into_dyn(self) -> DynContainer {
        let (store, events, search, cache) = self.into_parts();
        Container {
            store: Arc::new(store),
            events: Arc::new(events),
            search: Arc::new(search),
            cache: Arc::new(cache),
        }
    }
}

impl<S, E, X, C> Container<S, E, X, C>
where
    S: InteractionStore,
    E: EventPublisher,
    X: SearchIndex,
    C: CacheStore,
{
    /// Disconnects the parts one after the other, each also when one before it failed.
    ///
    /// The order is that of the data's way: the store, where what comes in is recorded; the event stream, which
    /// still sends what it accepted; the search index; and last the cache, which the others may use. Stop relays
    /// and whatever else uses the parts before. Idempotent, as the parts are; a dropped future leaves the parts
    /// that were not reached connected.
    pub async fn disconnect(&self) -> Disconnected {
        Disconnected {
            store: self.store.disconnect().await,
            events: self.events.disconnect().await,
            search: self.search.disconnect().await,
            cache: self.cache.disconnect().await,
        }
    }
}

/// How each part of a container fared when it was disconnected.
#[derive(Clone, Debug)]
#[must_use = "a part that failed may not have finished what it accepted"]
#[non_exhaustive]
pub struct Disconnected {
    /// The interaction store.
    pub store: Result<()>,
    /// The event stream.
    pub events: Result<()>,
    /// The search index.
    pub search: Result<()>,
    /// The cache.
    pub cache: Result<()>,
}

impl Disconnected {
    /// The parts that failed, by name, in the order in which they were disconnected.
    pub fn failures(&self) -> impl Iterator<Item = (&'static str, &Error)> {
        let Self {
            store,
            events,
            search,
            cache,
        } = self;
        [
            ("store", store),
            ("events", events),
            ("search", search),
            ("cache", cache),
        ]
        .into_iter()
        .filter_map(|(part, result)| Some((part, result.as_ref().err()?)))
    }

    /// Whether every part let go.
    ///
    /// # Errors
    /// That of the first part that failed.
    pub fn into_result(self) -> Result<()> {
        let Self {
            store,
            events,
            search,
            cache,
        } = self;
        store.and(events).and(search).and(cache)
    }
}

/// A part that a [`ContainerBuilder`] has not been given.
#[derive(Clone, Copy, Debug)]
pub struct Missing;

/// Builds a [`Container`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct ContainerBuilder<S, E, X, C> {
    store: S,
    events: E,
    search: X,
    cache: C,
}

impl<S, E, X, C> ContainerBuilder<S, E, X, C> {
    /// Sets the interaction store.
    pub fn store<T: InteractionStore>(self, store: T) -> ContainerBuilder<T, E, X, C> {
        let Self {
            events,
            search,
            cache,
            ..
        } = self;
        ContainerBuilder {
            store,
            events,
            search,
            cache,
        }
    }

    /// Sets the event stream.
    pub fn events<T: EventPublisher>(self, events: T) -> ContainerBuilder<S, T, X, C> {
        let Self {
            store, search, cache, ..
        } = self;
        ContainerBuilder {
            store,
            events,
            search,
            cache,
        }
    }

    /// Sets the search index.
    pub fn search<T: SearchIndex>(self, search: T) -> ContainerBuilder<S, E, T, C> {
        let Self {
            store, events, cache, ..
        } = self;
        ContainerBuilder {
            store,
            events,
            search,
            cache,
        }
    }

    /// Sets the cache.
    pub fn cache<T: CacheStore>(self, cache: T) -> ContainerBuilder<S, E, X, T> {
        let Self {
            store,
            events,
            search,
            ..
        } = self;
        ContainerBuilder {
            store,
            events,
            search,
            cache,
        }
    }
}

impl<S, E, X, C> ContainerBuilder<S, E, X, C>
where
    S: InteractionStore,
    E: EventPublisher,
    X: SearchIndex,
    C: CacheStore,
{
    /// The container.
    #[must_use]
    pub fn build(self) -> Container<S, E, X, C> {
        let Self {
            store,
            events,
            search,
            cache,
        } = self;
        Container {
            store,
            events,
            search,
            cache,
        }
    }
}

#[cfg(test)]
mod tests;

//! Which backends a configuration means: plain functions, without I/O.

mod reader;
#[cfg(feature = "switch")]
mod switch;
#[cfg(not(feature = "switch"))]
#[path = "plan/no_switch.rs"]
mod switch;

use std::sync::Arc;

use kaireon_core::search::SearchIndex;
use kaireon_core::store::ErasurePlace;
use kaireon_core::{CacheStore, EventPublisher, InteractionStore, Result};

use self::reader::Reader;
pub(crate) use self::switch::SwitchPlan;
#[cfg(feature = "switch")]
pub(crate) use self::switch::SwitchSpec;
use crate::Config;
use crate::adapters::{
    Adapter, CACHES, Connect, Connecting, Factory, PUBLISHERS, Registry, SEARCH_INDEXES, STORES, Tables,
};
use crate::config::{CACHE_STORE, EVENT_PUBLISHER, INTERACTION_STORE, SEARCH_INDEX};
use crate::problem::Problems;
use crate::startup::{Choice, Startup};

/// Every backend that can be chosen.
#[derive(Debug)]
pub(crate) struct Registries {
    pub(crate) stores: Registry<dyn InteractionStore>,
    pub(crate) publishers: Registry<dyn EventPublisher>,
    pub(crate) search_indexes: Registry<dyn SearchIndex>,
    pub(crate) caches: Registry<dyn CacheStore>,
    /// What an erasure goes through besides the backends.
    pub(crate) places: Vec<Arc<dyn ErasurePlace>>,
}

impl Default for Registries {
    fn default() -> Self {
        Self {
            stores: Registry::new(STORES),
            publishers: Registry::new(PUBLISHERS),
            search_indexes: Registry::new(SEARCH_INDEXES),
            caches: Registry::new(CACHES),
            places: Vec::new(),
        }
    }
}

/// A backend of ours and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity(&'static str, String);

/// How a backend of ours tells where it is.
type Place = fn(&Config) -> String;

/// A chosen backend.
pub(crate) struct Chosen<T: ?Sized + 'static> {
    pub(crate) choice: Choice,
    /// Its name and how to tell where it is, for a backend of ours; a host's own backend is made anew each time.
    place: Option<(&'static str, Place)>,
    /// Whether other processes may have it open as well. A host's own backend is taken for this process's alone.
    pub(crate) shared: bool,
    tables: Option<Tables>,
    source: Source<T>,
}

enum Source<T: ?Sized + 'static> {
    Builtin(fn(&Config) -> Connecting<T>),
    Custom(Factory<T>),
}

impl<T: ?Sized + 'static> Chosen<T> {
    /// What two configurations that mean the same place of the same backend have in common.
    pub(crate) fn identity(&self, config: &Config) -> Option<Identity> {
        self.place.map(|(name, place)| Identity(name, place(config)))
    }

    pub(crate) async fn connect(&self, config: &Config) -> Result<Arc<T>> {
        match &self.source {
            Source::Builtin(connect) => connect(config).await,
            Source::Custom(factory) => factory(config).await,
        }
    }
}

/// The backends that a configuration means.
pub(crate) struct Plan {
    /// The store, or those of a switch.
    pub(crate) stores: Vec<Chosen<dyn InteractionStore>>,
    #[cfg(feature = "switch")]
    pub(crate) switch: Option<SwitchPlan>,
    pub(crate) publisher: Chosen<dyn EventPublisher>,
    pub(crate) search: Chosen<dyn SearchIndex>,
    pub(crate) cache: Chosen<dyn CacheStore>,
    pub(crate) startup: Startup,
}

impl Plan {
    /// Reads all of a configuration, and tells everything that is wrong with it at once.
    pub(crate) fn new(config: &Config, registries: &Registries) -> Result<Self> {
        let Registries {
            stores,
            publishers,
            search_indexes,
            caches,
            ..
        } = registries;
        let mut problems = config.unreadable.clone();
        problems.extend_from_slice(stores.problems());
        problems.extend_from_slice(publishers.problems());
        problems.extend_from_slice(search_indexes.problems());
        problems.extend_from_slice(caches.problems());

        let mut reader = Reader::new(config, problems);
        reader.check_policy();
        let store = reader.choose(INTERACTION_STORE, config.interaction_store.as_deref(), stores);
        let switch = reader.switch(store.as_ref(), registries);
        let publisher = reader.choose(EVENT_PUBLISHER, config.event_publisher.as_deref(), publishers);
        let search = reader.choose(SEARCH_INDEX, config.search_index.as_deref(), search_indexes);
        let cache = reader.choose(CACHE_STORE, config.cache_store.as_deref(), caches);
        reader.check_rest();
        Problems::check(reader.problems)?;

        let chosen = "a choice is missing only where a problem was reported";
        let (store, publisher) = (store.expect(chosen), publisher.expect(chosen));
        let (search, cache) = (search.expect(chosen), cache.expect(chosen));
        let of_store = store.choice.clone();
        let (stores, switch) =
            switch.map_or_else(|| (vec![store], None), |(stores, switch)| (stores, Some(switch)));
        let startup = Startup {
            store: switch.as_ref().map_or(of_store, SwitchPlan::choice),
            events: publisher.choice.clone(),
            search: search.choice.clone(),
            cache: cache.choice.clone(),
            limits: Choice::new("in-process", "the cache has none"),
            breakers: Choice::new("in-process", "the cache has none"),
        };
        Ok(Self {
            stores,
            #[cfg(feature = "switch")]
            switch,
            publisher,
            search,
            cache,
            startup,
        })
    }

    /// The tables of all that is chosen.
    pub(crate) fn tables(&self) -> impl Iterator<Item = Tables> {
        let Self {
            stores,
            #[cfg(feature = "switch")]
            switch,
            publisher,
            search,
            cache,
            startup: _,
        } = self;
        #[cfg(feature = "switch")]
        let settings = switch.as_ref().and_then(|switch| switch.settings.tables);
        #[cfg(not(feature = "switch"))]
        let settings = None;
        let stores: Vec<_> = stores.iter().map(|store| store.tables).collect();
        (stores.into_iter())
            .chain([settings, publisher.tables, search.tables, cache.tables])
            .flatten()
    }
}

/// A backend of ours, where it is compiled in.
fn chosen<T: ?Sized + 'static>(adapter: &'static Adapter<T>, why: String) -> Option<Chosen<T>> {
    let Connect::With(connect) = adapter.connect else {
        return None;
    };
    Some(Chosen {
        choice: Choice::new(adapter.names[0], why),
        place: Some((adapter.names[0], adapter.place)),
        shared: adapter.shared,
        tables: adapter.tables,
        source: Source::Builtin(connect),
    })
}

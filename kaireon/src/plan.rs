//! Which backends a configuration means: plain functions, without I/O.

use std::sync::Arc;

use kaireon_core::search::SearchIndex;
use kaireon_core::{CacheStore, EventPublisher, InteractionStore, Result};

use crate::Config;
use crate::adapters::{
    Adapter, CACHES, Connect, Connecting, Factory, Found, PUBLISHERS, Registry, SEARCH_INDEXES, STORES,
    Tables, Variable,
};
use crate::config::{CACHE_STORE, CallPolicy, EVENT_PUBLISHER, INTERACTION_STORE, SEARCH_INDEX, shown};
use crate::problem::{Problem, Problems};
use crate::startup::{Choice, Startup};
use crate::url::{self, Shape};

/// Every backend that can be chosen.
#[derive(Debug)]
pub(crate) struct Registries {
    pub(crate) stores: Registry<dyn InteractionStore>,
    pub(crate) publishers: Registry<dyn EventPublisher>,
    pub(crate) search_indexes: Registry<dyn SearchIndex>,
    pub(crate) caches: Registry<dyn CacheStore>,
}

impl Default for Registries {
    fn default() -> Self {
        Self {
            stores: Registry::new(STORES),
            publishers: Registry::new(PUBLISHERS),
            search_indexes: Registry::new(SEARCH_INDEXES),
            caches: Registry::new(CACHES),
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
    pub(crate) store: Chosen<dyn InteractionStore>,
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
        } = registries;
        let mut problems = config.unreadable.clone();
        problems.extend_from_slice(stores.problems());
        problems.extend_from_slice(publishers.problems());
        problems.extend_from_slice(search_indexes.problems());
        problems.extend_from_slice(caches.problems());

        let mut reader = Reader {
            config,
            problems,
            checked: Vec::new(),
        };
        reader.check_policy();
        let store = reader.choose(INTERACTION_STORE, config.interaction_store.as_deref(), stores);
        let publisher = reader.choose(EVENT_PUBLISHER, config.event_publisher.as_deref(), publishers);
        let search = reader.choose(SEARCH_INDEX, config.search_index.as_deref(), search_indexes);
        let cache = reader.choose(CACHE_STORE, config.cache_store.as_deref(), caches);
        reader.check_rest();
        Problems::check(reader.problems)?;

        let chosen = "a choice is missing only where a problem was reported";
        let (store, publisher) = (store.expect(chosen), publisher.expect(chosen));
        let (search, cache) = (search.expect(chosen), cache.expect(chosen));
        let startup = Startup {
            store: store.choice.clone(),
            events: publisher.choice.clone(),
            search: search.choice.clone(),
            cache: cache.choice.clone(),
        };
        Ok(Self {
            store,
            publisher,
            search,
            cache,
            startup,
        })
    }

    /// The tables of all that is chosen.
    pub(crate) fn tables(&self) -> impl Iterator<Item = Tables> {
        let Self {
            store,
            publisher,
            search,
            cache,
            startup: _,
        } = self;
        [store.tables, publisher.tables, search.tables, cache.tables]
            .into_iter()
            .flatten()
    }
}

struct Reader<'a> {
    config: &'a Config,
    problems: Vec<Problem>,
    /// Variables that were judged for an adapter that needs them.
    checked: Vec<Variable>,
}

impl Reader<'_> {
    fn problem(&mut self, place: &str, what: impl Into<String>) {
        self.problems.push(Problem::new(place, what));
    }

    fn choose<T: ?Sized + 'static>(
        &mut self,
        variable: &str,
        value: Option<&str>,
        registry: &Registry<T>,
    ) -> Option<Chosen<T>> {
        let Some(value) = value else {
            return self.default(variable, registry);
        };
        match registry.find(value) {
            Some(Found::Builtin(adapter)) => self.builtin(variable, value, adapter),
            Some(Found::Custom(name, factory)) => Some(Chosen {
                choice: Choice::new(name, format!("{variable}, registered by the host")),
                place: None,
                shared: false,
                tables: None,
                source: Source::Custom(Arc::clone(factory)),
            }),
            None => {
                let allowed = registry.allowed();
                let what = match shown(value) {
                    Some(value) => format!("unknown value `{value}` (allowed: {allowed})"),
                    None => {
                        format!("holds no name of a backend; its value is not shown (allowed: {allowed})")
                    }
                };
                self.problem(variable, what);
                None
            }
        }
    }

    fn builtin<T: ?Sized + 'static>(
        &mut self,
        variable: &str,
        value: &str,
        adapter: &'static Adapter<T>,
    ) -> Option<Chosen<T>> {
        let absent = adapter.needs.iter().find(|need| need.of(self.config).is_none());
        if let (Some(absent), Some(stand_in)) = (absent, adapter.stand_in) {
            let why = format!("{variable}={} without {}", adapter.names[0], absent.name());
            return chosen(stand_in, why).map(|chosen| Chosen {
                choice: chosen.choice.with_warning(),
                ..chosen
            });
        }
        let needed = self.check_needs(adapter);
        match &adapter.connect {
            Connect::With(_) => {
                let good = needed & self.check_settings(adapter);
                good.then(|| chosen(adapter, variable.to_owned())).flatten()
            }
            Connect::Without { feature } => {
                let what = format!(
                    "`{value}` is not compiled in: turn on the feature `{feature}` of the crate `kaireon`"
                );
                self.problem(variable, what);
                None
            }
            Connect::Planned { feature } => {
                let what = format!(
                    "`{value}` is not compiled in: this release has no feature `{feature}` yet, a later one will"
                );
                self.problem(variable, what);
                None
            }
        }
    }

    /// What a concern gets when its variable is unset.
    fn default<T: ?Sized + 'static>(&mut self, variable: &str, registry: &Registry<T>) -> Option<Chosen<T>> {
        let mut why = format!("{variable} is unset");
        for adapter in registry.builtins() {
            let Some(offer) = adapter.offered_by.filter(|offer| offer.of(self.config).is_some()) else {
                continue;
            };
            if matches!(adapter.connect, Connect::With(_)) {
                why.push_str(&format!(", {} is set", offer.name()));
                let good = self.check_needs(adapter) & self.check_settings(adapter);
                return good.then(|| chosen(adapter, why)).flatten();
            }
            why.push_str(&format!(
                ", {} is set but `{}` is not compiled in",
                offer.name(),
                adapter.names[0]
            ));
        }
        let adapter = registry.default();
        if let Connect::Without { feature } | Connect::Planned { feature } = adapter.connect {
            let allowed = registry.allowed();
            let what = format!(
                "is unset, and the default `{}` is not compiled in: turn on the feature `{feature}` of the crate \
                 `kaireon`, or set it (allowed: {allowed})",
                adapter.names[0]
            );
            self.problem(variable, what);
            return None;
        }
        self.check_settings(adapter)
            .then(|| chosen(adapter, why))
            .flatten()
    }

    /// What an adapter that is compiled in reads besides the common variables.
    fn check_settings<T: ?Sized + 'static>(&mut self, adapter: &Adapter<T>) -> bool {
        let wrong = (adapter.check)(self.config);
        let good = wrong.is_empty();
        for problem in wrong {
            // What is missing or malformed was told when the URLs were looked at.
            if !self.problems.iter().any(|told| told.place == problem.place) {
                self.problems.push(problem);
            }
        }
        good
    }

    fn check_needs<T: ?Sized + 'static>(&mut self, adapter: &Adapter<T>) -> bool {
        let mut good = true;
        for variable in adapter.needs {
            self.checked.push(*variable);
            let fault = match variable
                .of(self.config)
                .map(|url| url::check(url, variable.schemes()))
            {
                None => Some(format!("is missing; `{}` needs it", adapter.names[0])),
                Some(Ok(Shape::Wanted)) => None,
                Some(Ok(Shape::Other)) => Some(format!("is not a url of {}", schemes(*variable))),
                Some(Err(why)) => Some(why.to_owned()),
            };
            if let Some(fault) = fault {
                good = false;
                // Two concerns may need one variable; its fault is told once.
                if !self
                    .problems
                    .iter()
                    .any(|problem| problem.place == variable.name())
                {
                    self.problem(variable.name(), fault);
                }
            }
        }
        good
    }

    /// A variable that no chosen adapter reads may be the host's own, of another scheme; what is no URL at all, or
    /// a damaged one of a scheme of ours, is a mistake that would show only later.
    fn check_rest(&mut self) {
        for variable in [Variable::DatabaseUrl, Variable::RedisUrl] {
            if self.checked.contains(&variable) {
                continue;
            }
            if let Some(Err(why)) = variable
                .of(self.config)
                .map(|url| url::check(url, variable.schemes()))
            {
                self.problem(variable.name(), why);
            }
        }
    }

    fn check_policy(&mut self) {
        let CallPolicy {
            attempt_timeout,
            maintenance_timeout,
            retry,
        } = self.config.calls;
        for (field, wrong) in [
            ("calls.attempt_timeout", attempt_timeout.is_zero()),
            ("calls.maintenance_timeout", maintenance_timeout.is_zero()),
            ("calls.retry.max_attempts", retry.max_attempts == 0),
        ] {
            if wrong {
                self.problem(field, "is zero");
            }
        }
    }
}

fn schemes(variable: Variable) -> String {
    let schemes: Vec<String> = (variable.schemes().iter())
        .map(|scheme| format!("`{scheme}://`"))
        .collect();
    schemes.join(" or ")
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

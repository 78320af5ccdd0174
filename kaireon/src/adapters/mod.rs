//! Every backend that an environment variable can name: one file per adapter, one list per concern.
//!
//! The lists are always compiled, whatever features are on, so that a value whose adapter was left out can be
//! answered with the feature to turn on. Only an adapter's `connect` is behind `cfg`. A new adapter is one file
//! here, which takes its row out of `planned.rs`, and its line in the lists below.

mod disabled;
mod embedded;
mod in_process;
mod memory;
mod place;
mod planned;
mod postgres;
mod redis;
mod registry;
#[cfg(feature = "switch")]
mod settings;
mod vars;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use kaireon_core::search::SearchIndex;
use kaireon_core::{CacheStore, EventPublisher, InteractionStore, Result};

pub(crate) use disabled::DisabledPublisher;
pub(crate) use in_process::{breaker, limiter};
pub(crate) use registry::{Factory, Found, Registry};
#[cfg(feature = "switch")]
pub(crate) use settings::{
    BESIDE_STORE as SETTINGS_BESIDE_STORE, OF_THEIR_OWN as SETTINGS_OF_THEIR_OWN, SETTINGS,
};
use vars::Vars;

use crate::Config;
use crate::problem::Problem;
use crate::tables::{Migrated, PlannedStep};

/// What a backend becomes once it is connected.
pub(crate) type Connecting<T> = Pin<Box<dyn Future<Output = Result<Arc<T>>> + Send>>;

/// One backend of one concern.
pub(crate) struct Adapter<T: ?Sized + 'static> {
    /// Its values in the environment; the first is its name everywhere else.
    pub(crate) names: &'static [&'static str],
    /// What it must be told: variables that hold a URL of one of their schemes.
    pub(crate) needs: &'static [Variable],
    /// What stands in for it, with a warning, where it is not told what it needs; none: the configuration is wrong.
    pub(crate) stand_in: Option<&'static Adapter<T>>,
    /// The variable that makes it the choice where none is named.
    pub(crate) offered_by: Option<Variable>,
    /// Everything that is wrong with what else it reads of the configuration, by its variables.
    pub(crate) check: fn(&Config) -> Vec<Problem>,
    /// What tells one place of this backend from another: two configurations with the same answer mean the same
    /// place, which a reset takes over open instead of opening it twice.
    pub(crate) place: fn(&Config) -> String,
    /// Whether other processes may have the same place open.
    pub(crate) shared: bool,
    /// How its tables are brought to this release's version, where it has any.
    pub(crate) tables: Option<Tables>,
    /// How to get it.
    pub(crate) connect: Connect<T>,
}

/// How to get a backend.
pub(crate) enum Connect<T: ?Sized> {
    /// It is compiled in.
    With(fn(&Config) -> Connecting<T>),
    /// It is not, because a feature is off.
    #[allow(dead_code, reason = "constructed where the feature is off")]
    Without {
        /// The feature of this crate.
        feature: &'static str,
    },
    /// It is not, because this release does not have it yet.
    Planned {
        /// The feature that it will be behind.
        feature: &'static str,
    },
}

/// How a backend's tables are brought to this release's version.
#[derive(Clone, Copy)]
pub(crate) struct Tables {
    /// Does it.
    pub(crate) migrate: fn(&Config) -> Migrating<Migrated>,
    /// Tells what would be done.
    pub(crate) plan: fn(&Config) -> Migrating<Vec<PlannedStep>>,
}

/// What becomes of tables.
pub(crate) type Migrating<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// A variable that an adapter reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variable {
    DatabaseUrl,
    RedisUrl,
    #[cfg(feature = "switch")]
    SettingsDatabase,
}

impl Variable {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::DatabaseUrl => crate::config::DATABASE_URL,
            Self::RedisUrl => crate::config::REDIS_URL,
            #[cfg(feature = "switch")]
            Self::SettingsDatabase => crate::config::KAIREON_SETTINGS_URL,
        }
    }

    pub(crate) fn of(self, config: &Config) -> Option<&str> {
        match self {
            Self::DatabaseUrl => config.database_url.as_deref(),
            Self::RedisUrl => config.redis_url.as_deref(),
            #[cfg(feature = "switch")]
            Self::SettingsDatabase => {
                let url = config.extra.get(self.name())?.trim();
                (!url.is_empty()).then_some(url)
            }
        }
    }

    /// The schemes that some adapter of ours takes in this variable.
    pub(crate) const fn schemes(self) -> &'static [&'static str] {
        match self {
            Self::DatabaseUrl => &["postgres", "postgresql"],
            #[cfg(feature = "switch")]
            Self::SettingsDatabase => &["postgres", "postgresql"],
            Self::RedisUrl => &["redis", "rediss"],
        }
    }
}

/// The stores, the default first.
pub(crate) static STORES: &[&Adapter<dyn InteractionStore>] = &[
    &embedded::STORE,
    &memory::STORE,
    &postgres::STORE,
    &planned::DYNAMODB_STORE,
    &planned::SCYLLA_STORE,
    &planned::CASSANDRA_STORE,
    &planned::KEYSPACES_STORE,
];

/// The event streams, the default first.
pub(crate) static PUBLISHERS: &[&Adapter<dyn EventPublisher>] = &[
    &in_process::PUBLISHER,
    &disabled::PUBLISHER,
    &redis::PUBLISHER,
    &planned::REDIS_STREAMS_PUBLISHER,
    &planned::KAFKA_PUBLISHER,
    &planned::KINESIS_PUBLISHER,
    &planned::EVENTBRIDGE_PUBLISHER,
];

/// The search indexes, the default first.
pub(crate) static SEARCH_INDEXES: &[&Adapter<dyn SearchIndex>] = &[
    &memory::SEARCH,
    &planned::POSTGRES_SEARCH,
    &planned::TANTIVY_SEARCH,
    &planned::OPENSEARCH_SEARCH,
];

/// The caches, the default first.
pub(crate) static CACHES: &[&Adapter<dyn CacheStore>] = &[&in_process::CACHE, &redis::CACHE];

/// The name of a store by one of its values in the environment.
#[cfg(feature = "http")]
pub(crate) fn store_name(value: &str) -> String {
    let folded = value.to_ascii_lowercase();
    let adapter = STORES
        .iter()
        .find(|adapter| adapter.names.contains(&folded.as_str()));
    adapter.map_or(folded, |adapter| adapter.names[0].to_owned())
}

//! What a host chooses: from the environment, or in code.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use kaireon_core::Result;
use kaireon_core::wrap::RetryPolicy;

use crate::Infra;
use crate::problem::Problem;

/// The variable that chooses the interaction store.
pub const INTERACTION_STORE: &str = "INTERACTION_STORE";
/// The variable that chooses the event stream.
pub const EVENT_PUBLISHER: &str = "EVENT_PUBLISHER";
/// The variable that chooses the search index.
pub const SEARCH_INDEX: &str = "SEARCH_INDEX";
/// The variable that chooses the cache.
pub const CACHE_STORE: &str = "CACHE_STORE";
/// The variable that says where the database is.
pub const DATABASE_URL: &str = "DATABASE_URL";
/// The variable that says where Redis is.
pub const REDIS_URL: &str = "REDIS_URL";
/// The variable that says where embedded backends keep their files.
pub const KAIREON_DATA_DIR: &str = "KAIREON_DATA_DIR";
/// The variable of the key of the digests, the same for every store between which tombstones are moved.
pub const KAIREON_MASTER_KEY: &str = "KAIREON_MASTER_KEY";
/// The variable that names the stores which tenants may be on, and turns the tenant switch on.
pub const KAIREON_SWITCH_STORES: &str = "KAIREON_SWITCH_STORES";
/// The variable of the share of reads that the tenant switch compares.
pub const KAIREON_SWITCH_READ_SAMPLE: &str = "KAIREON_SWITCH_READ_SAMPLE";
/// The variable that chooses where the tenant switch keeps its settings.
pub const KAIREON_SETTINGS_STORE: &str = "KAIREON_SETTINGS_STORE";
/// The variable that says where the settings' database is.
pub const KAIREON_SETTINGS_URL: &str = "KAIREON_SETTINGS_URL";
/// The variable that says where the archive is.
pub const KAIREON_ARCHIVE_URL: &str = "KAIREON_ARCHIVE_URL";

/// Where embedded backends keep their files unless [`KAIREON_DATA_DIR`] says otherwise: relative to the working
/// directory.
pub const DEFAULT_DATA_DIR: &str = "data/kaireon";

/// What a host chooses. Reading it checks nothing; [`Infra::builder`] checks all of it at once.
///
/// An empty variable counts as unset, and names of backends are taken without regard to case. Its `Debug` shows
/// no URL and no value of [`extra`](Self::extra).
///
/// ```
/// use kaireon::Config;
///
/// // What the environment says, except for the directory.
/// let config = Config::from_env().with_data_dir("/var/lib/shop");
/// // Nothing but what is said here.
/// let config = Config {
///     interaction_store: Some("embedded".to_owned()),
///     data_dir: Some("/var/lib/shop".into()),
///     ..Config::default()
/// };
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Config {
    /// `INTERACTION_STORE`: the store's backend. Unset: what `DATABASE_URL` offers when its adapter is compiled
    /// in, else `embedded`.
    pub interaction_store: Option<String>,
    /// `EVENT_PUBLISHER`: the stream's backend. Unset: what `REDIS_URL` offers when its adapter is compiled in,
    /// else `in-process`.
    pub event_publisher: Option<String>,
    /// `SEARCH_INDEX`: the search index's backend. Unset: what `DATABASE_URL` offers when its adapter is compiled
    /// in, else `memory`.
    pub search_index: Option<String>,
    /// `CACHE_STORE`: the cache's backend. Unset: what `REDIS_URL` offers when its adapter is compiled in, else
    /// `in-process`.
    pub cache_store: Option<String>,
    /// `DATABASE_URL`. A secret: it may hold a password.
    pub database_url: Option<String>,
    /// `REDIS_URL`. A secret: it may hold a password.
    pub redis_url: Option<String>,
    /// `KAIREON_DATA_DIR`: where embedded backends keep their files, each in a folder of its own;
    /// [`DEFAULT_DATA_DIR`] when unset.
    pub data_dir: Option<PathBuf>,
    /// Every other variable whose name begins with `KAIREON_`: those of the tenant switch, those that one backend reads, and
    /// what the factories of custom backends look for. Secrets, as far as this crate knows.
    pub extra: BTreeMap<String, String>,
    /// How calls are tried again and for how long.
    pub calls: CallPolicy,
    /// With an in-process stream, for how long after the start outbox entries of an earlier run wait for somebody
    /// to subscribe, before they expire; 5 minutes by default.
    pub leftovers_wait: Duration,
    /// How the former set ends at a [reset](Infra::reset).
    pub handover: Handover,
    /// What [`from_vars`](Self::from_vars) could not read: told at the start with whatever else is wrong. Empty by
    /// default.
    pub unreadable: Vec<Problem>,
}

/// How the calls of every handle are tried again, and for how long: the settings of the wrappers around each
/// backend, `Trace<Retry<Timeout<backend>>>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallPolicy {
    /// How long one attempt may take; 5 s by default.
    pub attempt_timeout: Duration,
    /// How long one attempt to erase or to purge may take, which goes through all that a customer or a tenant has;
    /// 10 minutes by default.
    pub maintenance_timeout: Duration,
    /// How often to try, and with which pauses.
    pub retry: RetryPolicy,
}

impl Default for CallPolicy {
    fn default() -> Self {
        Self {
            attempt_timeout: Duration::from_secs(5),
            maintenance_timeout: Duration::from_secs(600),
            retry: RetryPolicy::default(),
        }
    }
}

/// How the former set ends at a [reset](Infra::reset).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handover {
    /// How long callers may finish with handles that they took before; 1 s by default. It ends early when nobody
    /// holds one any more.
    pub grace: Duration,
    /// How long the former set may take to drain after that; 30 s by default.
    pub deadline: Duration,
}

impl Default for Handover {
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(1),
            deadline: Duration::from_secs(30),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            interaction_store: None,
            event_publisher: None,
            search_index: None,
            cache_store: None,
            database_url: None,
            redis_url: None,
            data_dir: None,
            extra: BTreeMap::new(),
            calls: CallPolicy::default(),
            leftovers_wait: Duration::from_secs(300),
            handover: Handover::default(),
            unreadable: Vec::new(),
        }
    }
}

impl Config {
    /// Reads the process's environment.
    #[must_use]
    pub fn from_env() -> Self {
        Self::from_vars(std::env::vars_os())
    }

    /// Reads variables from anywhere: a test, a file of the host's.
    ///
    /// A value that is not UTF-8 is told by [`build`](crate::InfraBuilder::build), together with whatever else is
    /// wrong.
    pub fn from_vars<K, V>(vars: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<OsString>,
        V: Into<OsString>,
    {
        let mut config = Self::default();
        for (name, value) in vars {
            let (name, value): (OsString, OsString) = (name.into(), value.into());
            if !value.is_empty() {
                config.read(&name, &value);
            }
        }
        config
    }

    fn read(&mut self, name: &OsStr, value: &OsStr) {
        let Some(name) = name.to_str() else {
            return;
        };
        let target = match name {
            INTERACTION_STORE => &mut self.interaction_store,
            EVENT_PUBLISHER => &mut self.event_publisher,
            SEARCH_INDEX => &mut self.search_index,
            CACHE_STORE => &mut self.cache_store,
            DATABASE_URL => &mut self.database_url,
            REDIS_URL => &mut self.redis_url,
            KAIREON_DATA_DIR => {
                // A path need not be UTF-8.
                self.data_dir = Some(PathBuf::from(value));
                return;
            }
            _ if name.starts_with("KAIREON_") => {
                match value.to_str() {
                    Some(value) => drop(self.extra.insert(name.to_owned(), value.to_owned())),
                    None => self.unreadable.push(Problem::new(name, "is not utf-8")),
                }
                return;
            }
            _ => return,
        };
        match value.to_str().map(str::trim) {
            Some("") => {}
            Some(value) => *target = Some(value.to_owned()),
            None => self.unreadable.push(Problem::new(name, "is not utf-8")),
        }
    }

    /// The same with that interaction store, by its value of `INTERACTION_STORE`.
    #[must_use]
    pub fn with_interaction_store(mut self, name: impl Into<String>) -> Self {
        self.interaction_store = Some(name.into());
        self
    }

    /// The same with that event stream, by its value of `EVENT_PUBLISHER`.
    #[must_use]
    pub fn with_event_publisher(mut self, name: impl Into<String>) -> Self {
        self.event_publisher = Some(name.into());
        self
    }

    /// The same with that search index, by its value of `SEARCH_INDEX`.
    #[must_use]
    pub fn with_search_index(mut self, name: impl Into<String>) -> Self {
        self.search_index = Some(name.into());
        self
    }

    /// The same with that cache, by its value of `CACHE_STORE`.
    #[must_use]
    pub fn with_cache_store(mut self, name: impl Into<String>) -> Self {
        self.cache_store = Some(name.into());
        self
    }

    /// The same with that database.
    #[must_use]
    pub fn with_database_url(mut self, url: impl Into<String>) -> Self {
        self.database_url = Some(url.into());
        self
    }

    /// The same with that Redis.
    #[must_use]
    pub fn with_redis_url(mut self, url: impl Into<String>) -> Self {
        self.redis_url = Some(url.into());
        self
    }

    /// The same with the files of embedded backends in that directory.
    #[must_use]
    pub fn with_data_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(directory.into());
        self
    }

    /// The same with another value of a variable whose name begins with `KAIREON_`: [`extra`](Self::extra).
    #[must_use]
    pub fn with_variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.extra.insert(name.into(), value.into());
        self
    }

    /// The same with calls tried again so.
    #[must_use]
    pub fn with_calls(mut self, calls: CallPolicy) -> Self {
        self.calls = calls;
        self
    }

    /// The same with another wait for the entries of an earlier run.
    #[must_use]
    pub fn with_leftovers_wait(mut self, wait: Duration) -> Self {
        self.leftovers_wait = wait;
        self
    }

    /// The same with another end for the former set at a [reset](Infra::reset).
    #[must_use]
    pub fn with_handover(mut self, handover: Handover) -> Self {
        self.handover = handover;
        self
    }

    /// Starts with this configuration: [`Infra::builder`] with no backends of the host's own.
    ///
    /// # Errors
    /// As for [`InfraBuilder::build`](crate::InfraBuilder::build).
    pub async fn start(self) -> Result<Infra> {
        Infra::builder().config(self).build().await
    }

    /// Where embedded backends keep their files.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.data_dir
            .clone()
            .unwrap_or_else(|| PathBuf::from(DEFAULT_DATA_DIR))
    }
}

/// Shows that something is set, and not what.
struct Hidden(bool);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0 { "set" } else { "unset" })
    }
}

/// A backend's name as far as it can be shown: what does not look like a name may be a secret in the wrong place.
pub(crate) fn shown(value: &str) -> Option<&str> {
    let name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (value.len() <= 32 && value.bytes().all(name)).then_some(value)
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            interaction_store,
            event_publisher,
            search_index,
            cache_store,
            database_url,
            redis_url,
            data_dir,
            extra,
            calls,
            leftovers_wait,
            handover,
            unreadable,
        } = self;
        let name = |value: &Option<String>| {
            let value = value.as_deref()?;
            Some(shown(value).unwrap_or("(not a name)").to_owned())
        };
        f.debug_struct("Config")
            .field("interaction_store", &name(interaction_store))
            .field("event_publisher", &name(event_publisher))
            .field("search_index", &name(search_index))
            .field("cache_store", &name(cache_store))
            .field("database_url", &Hidden(database_url.is_some()))
            .field("redis_url", &Hidden(redis_url.is_some()))
            .field("data_dir", data_dir)
            .field("extra", &extra.keys().collect::<Vec<_>>())
            .field("calls", calls)
            .field("leftovers_wait", leftovers_wait)
            .field("handover", handover)
            .field("unreadable", unreadable)
            .finish()
    }
}

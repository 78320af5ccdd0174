//! Starting an [`Infra`] with backends of the host's own.

use std::sync::Arc;

use kaireon_core::search::SearchIndex;
use kaireon_core::store::ErasurePlace;
use kaireon_core::{CacheStore, EventPublisher, InteractionStore, Result};

use crate::plan::Registries;
use crate::tables::{self, Migrated, PlannedStep};
use crate::{Config, Infra};

/// Builds an [`Infra`], with backends of the host's own where it registers some.
///
/// A registered name is a value of the concern's variable, like those of the built-in backends. Its factory is
/// called with the configuration when the name is chosen: at the start, and at each reset.
///
/// ```
/// use kaireon::{Config, Infra};
/// use kaireon_core::memory::MemoryStore;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> kaireon_core::Result<()> {
/// let infra = Infra::builder()
///     .config(Config::from_vars([("INTERACTION_STORE", "shop")]))
///     .register_store("shop", |_config| async { Ok(MemoryStore::new()) })
///     .build()
///     .await?;
/// assert_eq!(infra.startup().store.backend, "shop");
/// # Ok(()) }
/// ```
#[derive(Debug, Default)]
#[must_use = "a builder does nothing until it is built"]
pub struct InfraBuilder {
    config: Option<Config>,
    registries: Registries,
}

impl InfraBuilder {
    /// Takes this configuration instead of the environment's.
    pub fn config(mut self, config: Config) -> Self {
        self.config = Some(config);
        self
    }

    /// Makes `name` a value of `INTERACTION_STORE`: 1 to 32 letters, digits, `-` and `_`, without regard to case.
    pub fn register_store<S, F, Fut>(mut self, name: &str, factory: F) -> Self
    where
        S: InteractionStore + 'static,
        F: Fn(Config) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<S>> + Send + 'static,
    {
        let factory = Arc::new(move |config: &Config| {
            let made = factory(config.clone());
            Box::pin(async move { Ok(Arc::new(made.await?) as Arc<dyn InteractionStore>) }) as _
        });
        self.registries.stores.register("register_store", name, factory);
        self
    }

    /// Makes `name` a value of `EVENT_PUBLISHER`, as [`register_store`](Self::register_store) does for stores.
    ///
    /// A publisher whose `has_subscribers` answers has all its subscribers in this process: recorded events are
    /// then written to the outbox only while somebody subscribes. For any other they always are.
    pub fn register_publisher<P, F, Fut>(mut self, name: &str, factory: F) -> Self
    where
        P: EventPublisher + 'static,
        F: Fn(Config) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<P>> + Send + 'static,
    {
        let factory = Arc::new(move |config: &Config| {
            let made = factory(config.clone());
            Box::pin(async move { Ok(Arc::new(made.await?) as Arc<dyn EventPublisher>) }) as _
        });
        self.registries
            .publishers
            .register("register_publisher", name, factory);
        self
    }

    /// Makes `name` a value of `SEARCH_INDEX`, as [`register_store`](Self::register_store) does for stores.
    pub fn register_search<X, F, Fut>(mut self, name: &str, factory: F) -> Self
    where
        X: SearchIndex + 'static,
        F: Fn(Config) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<X>> + Send + 'static,
    {
        let factory = Arc::new(move |config: &Config| {
            let made = factory(config.clone());
            Box::pin(async move { Ok(Arc::new(made.await?) as Arc<dyn SearchIndex>) }) as _
        });
        self.registries
            .search_indexes
            .register("register_search", name, factory);
        self
    }

    /// Makes `name` a value of `CACHE_STORE`, as [`register_store`](Self::register_store) does for stores.
    pub fn register_cache<C, F, Fut>(mut self, name: &str, factory: F) -> Self
    where
        C: CacheStore + 'static,
        F: Fn(Config) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<C>> + Send + 'static,
    {
        let factory = Arc::new(move |config: &Config| {
            let made = factory(config.clone());
            Box::pin(async move { Ok(Arc::new(made.await?) as Arc<dyn CacheStore>) }) as _
        });
        self.registries.caches.register("register_cache", name, factory);
        self
    }

    /// Makes a place of the host's own one that [`Infra::erase_customer`] goes through, behind those that it knows and in
    /// the order in which they were given. Its count stands in the receipt under its name.
    pub fn erasure_place(mut self, place: impl ErasurePlace + 'static) -> Self {
        self.registries.places.push(Arc::new(place));
        self
    }

    /// Brings the tables of what the configuration names to this release's version, where it has tables; nothing is
    /// started. Run it once per release, by whoever may alter tables: any number of processes may call it at once,
    /// and those of the release before go on working meanwhile.
    ///
    /// # Errors
    /// `Config` with everything that is wrong at once, and where tables were made by a newer release; what a backend
    /// answers.
    ///
    /// # Dropped futures
    /// Each version is applied wholly or not at all.
    pub async fn migrate(&self) -> Result<Vec<Migrated>> {
        tables::migrate(&self.config_or_env(), &self.registries).await
    }

    /// What [`migrate`](Self::migrate) would do, with the statements that would run. Changes nothing.
    ///
    /// # Errors
    /// As for [`migrate`](Self::migrate).
    ///
    /// # Dropped futures
    /// Nothing is left behind.
    pub async fn migration_plan(&self) -> Result<Vec<PlannedStep>> {
        tables::plan(&self.config_or_env(), &self.registries).await
    }

    /// Opens the tenant switch alone, with the stores that were registered among the names that it may have:
    /// [`switch::open`](crate::switch::open).
    ///
    /// # Errors
    /// As for [`switch::open`](crate::switch::open).
    ///
    /// # Dropped futures
    /// As for [`switch::open`](crate::switch::open).
    #[cfg(feature = "switch")]
    pub async fn open_switch(&self) -> Result<crate::TenantSwitch> {
        crate::switch::open_alone(&self.config_or_env(), &self.registries).await
    }

    fn config_or_env(&self) -> Config {
        self.config.clone().unwrap_or_else(Config::from_env)
    }

    /// Checks the configuration, connects what it names, and logs one line that says what and why.
    ///
    /// # Errors
    /// `Config` with everything that is wrong at once; its source is [`Problems`](crate::Problems). Otherwise what
    /// a backend answers when it is connected, `Config` for a directory that is in use among them; what was
    /// connected before it is let go.
    ///
    /// # Dropped futures
    /// What was connected is let go, an embedded directory when its opening has ended.
    pub async fn build(self) -> Result<Infra> {
        let Self { config, registries } = self;
        Infra::open(config.unwrap_or_else(Config::from_env), registries).await
    }
}

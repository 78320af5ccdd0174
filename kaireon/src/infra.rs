//! The struct that hosts hold.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use kaireon_core::breaker::CircuitBreaker;
use kaireon_core::limiter::RateLimiter;
use kaireon_core::search::SearchIndex;
use kaireon_core::store::{Erasure, ErasurePlace};
use kaireon_core::{
    CacheStore, DynContainer, Effect, Error, ErrorKind, EventPublisher, InteractionStore, Result,
};
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

use crate::builder::InfraBuilder;
use crate::erase::{Erased, erase};
use crate::health::Health;
use crate::plan::{Plan, Registries};
use crate::report::{DrainReport, Outcome, Part};
use crate::set::Set;
use crate::startup::Startup;
use crate::{Config, Handover};

/// The store, the event stream, the search index and the cache that a configuration names, behind one handle.
///
/// A clone is the same `Infra`. Each accessor returns a handle on the present set of backends. A
/// [`reset`](Self::reset) puts another set in place: a handle that was taken before stays on the old one, and
/// answers `Unavailable`, not applied, once that is drained. So take a handle per request; it costs a reference
/// count.
///
/// Every handle of a backend is `Trace<Retry<Timeout<backend>>>`, as [`Config::calls`] says.
///
/// Dropping the last clone, and the subscriptions, without [`shutdown`](Self::shutdown) ends the relay where it
/// stands. Nothing that was acknowledged is lost: what was not delivered waits in the outbox.
#[derive(Clone, Debug)]
pub struct Infra(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    current: ArcSwap<Set>,
    registries: Registries,
    control: Mutex<Control>,
    /// Whether a shutdown has begun, so that a reset that drains leaves the rest to it.
    ending: watch::Sender<bool>,
}

/// What resets and shutdowns do one after another.
#[derive(Debug, Default)]
struct Control {
    /// A set that was replaced and is not drained yet: only where a reset's future was dropped half-way.
    former: Option<Arc<Set>>,
    /// How it ended.
    ended: Option<DrainReport>,
}

impl Infra {
    /// Starts with what the process's environment says: [`Config::from_env`].
    ///
    /// # Errors
    /// As for [`InfraBuilder::build`].
    ///
    /// # Dropped futures
    /// As for [`InfraBuilder::build`].
    pub async fn from_env() -> Result<Self> {
        Self::builder().config(Config::from_env()).build().await
    }

    /// Begins with the environment's configuration, which [`InfraBuilder::config`] replaces, and no backends of the
    /// host's own.
    pub fn builder() -> InfraBuilder {
        InfraBuilder::default()
    }

    pub(crate) async fn open(config: Config, registries: Registries) -> Result<Self> {
        let plan = Plan::new(&config, &registries)?;
        let deadline = config.handover.deadline;
        let set = Set::build(&plan, config, None).await?;
        if let Err(error) = set.start().await {
            let report = set.drain(None, Instant::now() + deadline).await;
            tracing::warn!(%report, "the event stream did not start");
            return Err(error);
        }
        set.startup().log("started");
        Ok(Self(Arc::new(Shared {
            current: ArcSwap::from_pointee(set),
            registries,
            control: Mutex::default(),
            ending: watch::Sender::new(false),
        })))
    }

    /// Store, event stream, search index and cache of the present set, held together: for code that takes a
    /// [`Container`](kaireon_core::Container). Like each handle, to be taken per request.
    #[must_use]
    pub fn container(&self) -> DynContainer {
        self.0.current.load().handles.container.clone()
    }

    /// The interaction store.
    #[must_use]
    pub fn store(&self) -> Arc<dyn InteractionStore> {
        Arc::clone(self.0.current.load().handles.container.store())
    }

    /// The event stream.
    ///
    /// A subscription goes on over a reset that keeps the stream's backend, and ends with one that changes it.
    #[must_use]
    pub fn events(&self) -> Arc<dyn EventPublisher> {
        Arc::clone(self.0.current.load().handles.container.events())
    }

    /// The search index.
    #[must_use]
    pub fn search(&self) -> Arc<dyn SearchIndex> {
        Arc::clone(self.0.current.load().handles.container.search())
    }

    /// The cache.
    #[must_use]
    pub fn cache(&self) -> Arc<dyn CacheStore> {
        Arc::clone(self.0.current.load().handles.container.cache())
    }

    /// Rate limits: where the cache is, for all processes that share it, or in this process alone. What becomes of calls
    /// while the server is away is the caller's to say:
    /// [`acquire_or`](kaireon_core::limiter::RateLimiterExt::acquire_or).
    #[must_use]
    pub fn limiter(&self) -> Arc<dyn RateLimiter> {
        Arc::clone(&self.0.current.load().handles.limiter)
    }

    /// Circuit breakers: where the cache is, for all processes that share it, and of this process alone without one or
    /// while it is away ([`FallbackBreaker`](kaireon_core::breaker::FallbackBreaker)).
    #[must_use]
    pub fn breaker(&self) -> Arc<dyn CircuitBreaker> {
        Arc::clone(&self.0.current.load().handles.breaker)
    }

    /// The tenant switch, where `KAIREON_SWITCH_STORES` names its stores: what moves tenants between them. Like each handle,
    /// to be taken per request: once its stores are let go of, after a reset or a shutdown, it answers `Unavailable`.
    #[cfg(feature = "switch")]
    #[must_use]
    pub fn tenant_switch(&self) -> Option<crate::TenantSwitch> {
        self.0.current.load().tenant_switch().cloned()
    }

    /// What was chosen for each concern, and why: what the start-up line says.
    #[must_use]
    pub fn startup(&self) -> Startup {
        self.0.current.load().startup().clone()
    }

    /// The configuration in force.
    #[must_use]
    pub fn config(&self) -> Config {
        self.0.current.load().config().clone()
    }

    /// Asks each part for a sign of life, all at once, 2 s at most. For readiness probes; while a shutdown drains
    /// it is not ready any more.
    pub async fn health(&self) -> Health {
        let set = self.0.current.load_full();
        Health::of(&set).await
    }

    /// Erases a customer from store, search index, cache, the archive of a tenant switch and the
    /// [places](InfraBuilder::erasure_place) of the host's own, in this order, so that nothing recorded before the store's
    /// tombstone finds its way back. With a switch that is every store that the tenant may have been on; the receipt has
    /// the generation and the counts of the one that decides for the tenant.
    ///
    /// The same [`ErasureId`](kaireon_core::store::ErasureId) resumes what was interrupted; the store's and the archive's
    /// counts are then those of the first call, those of search index and cache of this one.
    ///
    /// # Errors
    /// As the store, the search index, the cache, the archive or a place; what went before has been erased then, and a second call under
    /// the same id goes on. `Unsupported` where the store cannot erase; nothing was touched then.
    ///
    /// # Dropped futures
    /// Some parts may have been erased and others not: a second call under the same id goes on.
    pub async fn erase_customer(&self, request: Erasure) -> Result<Erased> {
        let (store, search, cache) = (self.store(), self.search(), self.cache());
        let mut places: Vec<&dyn ErasurePlace> = Vec::new();
        #[cfg(feature = "switch")]
        let switch = self.tenant_switch();
        #[cfg(feature = "switch")]
        if let Some(archive) = switch.as_ref().and_then(|switch| switch.archive()) {
            places.push(archive);
        }
        places.extend(
            self.0
                .registries
                .places
                .iter()
                .map(|place| place as &dyn ErasurePlace),
        );
        erase(request, &*store, (&*search, &*cache), &places).await
    }

    /// Replaces the set of backends by what `config` says.
    ///
    /// The new set is connected first; where that fails, the old one goes on serving. Then it is put in place, and
    /// the old set is drained: callers have [`Handover::grace`] to finish with handles taken before, and what the
    /// outbox holds is delivered to the old stream within [`Handover::deadline`]. What both sets have in common (the
    /// same embedded directory, the in-process stream, the in-process cache) is not closed but carried over, with
    /// its subscriptions, entries and counts. A host's own backend is made anew by its factory each time.
    ///
    /// Where the store stays and the stream changes, the new stream begins when the old one is drained: until then
    /// what is recorded goes to the old one, and `subscribe` on the new one waits.
    ///
    /// Resets and shutdowns take their turn. The same configuration twice leads to the same set.
    ///
    /// # Errors
    /// As for [`InfraBuilder::build`], and then nothing has changed. `Unavailable`, not applied, after a shutdown;
    /// with unknown effect when one began meanwhile, which then drains both sets.
    ///
    /// # Dropped futures
    /// Before the new set is in place, nothing has changed. After it, the old set is closed and drained by the next
    /// reset or shutdown.
    pub async fn reset(&self, config: Config) -> Result<DrainReport> {
        let ended = || {
            Error::new(ErrorKind::Unavailable, "was shut down")
                .with_operation("reset")
                .with_effect(Effect::NotApplied)
                .with_transient(false)
        };
        let mut control = self.0.control.lock().await;
        if *self.0.ending.borrow() {
            return Err(ended());
        }
        self.retire(&mut control).await;
        let plan = Plan::new(&config, &self.0.registries)?;
        let former = self.0.current.load_full();
        let set = Set::build(&plan, config, Some(&former)).await?;
        self.0.current.store(Arc::new(set));
        control.former = Some(former);
        self.0.current.load().startup().log("reset");
        let report = self.retire(&mut control).await;
        report.ok_or_else(|| ended().with_effect(Effect::Unknown))
    }

    /// Drains the set that was replaced, and starts the stream of the one in place. `None` where there is none, or
    /// a shutdown takes over.
    async fn retire(&self, control: &mut Control) -> Option<DrainReport> {
        let former = control.former.clone()?;
        let current = self.0.current.load_full();
        let Handover { grace, deadline } = current.config().handover;
        let drained = async {
            former.released(grace).await;
            former.drain(Some(&current), Instant::now() + deadline).await
        };
        let mut ending = self.0.ending.subscribe();
        let mut report = tokio::select! {
            biased;
            _ = ending.wait_for(|ending| *ending) => return None,
            report = drained => report,
        };
        if let Err(error) = current.start().await {
            tracing::error!(%error, "the event stream did not start after a reset");
            report.fail(Part::Relay, Outcome::Failed(error));
        }
        control.former = None;
        if !report.is_clean() {
            tracing::warn!(%report, "the former set did not end cleanly");
        }
        Some(report)
    }

    /// Ends the intake, finishes what was accepted, delivers what waits in the outbox, and lets go of every
    /// backend; at most `deadline` long, of which calls that are under way have four fifths. Reports how each part
    /// ended.
    ///
    /// Handles answer `Unavailable`, not applied, from the moment this is called. A second call returns the first
    /// one's report.
    ///
    /// # Dropped futures
    /// The intake stays closed; a second call goes on with the rest.
    pub async fn shutdown(&self, deadline: Duration) -> DrainReport {
        let deadline = Instant::now() + deadline;
        self.0.ending.send_replace(true);
        self.0.current.load().close();
        let mut control = self.0.control.lock().await;
        if let Some(report) = &control.ended {
            return report.clone();
        }
        // A reset that was under way may have put another set in place.
        let current = self.0.current.load_full();
        current.close();
        if let Some(former) = control.former.clone() {
            let report = former.drain(Some(&current), deadline).await;
            tracing::info!(%report, "the former set was drained");
            control.former = None;
        }
        let report = current.drain(None, deadline).await;
        tracing::info!(%report, "kaireon was shut down");
        control.ended = Some(report.clone());
        report
    }
}

//! The store that is many: each tenant on the one that its setting names.

mod activity;
mod cursor;
mod erase;
mod read;
mod sample;
mod trace;
mod write;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kaireon_core::digest::MasterKey;
use kaireon_core::outbox::HostEvent;
use kaireon_core::signals::Signals;
use kaireon_core::store::{
    Accepted, BatchOutcome, Durability, Epoch, Erasure, ErasureReceipt, HistoryCursor, HistoryQuery,
    Isolation, Origin, Page, Purge, PurgeReceipt, RecordBatch, Recorded, ScanCursor, ScanQuery,
    StoreCapabilities, SummaryQuery, Tombstone, TombstoneQuery,
};
use kaireon_core::{
    Decision, Error, ErrorKind, Interaction, InteractionStore, Outbox, RecommendationId, Result, Summary,
    TenantId,
};

use self::activity::Counters;
use self::sample::{Answer, Read, Samples};
use crate::current::Current;
use crate::{Freshness, Settings, Stores};

pub use activity::Activity;
pub(crate) use sample::Attempt;
pub use sample::ReadSampling;
pub use trace::{Agreement, ReadTrace, Traced};

/// The name in capabilities, errors and metrics.
const BACKEND: &str = "switch";

/// How the switch behaves.
#[derive(Clone, Debug)]
pub struct SwitchConfig {
    /// The key of the tenants' digests: the one that every store was given. An erasure reaches the other stores by it.
    pub master_key: MasterKey,
    /// How old a setting may be that a call goes by.
    pub freshness: Freshness,
    /// How long a write waits while its tenant's authority moves; 5 s by default, more than a drain lasts.
    pub write_wait: Duration,
    /// How long one attempt at the other store may take where a caller waits for it; 1 s by default.
    pub attempt: Duration,
    /// Which share of reads is compared on both sides of a migration; none by default.
    pub reads: ReadSampling,
}

impl SwitchConfig {
    /// The defaults under this key.
    #[must_use]
    pub fn new(master_key: MasterKey) -> Self {
        Self {
            master_key,
            freshness: Freshness::default(),
            write_wait: Duration::from_secs(5),
            attempt: Duration::from_secs(1),
            reads: ReadSampling::default(),
        }
    }
}

/// An interaction store that keeps each tenant on the store that its [setting](crate::TenantSetting) names.
///
/// - **Writes** go to the tenant's authority, under the setting's epoch. One that its fence refuses was not applied; the
///   setting is read again and the write goes where it belongs now. While the authority moves, writes wait, within
///   [`write_wait`](SwitchConfig::write_wait).
/// - **The other side** of a migration is written by the authority's `replicate` entries
///   ([`ReplicateSink`](crate::ReplicateSink)). A caller may wait for its own record to be there
///   ([`DualWrite`](crate::DualWrite)): it then brings the record itself, as the authority accepted it, and the entry finds it
///   there. The outcome is the authority's in every mode.
/// - **Reads** go to the store that the setting names for them. One whose setting was too old when its answer arrived is
///   done again; where no fresh one can be had, it is answered and counted.
/// - **Erasures** reach every store, in one receipt.
///
/// What is of the stores is asked of them: fences, epochs, records of other origins, and the outboxes. Run a relay for the
/// `publish` lane of every store, so that what a tenant left behind on the one that it was moved from is told like
/// anything else; events of the host's own go into its tenant's by [`append`](Self::append).
///
/// # Errors
/// As for every store. `Config` where a tenant is on a store that this process was not given; `Unavailable`, transient and
/// not applied, where the authority moved for longer than a write waits; the settings store's, where nothing is known of
/// a tenant yet.
#[derive(Clone)]
pub struct SwitchStore(Arc<Inner>);

struct Inner {
    stores: Stores,
    current: Arc<Current>,
    config: SwitchConfig,
    samples: Samples,
    counters: Counters,
}

impl fmt::Debug for SwitchStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SwitchStore")
            .field("stores", &self.0.stores)
            .field("current", &self.0.current)
            .finish_non_exhaustive()
    }
}

impl SwitchStore {
    /// A switch over these stores, by these settings.
    ///
    /// # Errors
    /// `Config` where a store cannot be one of a switch: it has no fences, takes no replicated records, or has no outbox
    /// or no erasure, or tells that it was made with another master key; or the share of compared reads is not from 0 to 1.
    pub fn new(stores: Stores, settings: Settings, config: SwitchConfig) -> Result<Self> {
        for (name, store) in stores.iter() {
            let can = store.capabilities();
            for (has, what) in [
                (can.fence, "fences"),
                (can.replication, "replicated records"),
                (can.outbox, "an outbox"),
                (can.erasure, "erasure"),
            ] {
                if !has {
                    let context = format!("{name} cannot be a store of a switch: it is without {what}");
                    return Err(Error::new(ErrorKind::Config, context));
                }
            }
            // Under another key a tombstone names nobody, and whom it erases elsewhere would stay here.
            if can
                .key_check
                .is_some_and(|theirs| theirs != config.master_key.check_value())
            {
                let context = format!("{name} was made with another master key than the switch is given");
                return Err(Error::new(ErrorKind::Config, context).with_field("master_key"));
            }
        }
        config.reads.check()?;
        let current = Arc::new(Current::new(settings, config.freshness));
        let samples = Samples::new(config.reads);
        Ok(Self(Arc::new(Inner {
            stores,
            current,
            config,
            samples,
            counters: Counters::default(),
        })))
    }

    /// Its stores.
    #[must_use]
    pub fn stores(&self) -> &Stores {
        &self.0.stores
    }

    /// How much went through this switch since it was made, of all tenants.
    #[must_use]
    pub fn activity(&self) -> Activity {
        self.0.counters.read()
    }

    /// Appends events of the host's own to the outbox of their tenants' authority, all or none.
    ///
    /// # Errors
    /// `InvalidInput` naming `events` where they are of tenants on different stores, which share no atomic unit; those of
    /// the store and of the settings store.
    ///
    /// # Dropped futures
    /// All were appended or none.
    pub async fn append(&self, events: Vec<HostEvent>) -> Result<()> {
        self.0.append(events).await
    }

    /// Its settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        self.0.current.settings()
    }

    /// What this process's sample of a tenant's reads says, for the attempt that its setting names; `None` where none was
    /// compared. The share is [`ReadSampling::fraction`].
    ///
    /// # Errors
    /// The settings store's.
    ///
    /// # Dropped futures
    /// Nothing is left behind.
    pub async fn read_comparison(
        &self,
        tenant: &TenantId,
        now: kaireon_core::time::Timestamp,
    ) -> Result<Option<crate::ReadComparison>> {
        let seen = self.0.current.newer(tenant, tokio::time::Instant::now()).await?;
        Ok(self.0.samples.of(tenant, seen.setting(), now))
    }

    /// The same for a setting that was read.
    pub(crate) fn reads_compared(
        &self,
        tenant: &TenantId,
        setting: &crate::TenantSetting,
        now: kaireon_core::time::Timestamp,
    ) -> Option<crate::ReadComparison> {
        self.0.samples.of(tenant, setting, now)
    }

    /// Whose samples these are among those of other processes.
    pub(crate) fn samples_by(&self) -> &kaireon_core::InteractionId {
        self.0.samples.by()
    }

    /// Ends the comparisons of reads that are under way, and begins no more. The stores stay connected: for whoever goes on
    /// with them in another switch.
    pub async fn end_comparisons(&self) {
        self.0.samples.end().await;
    }

    /// Begins the sample of a tenant's reads anew: once what made them differ was cured.
    pub fn restart_read_comparison(&self, tenant: &TenantId) {
        self.0.samples.restart(tenant);
    }

    pub(crate) fn current(&self) -> &Arc<Current> {
        &self.0.current
    }
}

/// What a batch must be for the switch: of callers, who know of no epoch.
fn check_live(origin: Origin, epoch: Epoch, operation: &'static str) -> Result<()> {
    match origin == Origin::Live && epoch == Epoch::ZERO {
        true => Ok(()),
        false => Err(Error::unsupported(BACKEND, operation)),
    }
}

/// The part of a capability that all stores have.
fn all(stores: &Stores, has: impl Fn(&StoreCapabilities) -> bool) -> bool {
    stores.iter().all(|(_, store)| has(&store.capabilities()))
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl InteractionStore for SwitchStore {
    /// What every store can do. `durability` and `isolation` are those of the weakest.
    fn capabilities(&self) -> StoreCapabilities {
        let stores = &self.0.stores;
        let mut can = StoreCapabilities::minimal(BACKEND);
        can.durability = Durability::Durable;
        can.isolation = Isolation::Isolated;
        for (name, store) in stores.iter() {
            let of = store.capabilities();
            if let Durability::Volatile(reason) = of.durability {
                can.durability = Durability::Volatile(Cow::Owned(format!("{name}: {reason}")));
            }
            if let Isolation::Partial(reason) = of.isolation {
                can.isolation = Isolation::Partial(Cow::Owned(format!("{name}: {reason}")));
            }
        }
        can.history = all(stores, |of| of.history);
        can.scan = all(stores, |of| of.scan);
        can.decisions = all(stores, |of| of.decisions);
        can.erasure = true;
        can.purge = all(stores, |of| of.purge);
        can.ping = all(stores, |of| of.ping);
        can.persistent = all(stores, |of| of.persistent);
        can.key_check = Some(self.0.config.master_key.check_value());
        can
    }

    async fn record_event(&self, event: Interaction) -> Result<Recorded> {
        self.0.record_one(event).await
    }

    async fn record_events(&self, batch: RecordBatch<Interaction>) -> Result<BatchOutcome<Recorded>> {
        check_live(batch.origin, batch.epoch, "record_events")?;
        self.0.record_all(batch.records).await
    }

    async fn record_decision(&self, decision: Decision) -> Result<Recorded<RecommendationId>> {
        self.0.record_one(decision).await
    }

    async fn record_decisions(
        &self,
        batch: RecordBatch<Decision>,
    ) -> Result<BatchOutcome<Recorded<RecommendationId>>> {
        check_live(batch.origin, batch.epoch, "record_decisions")?;
        self.0.record_all(batch.records).await
    }

    async fn get_summaries(&self, query: SummaryQuery) -> Result<Vec<Summary>> {
        let mut reading = self.0.reading(&query.tenant).await?;
        loop {
            let begun = self.0.counters.begin_read();
            let answer = self.0.read_from(&reading)?.get_summaries(query.clone()).await;
            self.0.counters.end_read(begun);
            if self.0.stands(&mut reading).await {
                if let Ok(found) = &answer {
                    self.0.sample(
                        reading.setting(),
                        || Read::Summaries(query.clone()),
                        || Answer::Summaries(found.clone()),
                    );
                }
                return answer;
            }
        }
    }

    async fn history(&self, query: HistoryQuery) -> Result<Page<Interaction, HistoryCursor>> {
        let mut reading = self.0.reading(&query.tenant).await?;
        loop {
            let begun = self.0.counters.begin_read();
            let answer = self.0.read_from(&reading)?.history(query.clone()).await;
            self.0.counters.end_read(begun);
            if self.0.stands(&mut reading).await {
                if let Ok(found) = &answer {
                    self.0.sample(
                        reading.setting(),
                        || Read::History(query.clone()),
                        || Answer::History(found.items.clone()),
                    );
                }
                return answer;
            }
        }
    }

    async fn decision(&self, tenant: &TenantId, id: &RecommendationId) -> Result<Option<Decision>> {
        let mut reading = self.0.reading(tenant).await?;
        loop {
            let begun = self.0.counters.begin_read();
            let answer = self.0.read_from(&reading)?.decision(tenant, id).await;
            self.0.counters.end_read(begun);
            if self.0.stands(&mut reading).await {
                if let Ok(found) = &answer {
                    let read = || Read::Decision(tenant.clone(), id.clone());
                    self.0
                        .sample(reading.setting(), read, || Answer::Decision(found.clone()));
                }
                return answer;
            }
        }
    }

    async fn scan(&self, mut query: ScanQuery) -> Result<Page<Accepted<Interaction>, ScanCursor>> {
        let paging = self.0.paging(&query.tenant, query.cursor.as_ref());
        let (name, store, cursor) = paging.await?;
        query.cursor = cursor;
        Ok(read::named(&name, store.scan(query).await?))
    }

    async fn scan_decisions(&self, mut query: ScanQuery) -> Result<Page<Accepted<Decision>, ScanCursor>> {
        let paging = self.0.paging(&query.tenant, query.cursor.as_ref());
        let (name, store, cursor) = paging.await?;
        query.cursor = cursor;
        Ok(read::named(&name, store.scan_decisions(query).await?))
    }

    async fn tombstones(&self, mut query: TombstoneQuery) -> Result<Page<Tombstone, ScanCursor>> {
        let paging = self.0.paging(&query.tenant, query.cursor.as_ref());
        let (name, store, cursor) = paging.await?;
        query.cursor = cursor;
        Ok(read::named(&name, store.tombstones(query).await?))
    }

    async fn erase_customer(&self, request: Erasure) -> Result<ErasureReceipt> {
        self.0.erase(request).await
    }

    async fn install_tombstones(&self, tenant: &TenantId, tombstones: Vec<Tombstone>) -> Result<()> {
        self.0.install(tenant, &tombstones).await
    }

    /// Moves the watermark of the tenant's authority.
    ///
    /// # Errors
    /// `Conflict`, not applied, while a migration is under way: rows that one side has purged would be differences.
    async fn purge_before(&self, request: Purge) -> Result<PurgeReceipt> {
        self.0.purge(request).await
    }

    async fn raise_fence(
        &self,
        _: kaireon_core::store::FenceRequest,
    ) -> Result<kaireon_core::store::FenceState> {
        Err(Error::unsupported(BACKEND, "raise_fence"))
    }

    async fn fence(&self, _: &TenantId) -> Result<kaireon_core::store::FenceState> {
        Err(Error::unsupported(BACKEND, "fence"))
    }

    /// None: each store has its own.
    fn measures(&self) -> Option<Arc<dyn Signals>> {
        None
    }

    /// None: each store has one of its own, and a relay that reads it.
    fn outbox(&self) -> Option<Arc<dyn Outbox>> {
        None
    }

    async fn ping(&self) -> Result<()> {
        for (_, store) in self.0.stores.iter() {
            store.ping().await?;
        }
        Ok(())
    }

    /// Ends the comparisons of reads that are under way, and disconnects every store.
    async fn disconnect(&self) -> Result<()> {
        self.end_comparisons().await;
        let mut outcome = Ok(());
        for (_, store) in self.0.stores.iter() {
            let ended = store.disconnect().await;
            outcome = outcome.and(ended);
        }
        outcome
    }
}

//! A switch as the suite sees one store: with the outbox of whoever is the authority, and without what a migration that is
//! under way does not allow.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use kaireon_core::outbox::{
    DeadLetter, DeadLetterId, DeadLetterQuery, FetchFrom, HostEvent, Lane, LaneSet, LaneStatus, Lease,
    LeaseRequest, Leased, OutboxEntry, Settlement, TenantBacklog,
};
use kaireon_core::store::{
    Accepted, BatchOutcome, Erasure, ErasureReceipt, HistoryCursor, HistoryQuery, Page, Purge, PurgeReceipt,
    RecordBatch, Recorded, ScanCursor, ScanQuery, StoreCapabilities, SummaryQuery, Tombstone, TombstoneQuery,
};
use kaireon_core::{
    Decision, Error, Interaction, InteractionStore, Outbox, RecommendationId, Result, Summary, TenantId,
};
use kaireon_migrate::SwitchStore;

/// What was recorded through a switch.
#[derive(Debug, Default)]
pub(crate) struct Recordings {
    pub(crate) tenants: Mutex<BTreeSet<TenantId>>,
    /// Calls that were begun and not ended. Who is dropped before the other side has it leaves it to the entry.
    pub(crate) open: AtomicI64,
    /// Grows with the beginning and with the end of each disconnection: it is odd while one is under way.
    disconnections: AtomicU64,
    /// Whether a call was open while the stores were disconnected: then it is left to the entry as well.
    cut_short: AtomicBool,
}

impl Recordings {
    /// Whether whoever was answered must find it on both sides.
    pub(crate) fn are_whole(&self) -> bool {
        self.open.load(Ordering::SeqCst) == 0 && !self.cut_short.load(Ordering::SeqCst)
    }

    async fn of<T>(
        &self,
        tenants: impl IntoIterator<Item = TenantId>,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        self.tenants.lock().unwrap().extend(tenants);
        self.open.fetch_add(1, Ordering::SeqCst);
        let before = self.disconnections.load(Ordering::SeqCst);
        let answer = call.await;
        let behind = self.disconnections.load(Ordering::SeqCst);
        if before != behind || before % 2 == 1 {
            self.cut_short.store(true, Ordering::SeqCst);
        }
        self.open.fetch_sub(1, Ordering::SeqCst);
        answer
    }
}

fn tenants_of<T>(batch: &RecordBatch<T>, tenant: impl Fn(&T) -> &TenantId) -> Vec<TenantId> {
    let records = batch.records.iter();
    records.map(|record| tenant(&record.value).clone()).collect()
}

#[derive(Debug)]
pub(crate) struct One {
    pub(crate) recordings: Arc<Recordings>,
    pub(crate) switch: SwitchStore,
    /// The outbox that the tenants' entries are in.
    pub(crate) outbox: Arc<dyn Outbox>,
    pub(crate) purges: bool,
}

#[async_trait]
impl InteractionStore for One {
    fn capabilities(&self) -> StoreCapabilities {
        let mut can = self.switch.capabilities();
        assert!(can.purge && !can.outbox && !can.fence && !can.replication);
        can.outbox = true;
        can.purge = self.purges;
        can
    }

    async fn record_event(&self, event: Interaction) -> Result<Recorded> {
        let tenant = event.tenant.clone();
        self.recordings
            .of([tenant], self.switch.record_event(event))
            .await
    }

    async fn record_events(&self, batch: RecordBatch<Interaction>) -> Result<BatchOutcome<Recorded>> {
        let tenants = tenants_of(&batch, |value| &value.tenant);
        self.recordings
            .of(tenants, self.switch.record_events(batch))
            .await
    }

    async fn record_decision(&self, decision: Decision) -> Result<Recorded<RecommendationId>> {
        let tenant = decision.tenant.clone();
        self.recordings
            .of([tenant], self.switch.record_decision(decision))
            .await
    }

    async fn record_decisions(
        &self,
        batch: RecordBatch<Decision>,
    ) -> Result<BatchOutcome<Recorded<RecommendationId>>> {
        let tenants = tenants_of(&batch, |value| &value.tenant);
        self.recordings
            .of(tenants, self.switch.record_decisions(batch))
            .await
    }

    async fn get_summaries(&self, query: SummaryQuery) -> Result<Vec<Summary>> {
        self.switch.get_summaries(query).await
    }

    async fn history(&self, query: HistoryQuery) -> Result<Page<Interaction, HistoryCursor>> {
        self.switch.history(query).await
    }

    async fn scan(&self, query: ScanQuery) -> Result<Page<Accepted<Interaction>, ScanCursor>> {
        self.switch.scan(query).await
    }

    async fn scan_decisions(&self, query: ScanQuery) -> Result<Page<Accepted<Decision>, ScanCursor>> {
        self.switch.scan_decisions(query).await
    }

    async fn decision(&self, tenant: &TenantId, id: &RecommendationId) -> Result<Option<Decision>> {
        self.switch.decision(tenant, id).await
    }

    async fn erase_customer(&self, request: Erasure) -> Result<ErasureReceipt> {
        self.switch.erase_customer(request).await
    }

    async fn tombstones(&self, query: TombstoneQuery) -> Result<Page<Tombstone, ScanCursor>> {
        self.switch.tombstones(query).await
    }

    async fn install_tombstones(&self, tenant: &TenantId, tombstones: Vec<Tombstone>) -> Result<()> {
        self.switch.install_tombstones(tenant, tombstones).await
    }

    async fn purge_before(&self, request: Purge) -> Result<PurgeReceipt> {
        if !self.purges {
            return Err(Error::unsupported("switch", "purge_before"));
        }
        self.switch.purge_before(request).await
    }

    fn outbox(&self) -> Option<Arc<dyn Outbox>> {
        Some(Arc::new(Appending {
            switch: self.switch.clone(),
            inner: Arc::clone(&self.outbox),
        }))
    }

    async fn ping(&self) -> Result<()> {
        self.switch.ping().await
    }

    async fn disconnect(&self) -> Result<()> {
        let disconnections = &self.recordings.disconnections;
        disconnections.fetch_add(1, Ordering::SeqCst);
        let disconnected = self.switch.disconnect().await;
        disconnections.fetch_add(1, Ordering::SeqCst);
        disconnected
    }
}

/// The authority's outbox; events of the host's own go through the switch.
#[derive(Debug)]
struct Appending {
    switch: SwitchStore,
    inner: Arc<dyn Outbox>,
}

#[async_trait]
impl Outbox for Appending {
    async fn lanes(&self) -> Result<LaneSet> {
        self.inner.lanes().await
    }

    async fn set_lanes(&self, lanes: LaneSet) -> Result<()> {
        self.inner.set_lanes(lanes).await
    }

    async fn change_lanes(&self, on: LaneSet, off: LaneSet) -> Result<LaneSet> {
        self.inner.change_lanes(on, off).await
    }

    async fn append(&self, events: Vec<HostEvent>) -> Result<()> {
        self.switch.append(events).await
    }

    async fn lease(&self, request: LeaseRequest) -> Result<Leased> {
        self.inner.lease(request).await
    }

    async fn release(&self, leases: Vec<Lease>) -> Result<()> {
        self.inner.release(leases).await
    }

    async fn fetch(&self, from: Vec<FetchFrom>, limit: u32) -> Result<Vec<OutboxEntry>> {
        self.inner.fetch(from, limit).await
    }

    async fn settle(&self, leases: &[Lease], settlements: Vec<Settlement>) -> Result<()> {
        self.inner.settle(leases, settlements).await
    }

    async fn dead_letters(&self, query: DeadLetterQuery) -> Result<Page<DeadLetter, DeadLetterId>> {
        self.inner.dead_letters(query).await
    }

    async fn replay(&self, lane: Lane, ids: Vec<DeadLetterId>) -> Result<u64> {
        self.inner.replay(lane, ids).await
    }

    async fn status(&self, lane: Lane) -> Result<LaneStatus> {
        self.inner.status(lane).await
    }

    async fn backlog(&self, lane: Lane, tenant: &TenantId) -> Result<TenantBacklog> {
        self.inner.backlog(lane, tenant).await
    }

    async fn wait(&self, lane: Lane, seen: u64, at_most: std::time::Duration) -> Result<u64> {
        self.inner.wait(lane, seen, at_most).await
    }
}

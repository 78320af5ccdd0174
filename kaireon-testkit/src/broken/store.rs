//! A plain store of every operation, short enough to be read, with a knob for each flaw.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kaireon_core::digest::MasterKey;
use kaireon_core::outbox::{range_of, still_in_hand};
use kaireon_core::store::{
    Accepted, BatchOutcome, Erasure, ErasureReceipt, FenceRequest, FenceState, HistoryCursor, HistoryQuery,
    Page, Purge, PurgeReceipt, Record, RecordBatch, Recorded, ScanCursor, ScanQuery, StoreCapabilities,
    SummaryQuery, Tombstone, TombstoneQuery,
};
use kaireon_core::{
    Decision, Error, ErrorKind, Interaction, InteractionStore, Outbox, RecommendationId, Result, Summary,
    TenantId,
};
use parking_lot::MutexGuard;

use super::disk::Disk;
use super::flaw::Flaw;
use super::handle::Handle;
use super::judge::{Glance, Terms, closed};
use super::late::Late;
use super::outbox::PlainOutbox;
use super::place::Place;
use super::stale::Stale;

/// How long a flaw looks away between its glance and its write.
const GAP: Duration = Duration::from_millis(4);

/// A handle on a place.
pub(super) struct Store {
    pub(super) place: Arc<Place>,
    pub(super) handle: Arc<Handle>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.has(Flaw::DebugTellsCustomers) {
            return write!(f, "Store({:?})", self.place.disk.lock().customers.keys());
        }
        write!(f, "Store({:?})", self.place.flaw)
    }
}

impl Store {
    pub(super) fn open(place: Arc<Place>) -> Self {
        let handle = Arc::new(Handle::open(&place));
        Self { place, handle }
    }

    pub(super) fn disk(&self, operation: &'static str) -> Result<MutexGuard<'_, Disk>> {
        self.place.disk(&self.handle, operation)
    }

    pub(super) fn disk_mut(&self, operation: &'static str) -> Result<MutexGuard<'_, Disk>> {
        self.place.disk_mut(&self.handle, operation)
    }

    pub(super) fn has(&self, flaw: Flaw) -> bool {
        self.place.has(flaw)
    }

    async fn glances(
        &self,
        records: &[Record<Interaction>],
        terms: Terms,
    ) -> Result<(Vec<Glance>, Vec<Stale>)> {
        if !self.place.looks_away() {
            return Ok((vec![Glance::default(); records.len()], Vec::new()));
        }
        let glances = {
            let disk = self.disk("record_events")?;
            let glance = |record: &Record<Interaction>| self.place.glance(&disk, &record.value, terms.epoch);
            let stale = self.place.stale_summaries(&disk, records);
            (records.iter().map(glance).collect(), stale)
        };
        tokio::time::sleep(GAP).await;
        Ok(glances)
    }

    /// What is written at once; the rows that a flaw shows later.
    fn unit(
        &self,
        records: Vec<Record<Interaction>>,
        mut terms: Terms,
        (glances, stale): (Vec<Glance>, Vec<Stale>),
    ) -> Result<(BatchOutcome<Recorded>, Vec<Late>)> {
        let late: Vec<_> = match self.has(Flaw::RowsAppearAfterSummaries) {
            true => records.iter().map(|record| record.value.clone()).collect(),
            false => Vec::new(),
        };
        let mut outcome = BatchOutcome::with_capacity(records.len());
        let mut disk = self.disk_mut("record_events")?;
        disk.bring_back(stale);
        let before = self.has(Flaw::BatchFailsWhole).then(|| disk.clone());
        let count = records.len();
        for (record, glance) in records.into_iter().zip(glances) {
            outcome.push(self.place.record(&mut disk, record, terms, glance));
            terms.told = !self.has(Flaw::OutboxLosesEntries);
        }
        if let Some(before) = before.filter(|_| !outcome.is_complete() && count > 1) {
            *disk = before;
            outcome = BatchOutcome::with_capacity(count);
            (0..count).for_each(|_| outcome.push(Err(spoiled())));
        }
        let late = self.place.hide_rows(&mut disk, &late);
        Ok((outcome, late))
    }
}

/// The refusal of a row of a batch that a neighbour spoiled.
fn spoiled() -> Error {
    Error::new(ErrorKind::Internal, "another item of the batch failed")
}

#[async_trait]
impl InteractionStore for Store {
    fn capabilities(&self) -> StoreCapabilities {
        let mut can = StoreCapabilities::full("plain");
        can.history = !self.has(Flaw::DeclaresHistoryAway);
        can.key_check = match self.has(Flaw::TellsAnotherKey) {
            true => Some(MasterKey::new([12; 32]).check_value()),
            false => Some(self.place.key.check_value()),
        };
        can
    }

    async fn record_event(&self, event: Interaction) -> Result<Recorded> {
        let mut outcome = self
            .record_events(RecordBatch::live([event]))
            .await?
            .into_results();
        outcome.pop().unwrap_or_else(|| Err(spoiled()))
    }

    async fn record_events(&self, batch: RecordBatch<Interaction>) -> Result<BatchOutcome<Recorded>> {
        let RecordBatch {
            records,
            origin,
            epoch,
        } = batch;
        if records.is_empty() && self.has(Flaw::RefusesEmptyBatches) {
            return Err(Error::invalid("records", "are none"));
        }
        let terms = Terms {
            origin,
            epoch,
            told: true,
        };
        if self.handle.is_closed() && self.has(Flaw::AcknowledgesAfterDisconnect) {
            let mut outcome = BatchOutcome::with_capacity(records.len());
            for record in records {
                outcome.push(Ok(Recorded::new(record.value.id.clone())));
            }
            return Ok(outcome);
        }
        let glances = self.glances(&records, terms).await?;
        let (outcome, late) = self.unit(records, terms, glances)?;
        if !late.is_empty() {
            tokio::time::sleep(GAP).await;
            self.place.show_rows(late);
        }
        self.place.wake();
        Ok(outcome)
    }

    async fn get_summaries(&self, query: SummaryQuery) -> Result<Vec<Summary>> {
        self.read_summaries(query)
    }

    async fn history(&self, query: HistoryQuery) -> Result<Page<Interaction, HistoryCursor>> {
        // Others come in between pages, as they do where a read goes to a disk.
        tokio::task::yield_now().await;
        self.read_history(query)
    }

    async fn scan(&self, query: ScanQuery) -> Result<Page<Accepted<Interaction>, ScanCursor>> {
        // Others come in between pages, as they do where a read goes to a disk.
        tokio::task::yield_now().await;
        self.read_scan(query)
    }

    async fn scan_decisions(&self, query: ScanQuery) -> Result<Page<Accepted<Decision>, ScanCursor>> {
        self.read_decisions(query)
    }

    async fn record_decision(&self, decision: Decision) -> Result<Recorded<RecommendationId>> {
        let mut outcome = self
            .record_decisions(RecordBatch::live([decision]))
            .await?
            .into_results();
        outcome.pop().unwrap_or_else(|| Err(spoiled()))
    }

    async fn record_decisions(
        &self,
        batch: RecordBatch<Decision>,
    ) -> Result<BatchOutcome<Recorded<RecommendationId>>> {
        let RecordBatch {
            records,
            origin,
            epoch,
        } = batch;
        let terms = Terms {
            origin,
            epoch,
            told: true,
        };
        let mut outcome = BatchOutcome::with_capacity(records.len());
        let mut disk = self.disk_mut("record_decisions")?;
        for record in records {
            outcome.push(self.place.record_decision(&mut disk, record, terms));
        }
        drop(disk);
        self.place.wake();
        Ok(outcome)
    }

    async fn decision(&self, tenant: &TenantId, id: &RecommendationId) -> Result<Option<Decision>> {
        self.find_decision(tenant, id)
    }

    async fn erase_customer(&self, request: Erasure) -> Result<ErasureReceipt> {
        let range = range_of(&request.tenant, request.customer.as_str());
        if self.has(Flaw::ErasureWaitsFirst) && self.is_held(range)? {
            return Err(still_in_hand("plain", "erase_customer"));
        }
        let receipt = self.erase(request)?;
        self.place.wake();
        if !self.has(Flaw::ErasureWaitsForNoRelay) {
            self.until_given_back("erase_customer").await?;
        }
        Ok(receipt)
    }

    async fn tombstones(&self, query: TombstoneQuery) -> Result<Page<Tombstone, ScanCursor>> {
        self.read_tombstones(query)
    }

    async fn install_tombstones(&self, tenant: &TenantId, tombstones: Vec<Tombstone>) -> Result<()> {
        self.install(tenant, tombstones)?;
        self.place.wake();
        if !self.has(Flaw::TombstonesWaitForNoRelay) {
            self.until_given_back("install_tombstones").await?;
        }
        Ok(())
    }

    async fn purge_before(&self, request: Purge) -> Result<PurgeReceipt> {
        self.purge(request)
    }

    async fn raise_fence(&self, request: FenceRequest) -> Result<FenceState> {
        let FenceRequest { tenant, epoch, lanes } = request;
        {
            let mut disk = self.disk_mut("raise_fence")?;
            let found = disk.tenant(&tenant);
            if epoch < found.epoch && !self.has(Flaw::LowersTheFence) {
                return Err(Error::new(ErrorKind::Fenced, "a higher epoch is in force"));
            }
            if !self.has(Flaw::ForgetsTheFence) {
                found.epoch = epoch;
                found.lanes = match self.has(Flaw::FenceForgetsTheLanes) {
                    true => lanes,
                    false => lanes.or(found.lanes),
                };
            }
        }
        self.fence(&tenant).await
    }

    async fn fence(&self, tenant: &TenantId) -> Result<FenceState> {
        let disk = self.disk("fence")?;
        let epoch = disk
            .tenants
            .get(tenant)
            .map(|tenant| tenant.epoch)
            .unwrap_or_default();
        let sequence = match self.has(Flaw::SequenceStands) {
            true => 1,
            false => disk.sequence,
        };
        Ok(FenceState::new(epoch, disk.lanes_of(tenant), 1, sequence))
    }

    fn outbox(&self) -> Option<Arc<dyn Outbox>> {
        Some(Arc::new(PlainOutbox::new(
            Arc::clone(&self.place),
            Arc::clone(&self.handle),
        )))
    }

    async fn ping(&self) -> Result<()> {
        if self.has(Flaw::DeclaresPingAway) {
            return Err(Error::unsupported("plain", "ping"));
        }
        self.disk("ping").map(drop)
    }

    async fn disconnect(&self) -> Result<()> {
        if self.handle.close() {
            self.place.close();
        } else if self.has(Flaw::SecondDisconnectFails) {
            return Err(closed("disconnect"));
        }
        Ok(())
    }
}

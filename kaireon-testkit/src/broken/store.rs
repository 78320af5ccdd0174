//! A plain store of every operation, short enough to be read, with a knob for each flaw.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kaireon_core::digest::Digest;
use kaireon_core::outbox::{Lane, range_of};
use kaireon_core::store::{
    Accepted, BatchOutcome, Erasure, ErasureReceipt, FenceRequest, FenceState, Generation, HistoryCursor,
    HistoryQuery, Page, Purge, PurgeReceipt, Record, RecordBatch, Recorded, ScanCursor, ScanQuery,
    StoreCapabilities, SummaryQuery, Tombstone, TombstoneQuery,
};
use kaireon_core::time::Timestamp;
use kaireon_core::{
    Decision, Error, ErrorKind, Interaction, InteractionStore, Outbox, RecommendationId, Result, Stats,
    Summary, TenantId, groups,
};
use parking_lot::MutexGuard;

use super::disk::{Disk, digest};
use super::flaw::Flaw;
use super::handle::Handle;
use super::judge::{Glance, Terms};
use super::late::Late;
use super::outbox::PlainOutbox;
use super::page::{after, page};
use super::place::Place;

/// How long a flaw looks away between its glance and its write.
const GAP: Duration = Duration::from_millis(4);

/// A handle on a place.
pub(super) struct Store {
    place: Arc<Place>,
    handle: Arc<Handle>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({:?})", self.place.flaw)
    }
}

impl Store {
    pub(super) fn open(place: Arc<Place>) -> Self {
        let handle = Arc::new(Handle::open(&place));
        Self { place, handle }
    }

    fn disk(&self, operation: &'static str) -> Result<MutexGuard<'_, Disk>> {
        self.place.disk(&self.handle, operation)
    }

    /// Erases at once, or repeats the receipt.
    fn erase(&self, request: Erasure) -> Result<ErasureReceipt> {
        let Erasure { tenant, customer, id } = request;
        let mut disk = self.disk_mut("erase_customer")?;
        let digest = digest(&self.place.key, &tenant, &customer);
        let known = disk.tenant(&tenant).receipts.get(&(digest, id.clone())).cloned();
        if let Some(known) = known.filter(|_| !self.has(Flaw::ErasureRepeatsItself)) {
            return Ok(known);
        }
        let generation = match disk.generation(&tenant, &digest) {
            last if last == Generation::MAX_GIVEN && self.has(Flaw::ErasureEndsAtTheHighestGeneration) => {
                let receipt = ErasureReceipt::new(id.clone(), last, self.place.now());
                return Ok(receipt);
            }
            present => present.next()?,
        };
        let removed = self.place.raise(&mut disk, &tenant, &customer, generation);
        let mut receipt = ErasureReceipt::new(id.clone(), generation, self.place.now());
        for (place, count) in ["history", "summaries", "decisions", "outbox"]
            .into_iter()
            .zip(removed)
        {
            receipt.add(place, count);
        }
        disk.tenant(&tenant)
            .receipts
            .insert((digest, id), receipt.clone());
        Ok(receipt)
    }

    /// Whether a relay was asked to give a range back, and has not yet.
    fn is_recalled(&self, range: u16) -> Result<bool> {
        let now = self.place.now();
        let disk = self.disk("erase_customer")?;
        let publish = disk.outbox.get(&Lane::Publish);
        Ok(publish.is_some_and(|data| data.is_recalled(range, now)))
    }

    fn disk_mut(&self, operation: &'static str) -> Result<MutexGuard<'_, Disk>> {
        self.place.disk_mut(&self.handle, operation)
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.place.has(flaw)
    }

    async fn glances(&self, records: &[Record<Interaction>], terms: Terms) -> Result<Vec<Glance>> {
        if !self.place.looks_away() {
            return Ok(vec![Glance::default(); records.len()]);
        }
        let glances = {
            let disk = self.disk("record_events")?;
            let glance = |record: &Record<Interaction>| self.place.glance(&disk, &record.value, terms.epoch);
            records.iter().map(glance).collect()
        };
        tokio::time::sleep(GAP).await;
        Ok(glances)
    }

    /// What is written at once; the rows that a flaw shows later.
    fn unit(
        &self,
        records: Vec<Record<Interaction>>,
        mut terms: Terms,
        glances: Vec<Glance>,
    ) -> Result<(BatchOutcome<Recorded>, Vec<Late>)> {
        let late: Vec<_> = match self.has(Flaw::RowsAppearAfterSummaries) {
            true => records.iter().map(|record| record.value.clone()).collect(),
            false => Vec::new(),
        };
        let mut outcome = BatchOutcome::with_capacity(records.len());
        let mut disk = self.disk_mut("record_events")?;
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

    fn summaries_of_rows(&self, disk: &Disk, query: &SummaryQuery) -> Vec<Summary> {
        let mut folded: BTreeMap<_, Stats> = BTreeMap::new();
        let name = self.place.name(&query.tenant, &query.customer);
        let rows = disk
            .customers
            .get(&name)
            .into_iter()
            .flat_map(|found| found.rows.values());
        for row in rows {
            for group in groups(&row.value) {
                folded.entry(group).or_default().merge(&Stats::of(&row.value));
            }
        }
        let summary =
            |((dimension, value, period), stats)| Summary::new(dimension, Arc::from(value), period, stats);
        folded.into_iter().map(summary).collect()
    }
}

/// The refusal of a row of a batch that a neighbour spoiled.
fn spoiled() -> Error {
    Error::new(ErrorKind::Internal, "another item of the batch failed")
}

#[async_trait]
impl InteractionStore for Store {
    fn capabilities(&self) -> StoreCapabilities {
        StoreCapabilities::full("plain")
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
        let terms = Terms {
            origin,
            epoch,
            told: true,
        };
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
        let disk = self.disk("get_summaries")?;
        let name = self.place.name(&query.tenant, &query.customer);
        let groups = disk
            .customers
            .get(&name)
            .into_iter()
            .flat_map(|found| &found.summaries);
        let summary = |((dimension, value, period), stats): (&(_, Arc<str>, _), &Stats)| {
            Summary::new(*dimension, Arc::clone(value), *period, stats.clone())
        };
        let mut found: Vec<_> = match self.has(Flaw::SummariesFromRows) {
            true => self.summaries_of_rows(&disk, &query),
            false => groups.map(summary).collect(),
        };
        found.retain(|summary| query.matches(summary));
        if !self.has(Flaw::SummariesUnordered) {
            found.sort_by(Summary::read_order);
        }
        Ok(found)
    }

    async fn history(&self, query: HistoryQuery) -> Result<Page<Interaction, HistoryCursor>> {
        query.check()?;
        let HistoryQuery {
            tenant,
            customer,
            from,
            until,
            filter,
            limit,
            cursor,
        } = query;
        let disk = self.disk("history")?;
        let precedes = |row: &Interaction| match &cursor {
            Some(cursor) if self.has(Flaw::CursorSkipsEqualTimestamps) => row.timestamp < cursor.timestamp,
            Some(cursor) => cursor.precedes(row),
            None => true,
        };
        let before = |until: Timestamp, row: &Interaction| {
            row.timestamp < until || (self.has(Flaw::UntilIsIncluded) && row.timestamp == until)
        };
        let found = disk.customers.get(&self.place.name(&tenant, &customer));
        let rows = found
            .into_iter()
            .flat_map(|found| found.rows.values().rev())
            .map(|row| &row.value);
        let mut items: Vec<_> = rows
            .filter(|row| from.is_none_or(|from| self.place.reaches(from, row.timestamp)))
            .filter(|row| until.is_none_or(|until| before(until, row)))
            .filter(|row| filter.matches(row) && precedes(row))
            .take(usize::try_from(limit).unwrap_or(usize::MAX).saturating_add(1))
            .cloned()
            .collect();
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(HistoryCursor::after);
        Ok(Page { items, next })
    }

    async fn scan(&self, query: ScanQuery) -> Result<Page<Accepted<Interaction>, ScanCursor>> {
        query.check()?;
        let ScanQuery {
            tenant,
            limit,
            cursor,
        } = query;
        let disk = self.disk("scan")?;
        let mut rows: Vec<_> = disk
            .customers
            .values()
            .filter(|found| found.tenant == tenant)
            .flat_map(|found| found.rows.values())
            .filter(|row| self.place.shows(&disk, &tenant, row.value.timestamp))
            .map(|row| (row.value.idempotency_key.to_string(), row.clone()))
            .collect();
        rows.sort_by(|left, right| left.0.cmp(&right.0));
        let behind: Option<String> = after(cursor.as_ref())?;
        rows.retain(|(name, _)| behind.as_ref().is_none_or(|behind| name > behind));
        let mut page = page(rows, limit);
        if self.has(Flaw::ScanStopsEarly) {
            page.next = None;
        }
        Ok(page)
    }

    async fn scan_decisions(&self, query: ScanQuery) -> Result<Page<Accepted<Decision>, ScanCursor>> {
        query.check()?;
        let ScanQuery {
            tenant,
            limit,
            cursor,
        } = query;
        let behind: Option<String> = after(cursor.as_ref())?;
        let disk = self.disk("scan_decisions")?;
        let found = disk
            .tenants
            .get(&tenant)
            .into_iter()
            .flat_map(|tenant| &tenant.decisions)
            .filter(|(_, decision)| self.place.shows(&disk, &tenant, decision.value.timestamp));
        let rows = found.map(|(id, decision)| (id.to_string(), decision.clone()));
        Ok(page(
            rows.filter(|(name, _)| behind.as_ref().is_none_or(|behind| name > behind))
                .collect(),
            limit,
        ))
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
        let disk = self.disk("decision")?;
        let found = disk
            .tenants
            .get(tenant)
            .and_then(|tenant| tenant.decisions.get(id));
        Ok(found.map(|decision| decision.value.clone()))
    }

    async fn erase_customer(&self, request: Erasure) -> Result<ErasureReceipt> {
        let range = range_of(&request.tenant, request.customer.as_str());
        let receipt = self.erase(request)?;
        self.place.wake();
        while !self.has(Flaw::ErasureWaitsForNoRelay) && self.is_recalled(range)? {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(receipt)
    }

    async fn tombstones(&self, query: TombstoneQuery) -> Result<Page<Tombstone, ScanCursor>> {
        if !self.has(Flaw::IgnoresTombstoneLimits) {
            query.check()?;
        }
        let TombstoneQuery {
            tenant,
            limit,
            cursor,
        } = query;
        let behind: Option<u128> = after(cursor.as_ref())?;
        let disk = self.disk("tombstones")?;
        let number = |digest: &Digest| u128::from_be_bytes(*digest.as_bytes());
        let from = behind.map_or(Bound::Unbounded, |behind| {
            Bound::Excluded(Digest::from_bytes(behind.to_be_bytes()))
        });
        let found = disk.tenants.get(&tenant).into_iter();
        let found = found.flat_map(|tenant| tenant.generations.range((from, Bound::Unbounded)));
        let stone = |(&customer, &generation): (&Digest, &_)| {
            (number(&customer).to_string(), Tombstone { customer, generation })
        };
        Ok(page(found.map(stone).collect(), limit))
    }

    async fn install_tombstones(&self, tenant: &TenantId, tombstones: Vec<Tombstone>) -> Result<()> {
        if !self.has(Flaw::TakesAnyTombstone) {
            tombstones
                .iter()
                .try_for_each(|stone| stone.generation.check_given())?;
        }
        let mut disk = self.disk_mut("install_tombstones")?;
        for Tombstone {
            customer: stone,
            generation,
        } in tombstones
        {
            if generation <= disk.generation(tenant, &stone) {
                continue;
            }
            let customers = disk.customers_of(tenant);
            for customer in customers
                .iter()
                .filter(|customer| digest(&self.place.key, tenant, customer) == stone)
            {
                self.place.raise(&mut disk, tenant, customer, generation);
            }
            disk.tenant(tenant).generations.insert(stone, generation);
        }
        Ok(())
    }

    async fn purge_before(&self, request: Purge) -> Result<PurgeReceipt> {
        let Purge { tenant, before } = request;
        let mut disk = self.disk_mut("purge_before")?;
        let present = disk.tenant(&tenant).watermark;
        let watermark = match self.has(Flaw::WatermarkMovesBack) {
            true => before,
            false => present.map_or(before, |present| present.max(before)),
        };
        disk.tenant(&tenant).watermark = Some(watermark);
        let mut interactions = 0;
        let customers = disk.customers.values_mut().filter(|found| found.tenant == tenant);
        for found in customers.filter(|_| !self.has(Flaw::ShowsPurgedRows)) {
            let rows = found.rows.len();
            found.rows.retain(|place, _| place.timestamp >= watermark);
            interactions += rows - found.rows.len();
        }
        let decisions = &mut disk.tenant(&tenant).decisions;
        let count = decisions.len();
        decisions.retain(|_, decision| decision.value.timestamp >= watermark);
        let gone = count - decisions.len();
        self.place.forget_keys(&mut disk, &tenant);
        if self.has(Flaw::PurgeDropsEntries) {
            disk.drop_entries_before(&tenant, watermark);
        }
        Ok(PurgeReceipt::new(watermark, interactions as u64, gone as u64))
    }

    async fn raise_fence(&self, request: FenceRequest) -> Result<FenceState> {
        let FenceRequest { tenant, epoch, lanes } = request;
        {
            let mut disk = self.disk_mut("raise_fence")?;
            let found = disk.tenant(&tenant);
            if epoch < found.epoch && !self.has(Flaw::LowersTheFence) {
                return Err(Error::new(ErrorKind::Fenced, "a higher epoch is in force"));
            }
            found.epoch = epoch;
            found.lanes = lanes.or(found.lanes);
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
        Ok(FenceState::new(epoch, disk.lanes_of(tenant), 1, disk.sequence))
    }

    fn outbox(&self) -> Option<Arc<dyn Outbox>> {
        Some(Arc::new(PlainOutbox::new(
            Arc::clone(&self.place),
            Arc::clone(&self.handle),
        )))
    }

    async fn ping(&self) -> Result<()> {
        self.disk("ping").map(drop)
    }

    async fn disconnect(&self) -> Result<()> {
        if self.handle.close() {
            self.place.close();
        }
        Ok(())
    }
}

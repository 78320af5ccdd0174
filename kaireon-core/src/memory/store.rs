//! The interaction store in memory.

use std::borrow::Cow;
use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;

use super::place::{BACKEND, Handle, MemoryOptions, MemoryPlace, Ownership, named};
use super::state::Terms;
use super::{MemoryOutbox, cursor};
use crate::outbox::{Outbox, range_of};
use crate::store::{
    Accepted, BatchOutcome, Durability, Erasure, ErasureReceipt, FenceRequest, FenceState, Generation,
    HistoryCursor, HistoryQuery, Page, Purge, PurgeReceipt, Record, RecordBatch, Recorded, ScanCursor,
    ScanQuery, StoreCapabilities, SummaryQuery, Tombstone, TombstoneQuery,
};
use crate::{
    Decision, Error, ErrorKind, Interaction, InteractionStore, RecommendationId, Result, Summary, TenantId,
};

/// The reference store: every operation of the contract over ordered maps behind one lock.
///
/// Durability is [`Durability::Volatile`]: the data ends with the process. A clone is the same handle, so
/// disconnecting one disconnects both; [`open_again`](Self::open_again) is another handle on the same data.
#[derive(Clone, Debug)]
pub struct MemoryStore(Arc<Handle>);

impl MemoryStore {
    /// An empty store of its own.
    #[must_use]
    pub fn new() -> Self {
        Self::with_options(MemoryOptions::default())
    }

    /// An empty store of its own with other options. To open the same data several times, make a
    /// [`MemoryPlace`].
    #[must_use]
    pub fn with_options(options: MemoryOptions) -> Self {
        Self::on(MemoryPlace::new(options), Ownership::Private)
    }

    /// Another handle on the same data; it stays connected when this one is disconnected.
    #[must_use]
    pub fn open_again(&self) -> Self {
        Self::on(self.0.place().clone(), self.0.ownership)
    }

    pub(super) fn on(place: MemoryPlace, ownership: Ownership) -> Self {
        Self(Arc::new(Handle::new(place, ownership)))
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

/// Cuts a page out of what follows a cursor; `None` as the next cursor when nothing more follows.
fn page<T, C>(mut following: Vec<T>, limit: u32, cursor: impl Fn(&T) -> C) -> Page<T, C> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = following.len() > limit;
    following.truncate(limit);
    let next = following.last().filter(|_| more).map(cursor);
    Page {
        items: following,
        next,
    }
}

/// How many items to gather for a page: one more than asked for tells whether there is another page.
fn one_more(limit: u32) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX).saturating_add(1)
}

#[async_trait]
impl InteractionStore for MemoryStore {
    fn capabilities(&self) -> StoreCapabilities {
        StoreCapabilities {
            durability: Durability::Volatile(Cow::Borrowed("kept in the memory of this process")),
            persistent: self.0.ownership == Ownership::Shared,
            key_check: Some(self.0.key_check()),
            ..StoreCapabilities::full(BACKEND)
        }
    }

    async fn record_event(&self, event: Interaction) -> Result<Recorded> {
        let mut outcome = self.record_interactions("record_event", RecordBatch::live([event]))?;
        outcome.pop().unwrap_or_else(|| {
            let lost = "a batch of one item has no outcome";
            Err(named("record_event", Error::new(ErrorKind::Internal, lost)))
        })
    }

    async fn get_summaries(&self, query: SummaryQuery) -> Result<Vec<Summary>> {
        let state = self.0.enter("get_summaries")?;
        let Some(customer) = state.customer(&query.tenant, &query.customer) else {
            return Ok(Vec::new());
        };
        let mut summaries = customer.summaries();
        summaries.retain(|summary| query.matches(summary));
        Ok(summaries)
    }

    async fn disconnect(&self) -> Result<()> {
        self.0.disconnect();
        Ok(())
    }

    async fn ping(&self) -> Result<()> {
        self.0.enter("ping").map(drop)
    }

    async fn record_events(&self, batch: RecordBatch<Interaction>) -> Result<BatchOutcome<Recorded>> {
        let results = self.record_interactions("record_events", batch)?;
        let mut outcome = BatchOutcome::with_capacity(results.len());
        results.into_iter().for_each(|result| outcome.push(result));
        Ok(outcome)
    }

    async fn history(&self, query: HistoryQuery) -> Result<Page<Interaction, HistoryCursor>> {
        query.check().map_err(|error| named("history", error))?;
        let state = self.0.enter("history")?;
        let HistoryQuery {
            tenant,
            customer,
            from,
            until,
            filter,
            limit,
            cursor,
        } = query;
        let Some(customer) = state.customer(&tenant, &customer) else {
            return Ok(page(Vec::new(), limit, HistoryCursor::after));
        };
        let before = cursor.map_or(Bound::Unbounded, Bound::Excluded);
        let following = customer
            .history
            .range((Bound::Unbounded, before))
            .rev()
            .map(|(_, row)| &row.value)
            .filter(|row| from.is_none_or(|from| from <= row.timestamp))
            .filter(|row| until.is_none_or(|until| row.timestamp < until))
            .filter(|row| filter.matches(row))
            .take(one_more(limit))
            .cloned()
            .collect();
        Ok(page(following, limit, HistoryCursor::after))
    }

    async fn scan(&self, query: ScanQuery) -> Result<Page<Accepted<Interaction>, ScanCursor>> {
        query.check().map_err(|error| named("scan", error))?;
        let ScanQuery {
            tenant,
            limit,
            cursor,
        } = query;
        let after = cursor
            .map(|cursor| cursor::read_row(&cursor))
            .transpose()
            .map_err(|error| named("scan", error))?;
        let state = self.0.enter("scan")?;
        let rows = state.tenant(&tenant).into_iter().flat_map(|tenant| {
            let customers = tenant.customers.iter();
            customers.flat_map(|(digest, customer)| {
                customer
                    .history
                    .iter()
                    .map(|(place, row)| ((*digest, place), row))
            })
        });
        let following = rows
            .filter(|((digest, place), _)| {
                let after = after.as_ref().map(|(digest, place)| (*digest, place));
                after.is_none_or(|after| (*digest, *place) > after)
            })
            .take(one_more(limit))
            .map(|((digest, _), row)| (digest, row.clone()))
            .collect();
        let page = page(following, limit, |(digest, row)| {
            cursor::write_row(digest, &HistoryCursor::after(&row.value))
        });
        Ok(Page {
            items: page.items.into_iter().map(|(_, row)| row).collect(),
            next: page.next,
        })
    }

    async fn scan_decisions(&self, query: ScanQuery) -> Result<Page<Accepted<Decision>, ScanCursor>> {
        query.check().map_err(|error| named("scan_decisions", error))?;
        let ScanQuery {
            tenant,
            limit,
            cursor,
        } = query;
        let after = cursor
            .map(|cursor| cursor::read_decision(&cursor))
            .transpose()
            .map_err(|error| named("scan_decisions", error))?;
        let state = self.0.enter("scan_decisions")?;
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);
        let decisions = state.tenant(&tenant).into_iter();
        let following = decisions
            .flat_map(|tenant| tenant.decisions.range((after.clone(), Bound::Unbounded)))
            .take(one_more(limit))
            .map(|(_, decision)| decision.clone())
            .collect();
        Ok(page(following, limit, |last: &Accepted<Decision>| {
            cursor::write_decision(&last.value.id)
        }))
    }

    async fn record_decision(&self, decision: Decision) -> Result<Recorded<RecommendationId>> {
        let mut outcome = self.record_all_decisions("record_decision", RecordBatch::live([decision]))?;
        outcome.pop().unwrap_or_else(|| {
            let lost = "a batch of one item has no outcome";
            Err(named("record_decision", Error::new(ErrorKind::Internal, lost)))
        })
    }

    async fn record_decisions(
        &self,
        batch: RecordBatch<Decision>,
    ) -> Result<BatchOutcome<Recorded<RecommendationId>>> {
        let results = self.record_all_decisions("record_decisions", batch)?;
        let mut outcome = BatchOutcome::with_capacity(results.len());
        results.into_iter().for_each(|result| outcome.push(result));
        Ok(outcome)
    }

    async fn decision(&self, tenant: &TenantId, id: &RecommendationId) -> Result<Option<Decision>> {
        let state = self.0.enter("decision")?;
        let decision = state.tenant(tenant).and_then(|tenant| tenant.decisions.get(id));
        Ok(decision.map(|decision| decision.value.clone()))
    }

    async fn erase_customer(&self, request: Erasure) -> Result<ErasureReceipt> {
        let now = self.0.now();
        let range = range_of(&request.tenant, request.customer.as_str());
        let erased = self.0.enter("erase_customer")?.erase(request, now);
        let receipt = erased.map_err(|error| named("erase_customer", error))?;
        self.0.until_given_back("erase_customer", Some(range)).await?;
        Ok(receipt)
    }

    async fn tombstones(&self, query: TombstoneQuery) -> Result<Page<Tombstone, ScanCursor>> {
        query.check().map_err(|error| named("tombstones", error))?;
        let TombstoneQuery {
            tenant,
            limit,
            cursor,
        } = query;
        let after = cursor
            .map(|cursor| cursor::read_customer(&cursor))
            .transpose()
            .map_err(|error| named("tombstones", error))?;
        let state = self.0.enter("tombstones")?;
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);
        let customers = state.tenant(&tenant).into_iter();
        let following = customers
            .flat_map(|tenant| tenant.customers.range((after, Bound::Unbounded)))
            .filter(|(_, customer)| customer.generation > Generation::ZERO)
            .take(one_more(limit))
            .map(|(&digest, customer)| Tombstone {
                customer: digest,
                generation: customer.generation,
            })
            .collect();
        Ok(page(following, limit, |last: &Tombstone| {
            cursor::write_customer(&last.customer)
        }))
    }

    async fn install_tombstones(&self, tenant: &TenantId, tombstones: Vec<Tombstone>) -> Result<()> {
        let given = tombstones
            .iter()
            .try_for_each(|stone| stone.generation.check_given());
        given.map_err(|error| named("install_tombstones", error))?;
        let now = self.0.now();
        {
            let mut state = self.0.enter("install_tombstones")?;
            for Tombstone { customer, generation } in tombstones {
                state.install_tombstone(tenant, customer, generation, now);
            }
        }
        self.0.until_given_back("install_tombstones", None).await
    }

    async fn purge_before(&self, request: Purge) -> Result<PurgeReceipt> {
        let Purge { tenant, before } = request;
        let now = self.0.now();
        let mut state = self.0.enter("purge_before")?;
        let (watermark, interactions, decisions) = state.purge(&tenant, before, now);
        Ok(PurgeReceipt::new(watermark, interactions, decisions))
    }

    async fn raise_fence(&self, request: FenceRequest) -> Result<FenceState> {
        let FenceRequest {
            tenant: id,
            epoch,
            lanes,
        } = request;
        let mut state = self.0.enter("raise_fence")?;
        let tenant = state.tenant_mut(&id);
        if epoch < tenant.epoch {
            let lower = "the requested epoch is lower than the tenant's fence";
            return Err(named("raise_fence", Error::new(ErrorKind::Fenced, lower)));
        }
        tenant.epoch = epoch;
        tenant.lanes = lanes.or(tenant.lanes);
        state.changes();
        Ok(state.fence(&id))
    }

    async fn fence(&self, tenant: &TenantId) -> Result<FenceState> {
        Ok(self.0.enter("fence")?.fence(tenant))
    }

    fn outbox(&self) -> Option<Arc<dyn Outbox>> {
        Some(Arc::new(MemoryOutbox::new(Arc::clone(&self.0))))
    }
}

impl MemoryStore {
    fn record_interactions(
        &self,
        operation: &'static str,
        batch: RecordBatch<Interaction>,
    ) -> Result<Vec<Result<Recorded>>> {
        let (records, terms) = self.terms(batch);
        let mut state = self.0.enter(operation)?;
        let record = |record| state.record_interaction(record, terms);
        let results = records.into_iter().map(record);
        Ok(results
            .map(|result| result.map_err(|error| named(operation, error)))
            .collect())
    }

    fn record_all_decisions(
        &self,
        operation: &'static str,
        batch: RecordBatch<Decision>,
    ) -> Result<Vec<Result<Recorded<RecommendationId>>>> {
        let (records, terms) = self.terms(batch);
        let mut state = self.0.enter(operation)?;
        let record = |record| state.record_decision(record, terms);
        let results = records.into_iter().map(record);
        Ok(results
            .map(|result| result.map_err(|error| named(operation, error)))
            .collect())
    }

    fn terms<T>(&self, batch: RecordBatch<T>) -> (Vec<Record<T>>, Terms) {
        let RecordBatch {
            records,
            origin,
            epoch,
        } = batch;
        let now = self.0.now();
        (records, Terms { origin, epoch, now })
    }
}

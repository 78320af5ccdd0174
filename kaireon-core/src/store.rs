//! The interaction store: the contract that every database adapter implements.
//!
//! [`InteractionStore`] is the trait; the types beside it are its arguments and results. What each operation means is the same on every backend and is tested by the suite of `kaireon-testkit`.

mod batch;
mod capabilities;
mod erasure;
mod erasure_place;
mod fence;
mod page;
mod period_range;
mod query;

use std::sync::Arc;

use async_trait::async_trait;

pub use batch::{Accepted, BatchOutcome, ItemOutcome, Origin, Record, RecordBatch, Recorded};
pub use capabilities::{Durability, Isolation, StoreCapabilities};
pub use erasure::{
    Erasure, ErasureId, ErasureReceipt, Generation, Purge, PurgeReceipt, Tombstone, TombstoneQuery,
};
pub use erasure_place::ErasurePlace;
pub use fence::{Epoch, FenceRequest, FenceState};
pub use page::{HistoryCursor, Page, ScanCursor};
pub use period_range::PeriodRange;
pub use query::{DimensionFilter, HistoryFilter, HistoryQuery, MAX_PAGE, ScanQuery, SummaryQuery};

pub(crate) use query::check_limit;

use crate::outbox::Outbox;
use crate::signals::Signals;
use crate::{Decision, Error, Interaction, RecommendationId, Result, Summary, TenantId};

/// Keeps interactions, decisions and their summaries, exactly once per idempotency key.
///
/// A custom backend implements the first four methods; every other is provided and answers `Unsupported` (or is
/// derived), which its [`StoreCapabilities`] must agree with. Run `kaireon_testkit::store_suite!` against it.
///
/// # Errors
/// Every operation may fail with `Timeout`, `Unavailable` or `RateLimited` (transient), `Unauthorized`,
/// `Corrupt`, `StorageFull`, `Internal`; what else is said at each.
///
/// # Dropped futures
/// A write whose future is dropped has happened wholly or not at all; its retry under the same idempotency key
/// gives the exact answer. A read leaves nothing.
#[async_trait]
pub trait InteractionStore: Send + Sync + std::fmt::Debug {
    /// What this backend can do, and cannot.
    fn capabilities(&self) -> StoreCapabilities;

    /// Records one live interaction, with its summaries and outbox entries, in one atomic unit.
    ///
    /// `Recorded::New` when the idempotency key was not known; `Recorded::Duplicate` with the first id when it
    /// was, whatever id or timestamp the retry carries. On `Ok` it is durable as the capabilities say.
    ///
    /// # Errors
    /// `Conflict` when the key was used for other identity fields; `InvalidInput` naming `timestamp` when it
    /// lies before the tenant's retention watermark; `Fenced` when the tenant's authority has moved.
    async fn record_event(&self, event: Interaction) -> Result<Recorded>;

    /// Reads a customer's summaries, in the order of [`Summary::read_order`]; reads its own writes.
    async fn get_summaries(&self, query: SummaryQuery) -> Result<Vec<Summary>>;

    /// Ends the work of this handle and lets go of its resources; later calls answer `Unavailable` with effect
    /// `NotApplied`. What was accepted is finished first. Idempotent.
    async fn disconnect(&self) -> Result<()>;

    /// Asks the backend for a sign of life. `Unsupported` means unknown, not down.
    async fn ping(&self) -> Result<()> {
        Err(Error::unsupported(self.capabilities().backend, "ping"))
    }

    /// Records a batch; each item has an outcome of its own, in the order of the items.
    ///
    /// Two items with equal keys are settled in their order. An item is judged in this order, and the first that
    /// applies is its outcome:
    ///
    /// 1. the batch's epoch is lower than the fence of the item's tenant: `Fenced`, transient, not applied;
    /// 2. its generation is missing though it is not live, or given though it is, or higher than
    ///    [`Generation::MAX_GIVEN`]: `InvalidInput` naming `generation`;
    /// 3. its idempotency key is known: `Duplicate` with the first id, or `Conflict`; nothing changes, also when
    ///    the record was since purged or erased;
    /// 4. its generation is lower than its customer's present one: `Erased`. A higher one raises the present
    ///    one, as [`install_tombstones`](Self::install_tombstones) does: the tombstone travels behind;
    /// 5. it lies before the retention watermark: a live one is `InvalidInput` naming `timestamp`; one of another
    ///    origin is `New`: it is remembered and counts in the summaries, but leaves no row, as if it had come
    ///    before the purge. So applying and purging may come in either order;
    /// 6. else it is `New`.
    ///
    /// [`Origin::Live`] writes lanes and draws the generation; the other origins keep what they are given and
    /// write no lane. An id is a name and not a key: two records with one id and two idempotency keys are both
    /// kept ([`HistoryCursor`] orders them).
    ///
    /// A key is known for at least the dedupe horizon (30 days by default) after its record *arrived*, whatever
    /// timestamp that carries, and never less long than its row stands. After that a store may forget it when it
    /// purges.
    ///
    /// # Errors
    /// `Err` only when the batch as a whole was refused before any item was tried.
    async fn record_events(&self, batch: RecordBatch<Interaction>) -> Result<BatchOutcome<Recorded>> {
        let RecordBatch {
            records,
            origin,
            epoch,
        } = batch;
        if origin != Origin::Live || epoch != Epoch::ZERO {
            return Err(Error::unsupported(self.capabilities().backend, "record_events"));
        }
        let mut outcome = BatchOutcome::with_capacity(records.len());
        for record in records {
            outcome.push(self.record_event(record.value).await);
        }
        Ok(outcome)
    }

    /// Reads a customer's interactions, newest first by (timestamp, id).
    ///
    /// What existed when the first page was read, matches, and is not purged or erased meanwhile is returned
    /// exactly once over the pages.
    async fn history(&self, query: HistoryQuery) -> Result<Page<Interaction, HistoryCursor>> {
        let _ = query;
        Err(Error::unsupported(self.capabilities().backend, "history"))
    }

    /// Reads a tenant's interactions in the store's own order, each with the generation it was accepted under.
    async fn scan(&self, query: ScanQuery) -> Result<Page<Accepted<Interaction>, ScanCursor>> {
        let _ = query;
        Err(Error::unsupported(self.capabilities().backend, "scan"))
    }

    /// Reads a tenant's decisions in the store's own order, each with the generation it was accepted under.
    async fn scan_decisions(&self, query: ScanQuery) -> Result<Page<Accepted<Decision>, ScanCursor>> {
        let _ = query;
        Err(Error::unsupported(self.capabilities().backend, "scan_decisions"))
    }

    /// Records one live decision under its recommendation id, with its outbox entries.
    ///
    /// # Errors
    /// As for [`record_event`](Self::record_event); `Conflict` when the id was used for other content.
    async fn record_decision(&self, decision: Decision) -> Result<Recorded<RecommendationId>> {
        let _ = decision;
        Err(Error::unsupported(self.capabilities().backend, "record_decision"))
    }

    /// Records a batch of decisions, as [`record_events`](Self::record_events) does interactions: by the same
    /// rules in the same order, with the recommendation id as the key.
    async fn record_decisions(
        &self,
        batch: RecordBatch<Decision>,
    ) -> Result<BatchOutcome<Recorded<RecommendationId>>> {
        let RecordBatch {
            records,
            origin,
            epoch,
        } = batch;
        if origin != Origin::Live || epoch != Epoch::ZERO {
            return Err(Error::unsupported(
                self.capabilities().backend,
                "record_decisions",
            ));
        }
        let mut outcome = BatchOutcome::with_capacity(records.len());
        for record in records {
            outcome.push(self.record_decision(record.value).await);
        }
        Ok(outcome)
    }

    /// Reads a decision by its id; `None` when there is none, or it was purged or erased.
    async fn decision(&self, tenant: &TenantId, id: &RecommendationId) -> Result<Option<Decision>> {
        let _ = (tenant, id);
        Err(Error::unsupported(self.capabilities().backend, "decision"))
    }

    /// Erases a customer: raises the generation, then deletes history, summaries, decisions and undelivered
    /// outbox entries. When the receipt is given, no write that began before can appear.
    ///
    /// Dedupe records stay, so a retry of an erased interaction answers `Duplicate` and writes nothing. A second
    /// call with the same [`ErasureId`] for the same customer resumes what was interrupted and repeats the
    /// receipt; another id erases again. The receipt counts the places `history`, `summaries`, `decisions` and
    /// `outbox` (entries of all lanes and dead letters), also where nothing was deleted.
    ///
    /// Of what a relay of the `publish` lane had read before, nothing is delivered after the receipt: the call waits
    /// until the relay has [given the customer's range back](crate::outbox::Leased::recalled), or its leases have ended.
    ///
    /// # Errors
    /// `Timeout`, transient, where a relay renews its leases for [`ERASURE_PATIENCE`](crate::outbox::ERASURE_PATIENCE)
    /// and gives nothing back, because a delivery does not end. All but the receipt is done then.
    async fn erase_customer(&self, request: Erasure) -> Result<ErasureReceipt> {
        let _ = request;
        Err(Error::unsupported(self.capabilities().backend, "erase_customer"))
    }

    /// Reads a tenant's tombstones, so that another store can honour them.
    async fn tombstones(&self, query: TombstoneQuery) -> Result<Page<Tombstone, ScanCursor>> {
        let _ = query;
        Err(Error::unsupported(self.capabilities().backend, "tombstones"))
    }

    /// Raises generations to those of another store's tombstones and deletes what lies below them. A generation
    /// is never lowered.
    ///
    /// Of what a relay of the `publish` lane had read before, nothing is delivered after the answer, as behind
    /// [`erase_customer`](Self::erase_customer): also where an earlier call installed the same and was cut short, the call
    /// waits for every relay that was asked to give a range back, or whose leases end. So a store that was an authority
    /// before tells nothing more of who is erased on the present one.
    ///
    /// # Errors
    /// `InvalidInput` naming `generation`, and none is installed, when one of them is higher than
    /// [`Generation::MAX_GIVEN`]; `Timeout`, transient, as for an erasure: all are installed then.
    async fn install_tombstones(&self, tenant: &TenantId, tombstones: Vec<Tombstone>) -> Result<()> {
        let _ = (tenant, tombstones);
        Err(Error::unsupported(
            self.capabilities().backend,
            "install_tombstones",
        ))
    }

    /// Moves a tenant's retention watermark: rows and decisions before it are invisible at once and removed by
    /// this call. Summaries and undelivered outbox entries stay. A watermark is never moved back.
    async fn purge_before(&self, request: Purge) -> Result<PurgeReceipt> {
        let _ = request;
        Err(Error::unsupported(self.capabilities().backend, "purge_before"))
    }

    /// Raises the lowest epoch that may write for a tenant, and sets the lanes in force where given. The present
    /// epoch again is allowed, and may set other lanes.
    ///
    /// # Errors
    /// `Fenced` when the present epoch is higher than the requested one.
    async fn raise_fence(&self, request: FenceRequest) -> Result<FenceState> {
        let _ = request;
        Err(Error::unsupported(self.capabilities().backend, "raise_fence"))
    }

    /// Reads a tenant's fence.
    async fn fence(&self, tenant: &TenantId) -> Result<FenceState> {
        let _ = tenant;
        Err(Error::unsupported(self.capabilities().backend, "fence"))
    }

    /// The outbox that shares this store's atomic unit.
    fn outbox(&self) -> Option<Arc<dyn Outbox>> {
        None
    }

    /// What tells of the store's load and size, for whoever advises on it; `None` where nothing does. A wrapper hands on the
    /// store's own.
    fn measures(&self) -> Option<Arc<dyn Signals>> {
        None
    }
}

const _: fn(&dyn InteractionStore) = |_| {};

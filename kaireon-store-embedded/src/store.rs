//! The interaction store.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use kaireon_core::coalesce::Submitter;
use kaireon_core::outbox::{ERASURE_PATIENCE, Lane, range_of, still_in_hand};
use kaireon_core::signals::Signals;
use kaireon_core::store::{
    Accepted, BatchOutcome, Erasure, ErasureReceipt, FenceRequest, FenceState, HistoryCursor, HistoryQuery,
    Origin, Page, Purge, PurgeReceipt, RecordBatch, Recorded, ScanCursor, ScanQuery, StoreCapabilities,
    SummaryQuery, Tombstone, TombstoneQuery,
};
use kaireon_core::{
    Decision, Error, ErrorKind, Interaction, InteractionStore, Outbox, RecommendationId, Result, Summary,
    TenantId,
};

use crate::client::{Space, guarded};
use crate::config::EmbeddedConfig;
use crate::error::{closed, named};
use crate::folds::Own;
use crate::maintain::Maintenance;
use crate::outbox::EmbeddedOutbox;
use crate::read;
use crate::shared::Shared;
use crate::writer::{Answer, DecisionOp, Op, RecordOp, Terms};
use crate::{BACKEND, keys, open};

/// What opening a directory had to mend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovery {
    /// The bytes of a commit that a crash tore before it was acknowledged, which were cut off the journal.
    pub torn_bytes: u64,
}

/// The embedded store: one directory, one process, every operation of the contract, durable on `Ok`.
///
/// A clone is the same handle, so disconnecting one disconnects both; [`open_again`](Self::open_again) is another
/// handle on the same directory. When the last handle is disconnected or dropped, the directory is let go of: at
/// the return of [`disconnect`](InteractionStore::disconnect), or a moment after the drop.
#[derive(Clone, Debug)]
pub struct EmbeddedStore(pub(crate) Arc<Handle>);

/// One user of an open directory.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) shared: Arc<Shared>,
    submitter: Submitter<Op, Answer>,
    closed: AtomicBool,
}

impl EmbeddedStore {
    /// Opens the directory, and makes the store if there is none. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// `Config` naming the directory when its parent is missing, it is a file, in use, cannot be written to, holds
    /// something else or a store of an unknown format, and naming `master_key` when that is not the store's own;
    /// `Corrupt` when stored bytes are damaged; `StorageFull` when there is no room to begin.
    ///
    /// # Dropped futures
    /// The opening goes on and the directory is let go of when it is done.
    pub async fn open(config: EmbeddedConfig) -> Result<Self> {
        let open = tokio::task::spawn_blocking(move || open::open(config));
        let opened = open.await.unwrap_or_else(|_| Err(stopped()));
        let (shared, submitter) = opened.map_err(named("open"))?;
        let store = Self(Arc::new(Handle::new(shared, submitter)));
        // What a crash interrupted.
        store.0.maintain("open", Maintenance::sweep_all).await?;
        Ok(store)
    }

    /// Another handle on the same directory; it stays connected when this one is disconnected.
    #[must_use]
    pub fn open_again(&self) -> Self {
        let Handle {
            shared, submitter, ..
        } = &*self.0;
        Self(Arc::new(Handle::new(Arc::clone(shared), submitter.clone())))
    }

    #[cfg(test)]
    pub(crate) fn shared(&self) -> &Shared {
        &self.0.shared
    }

    /// What opening the directory had to mend.
    #[must_use]
    pub fn recovery(&self) -> Recovery {
        self.0.shared.recovery
    }
}

impl Handle {
    fn new(shared: Arc<Shared>, submitter: Submitter<Op, Answer>) -> Self {
        shared.handles.fetch_add(1, Ordering::AcqRel);
        Self {
            shared,
            submitter,
            closed: AtomicBool::new(false),
        }
    }

    /// Refuses what comes after a disconnect.
    pub(crate) fn check(&self, operation: &'static str) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(named(operation)(closed()));
        }
        Ok(())
    }

    fn close(&self) {
        if !self.closed.swap(true, Ordering::AcqRel)
            && self.shared.handles.fetch_sub(1, Ordering::AcqRel) == 1
        {
            self.submitter.close();
            for written in &self.shared.written {
                written.send_modify(|written| *written += 1);
            }
        }
    }

    async fn disconnect(&self) {
        self.close();
        if self.shared.handles.load(Ordering::Acquire) == 0 {
            // The sender lives as long as we do.
            let _ = self.shared.ended.subscribe().wait_for(|ended| *ended).await;
        }
    }

    /// Has the writer do one thing.
    pub(crate) async fn submit(&self, operation: &'static str, op: Op, bytes: usize) -> Result<Answer> {
        self.check(operation)?;
        self.submitter.submit(op, bytes).await.map_err(named(operation))
    }

    /// Reads where blocking is allowed.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        operation: &'static str,
        run: impl FnOnce(&Shared) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.check(operation)?;
        if self.shared.engine().is_err() {
            // The writer opens the directory anew, if it can be.
            self.submit(operation, Op::Nothing, 1).await?;
        }
        let shared = Arc::clone(&self.shared);
        let task = tokio::task::spawn_blocking(move || guarded(|| run(&shared)));
        let outcome = task.await.unwrap_or_else(|_| Err(stopped()));
        outcome.map_err(named(operation))
    }

    /// Runs long work in small commits, one at a time. It goes on when the caller goes away.
    async fn maintain<T: Send + 'static>(
        &self,
        operation: &'static str,
        run: impl FnOnce(&Maintenance) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.check(operation)?;
        let maintenance = Maintenance {
            shared: Arc::clone(&self.shared),
            submitter: self.submitter.clone(),
            runtime: tokio::runtime::Handle::current(),
        };
        let turn = Arc::clone(&self.shared.maintenance).lock_owned().await;
        let task = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            guarded(|| run(&maintenance))
        });
        let outcome = task.await.unwrap_or_else(|_| Err(stopped()));
        outcome.map_err(named(operation))
    }

    /// Waits until relays that were asked to give a range back, or one of any of them, have done so, or have lost it.
    async fn until_given_back(&self, operation: &'static str, range: Option<u16>) -> Result<()> {
        let recalled = || {
            let mut leases = self.shared.leases.lock();
            let recalled = leases.recalled(Lane::Publish, self.shared.config.clock.now());
            (recalled, leases.handed())
        };
        let mut waited_for = recalled().0;
        waited_for.retain(|(of, _)| range.is_none_or(|range| range == *of));
        let given_back = async {
            loop {
                let (still, mut handed) = recalled();
                if waited_for.is_disjoint(&still) {
                    return;
                }
                // Leases end by the store's clock, which tells nobody.
                let _ = tokio::time::timeout(LOOK_EVERY, handed.changed()).await;
            }
        };
        tokio::time::timeout(ERASURE_PATIENCE, given_back)
            .await
            .map_err(|_| still_in_hand(BACKEND, operation))
    }

    /// Deletes what records of another store have shown to be erased there.
    async fn sweep_if_wanted(&self, operation: &'static str, origin: Origin) -> Result<()> {
        if origin != Origin::Live && self.shared.sweep_wanted.swap(false, Ordering::AcqRel) {
            return self.maintain(operation, Maintenance::sweep_all).await;
        }
        Ok(())
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}

fn stopped() -> Error {
    Error::new(ErrorKind::Unavailable, "the runtime is shutting down")
}

/// The error of an answer to another question.
pub(crate) fn unexpected() -> Error {
    Error::new(ErrorKind::Internal, "the writer answered something else")
}

fn recorded(answer: Answer) -> Result<Recorded> {
    match answer {
        Answer::Recorded(recorded) => Ok(recorded),
        _ => Err(unexpected()),
    }
}

fn decided(answer: Answer) -> Result<Recorded<RecommendationId>> {
    match answer {
        Answer::Decided(recorded) => Ok(recorded),
        _ => Err(unexpected()),
    }
}

/// How often it is looked whether leases have ended.
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_millis(20);

/// How many records are prepared before other tasks of the thread get their turn.
const TURN: usize = 128;

#[async_trait]
impl InteractionStore for EmbeddedStore {
    fn capabilities(&self) -> StoreCapabilities {
        let mut can = StoreCapabilities::full(BACKEND);
        can.durability.clone_from(&self.0.shared.durability);
        can.key_check = Some(self.0.shared.master_key.check_value());
        can
    }

    async fn record_event(&self, event: Interaction) -> Result<Recorded> {
        self.0.check("record_event")?;
        let terms = Terms::live(&self.0.shared);
        let op = RecordOp::new(&self.0.shared, event.into(), terms);
        let bytes = op.bytes();
        let answer = self
            .0
            .submit("record_event", Op::Record(Box::new(op)), bytes)
            .await?;
        recorded(answer).map_err(named("record_event"))
    }

    async fn get_summaries(&self, query: SummaryQuery) -> Result<Vec<Summary>> {
        self.0.check("get_summaries")?;
        let key = keys::customer(&query.tenant, &query.customer);
        // Before the value, which then has all that is not among them.
        let parts = self.0.shared.parts(&key);
        if let Some(value) = self.0.shared.hot.get(&key)
            && let Some(own) = Own::of(Some(&value), &parts).map_err(named("get_summaries"))?
            && let Some(answer) = read::from_memory(&own, &query)
        {
            return Ok(answer);
        }
        let read = move |shared: &Shared| {
            let ticket = shared.hot.ticket(&key);
            let view = shared.view()?;
            let stored = view.get(Space::Customers, &key)?;
            let Some(own) = Own::of(stored.as_deref(), &parts)? else {
                return Ok(Vec::new());
            };
            let answer = read::summaries(&view, &key, own, &query)?;
            if let (Some(ticket), Some(value)) = (ticket, stored) {
                shared.hot.offer(ticket, key, value);
            }
            Ok(answer)
        };
        self.0.blocking("get_summaries", read).await
    }

    async fn disconnect(&self) -> Result<()> {
        self.0.disconnect().await;
        Ok(())
    }

    async fn ping(&self) -> Result<()> {
        self.0.submit("ping", Op::Nothing, 1).await.map(drop)
    }

    async fn record_events(&self, batch: RecordBatch<Interaction>) -> Result<BatchOutcome<Recorded>> {
        self.0.check("record_events")?;
        let RecordBatch {
            records,
            origin,
            epoch,
        } = batch;
        let terms = Terms {
            origin,
            epoch,
            ..Terms::live(&self.0.shared)
        };
        let mut ops = Vec::with_capacity(records.len());
        for record in records {
            let op = RecordOp::new(&self.0.shared, record, terms);
            let bytes = op.bytes();
            ops.push((Op::Record(Box::new(op)), bytes));
            if ops.len() % TURN == 0 {
                tokio::task::yield_now().await;
            }
        }
        let mut outcome = BatchOutcome::with_capacity(ops.len());
        for answer in self.0.submitter.submit_all(ops).await {
            outcome.push(answer.and_then(recorded).map_err(named("record_events")));
        }
        self.0.sweep_if_wanted("record_events", origin).await?;
        Ok(outcome)
    }

    async fn history(&self, query: HistoryQuery) -> Result<Page<Interaction, HistoryCursor>> {
        query.check().map_err(named("history"))?;
        let read = move |shared: &Shared| {
            let view = shared.view()?;
            read::history(&view, &shared.tenant(&query.tenant), query)
        };
        self.0.blocking("history", read).await
    }

    async fn scan(&self, query: ScanQuery) -> Result<Page<Accepted<Interaction>, ScanCursor>> {
        query.check().map_err(named("scan"))?;
        let read = move |shared: &Shared| {
            let view = shared.view()?;
            read::scan(&view, &shared.tenant(&query.tenant), query)
        };
        self.0.blocking("scan", read).await
    }

    async fn scan_decisions(&self, query: ScanQuery) -> Result<Page<Accepted<Decision>, ScanCursor>> {
        query.check().map_err(named("scan_decisions"))?;
        let read = move |shared: &Shared| {
            let view = shared.view()?;
            read::scan_decisions(&view, &shared.tenant(&query.tenant), query)
        };
        self.0.blocking("scan_decisions", read).await
    }

    async fn record_decision(&self, decision: Decision) -> Result<Recorded<RecommendationId>> {
        self.0.check("record_decision")?;
        let terms = Terms::live(&self.0.shared);
        let op = DecisionOp::new(&self.0.shared, decision.into(), terms);
        let bytes = op.bytes();
        let answer = self
            .0
            .submit("record_decision", Op::Decide(Box::new(op)), bytes)
            .await?;
        decided(answer).map_err(named("record_decision"))
    }

    async fn record_decisions(
        &self,
        batch: RecordBatch<Decision>,
    ) -> Result<BatchOutcome<Recorded<RecommendationId>>> {
        self.0.check("record_decisions")?;
        let RecordBatch {
            records,
            origin,
            epoch,
        } = batch;
        let terms = Terms {
            origin,
            epoch,
            ..Terms::live(&self.0.shared)
        };
        let mut ops = Vec::with_capacity(records.len());
        for record in records {
            let op = DecisionOp::new(&self.0.shared, record, terms);
            let bytes = op.bytes();
            ops.push((Op::Decide(Box::new(op)), bytes));
            if ops.len() % TURN == 0 {
                tokio::task::yield_now().await;
            }
        }
        let mut outcome = BatchOutcome::with_capacity(ops.len());
        for answer in self.0.submitter.submit_all(ops).await {
            outcome.push(answer.and_then(decided).map_err(named("record_decisions")));
        }
        self.0.sweep_if_wanted("record_decisions", origin).await?;
        Ok(outcome)
    }

    async fn decision(&self, tenant: &TenantId, id: &RecommendationId) -> Result<Option<Decision>> {
        let (tenant, id) = (tenant.clone(), id.clone());
        let read = move |shared: &Shared| {
            let view = shared.view()?;
            read::decision(&view, &shared.tenant(&tenant), &tenant, &id)
        };
        self.0.blocking("decision", read).await
    }

    async fn erase_customer(&self, request: Erasure) -> Result<ErasureReceipt> {
        let range = range_of(&request.tenant, request.customer.as_str());
        let receipt = self
            .0
            .maintain("erase_customer", move |maintenance| maintenance.erase(&request))
            .await?;
        self.0.until_given_back("erase_customer", Some(range)).await?;
        Ok(receipt)
    }

    async fn tombstones(&self, query: TombstoneQuery) -> Result<Page<Tombstone, ScanCursor>> {
        query.check().map_err(named("tombstones"))?;
        let read = move |shared: &Shared| read::tombstones(&shared.view()?, query);
        self.0.blocking("tombstones", read).await
    }

    async fn install_tombstones(&self, tenant: &TenantId, tombstones: Vec<Tombstone>) -> Result<()> {
        let tenant = tenant.clone();
        let install = move |maintenance: &Maintenance| maintenance.install(&tenant, tombstones);
        self.0.maintain("install_tombstones", install).await?;
        self.0.until_given_back("install_tombstones", None).await
    }

    async fn purge_before(&self, request: Purge) -> Result<PurgeReceipt> {
        self.0
            .maintain("purge_before", move |maintenance| maintenance.purge(&request))
            .await
    }

    async fn raise_fence(&self, request: FenceRequest) -> Result<FenceState> {
        match self.0.submit("raise_fence", Op::RaiseFence(request), 256).await? {
            Answer::Fence(state) => Ok(state),
            _ => Err(named("raise_fence")(unexpected())),
        }
    }

    async fn fence(&self, tenant: &TenantId) -> Result<FenceState> {
        self.0.check("fence")?;
        let shared = &self.0.shared;
        let present = shared.present.read();
        Ok(shared.fence(shared.tenant(tenant).settings, *present))
    }

    fn measures(&self) -> Option<Arc<dyn Signals>> {
        Some(Arc::new(self.clone()))
    }

    fn outbox(&self) -> Option<Arc<dyn Outbox>> {
        Some(Arc::new(EmbeddedOutbox::new(Arc::clone(&self.0))))
    }
}

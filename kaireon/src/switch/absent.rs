//! A store that is not to be had now, so that what does not need it can be done all the same.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kaireon_core::outbox::{
    DeadLetter, DeadLetterId, DeadLetterQuery, FetchFrom, HostEvent, Lane, LaneSet, LaneStatus, Lease,
    LeaseRequest, Leased, OutboxEntry, Settlement, TenantBacklog,
};
use kaireon_core::signals::{Signals, StoreSignals};
use kaireon_core::store::{
    Accepted, BatchOutcome, Erasure, ErasureReceipt, FenceRequest, FenceState, HistoryCursor, HistoryQuery,
    Page, Purge, PurgeReceipt, RecordBatch, Recorded, ScanCursor, ScanQuery, StoreCapabilities, SummaryQuery,
    Tombstone, TombstoneQuery,
};
use kaireon_core::{
    Decision, Effect, Error, ErrorKind, Interaction, InteractionStore, Outbox, RecommendationId, Result,
    Summary, TenantId,
};

/// Whether a store that could not be opened may be there later: it is away, or another process has it.
pub(super) fn is_for_now(error: &Error) -> bool {
    let kinds = [ErrorKind::Unavailable, ErrorKind::Timeout, ErrorKind::RateLimited];
    kinds.contains(&error.kind()) || error.is_transient() || error.context().contains("is in use")
}

/// Stands in for a store that could not be opened: each call answers why. What it can do is what the store could.
#[derive(Clone, Debug)]
pub(super) struct Absent {
    name: Arc<str>,
    why: Error,
}

impl Absent {
    /// Why the backend of this name could not be opened.
    pub(super) fn new(name: &str, why: &Error) -> Self {
        let context = match is_for_now(why) && why.kind() == ErrorKind::Config {
            // What is wrong is not the configuration, but the moment.
            true => format!("it could not be opened: {}", why.context()),
            false => format!("it could not be opened: {}: {}", why.kind(), why.context()),
        };
        let why = Error::new(ErrorKind::Unavailable, context)
            .with_effect(Effect::NotApplied)
            .with_source(why.clone());
        Self {
            name: name.into(),
            why,
        }
    }

    fn refused<T>(&self, operation: &'static str) -> Result<T> {
        let why = self.why.clone().with_backend(self.name.to_string());
        Err(why.with_operation(operation))
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl InteractionStore for Absent {
    fn capabilities(&self) -> StoreCapabilities {
        StoreCapabilities::full(self.name.to_string())
    }

    async fn record_event(&self, _: Interaction) -> Result<Recorded> {
        self.refused("record_event")
    }

    async fn get_summaries(&self, _: SummaryQuery) -> Result<Vec<Summary>> {
        self.refused("get_summaries")
    }

    async fn disconnect(&self) -> Result<()> {
        Ok(())
    }

    async fn ping(&self) -> Result<()> {
        self.refused("ping")
    }

    async fn record_events(&self, _: RecordBatch<Interaction>) -> Result<BatchOutcome<Recorded>> {
        self.refused("record_events")
    }

    async fn history(&self, _: HistoryQuery) -> Result<Page<Interaction, HistoryCursor>> {
        self.refused("history")
    }

    async fn scan(&self, _: ScanQuery) -> Result<Page<Accepted<Interaction>, ScanCursor>> {
        self.refused("scan")
    }

    async fn scan_decisions(&self, _: ScanQuery) -> Result<Page<Accepted<Decision>, ScanCursor>> {
        self.refused("scan_decisions")
    }

    async fn record_decision(&self, _: Decision) -> Result<Recorded<RecommendationId>> {
        self.refused("record_decision")
    }

    async fn record_decisions(
        &self,
        _: RecordBatch<Decision>,
    ) -> Result<BatchOutcome<Recorded<RecommendationId>>> {
        self.refused("record_decisions")
    }

    async fn decision(&self, _: &TenantId, _: &RecommendationId) -> Result<Option<Decision>> {
        self.refused("decision")
    }

    async fn erase_customer(&self, _: Erasure) -> Result<ErasureReceipt> {
        self.refused("erase_customer")
    }

    async fn tombstones(&self, _: TombstoneQuery) -> Result<Page<Tombstone, ScanCursor>> {
        self.refused("tombstones")
    }

    async fn install_tombstones(&self, _: &TenantId, _: Vec<Tombstone>) -> Result<()> {
        self.refused("install_tombstones")
    }

    async fn purge_before(&self, _: Purge) -> Result<PurgeReceipt> {
        self.refused("purge_before")
    }

    async fn raise_fence(&self, _: FenceRequest) -> Result<FenceState> {
        self.refused("raise_fence")
    }

    async fn fence(&self, _: &TenantId) -> Result<FenceState> {
        self.refused("fence")
    }

    fn outbox(&self) -> Option<Arc<dyn Outbox>> {
        Some(Arc::new(self.clone()))
    }

    fn measures(&self) -> Option<Arc<dyn Signals>> {
        Some(Arc::new(self.clone()))
    }
}

#[async_trait]
impl Signals for Absent {
    async fn signals(&self) -> Result<StoreSignals> {
        self.refused("signals")
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Outbox for Absent {
    async fn lanes(&self) -> Result<LaneSet> {
        self.refused("lanes")
    }

    async fn set_lanes(&self, _: LaneSet) -> Result<()> {
        self.refused("set_lanes")
    }

    async fn change_lanes(&self, _: LaneSet, _: LaneSet) -> Result<LaneSet> {
        self.refused("change_lanes")
    }

    async fn append(&self, _: Vec<HostEvent>) -> Result<()> {
        self.refused("append")
    }

    async fn lease(&self, _: LeaseRequest) -> Result<Leased> {
        self.refused("lease")
    }

    async fn release(&self, _: Vec<Lease>) -> Result<()> {
        self.refused("release")
    }

    async fn fetch(&self, _: Vec<FetchFrom>, _: u32) -> Result<Vec<OutboxEntry>> {
        self.refused("fetch")
    }

    async fn settle(&self, _: &[Lease], _: Vec<Settlement>) -> Result<()> {
        self.refused("settle")
    }

    async fn dead_letters(&self, _: DeadLetterQuery) -> Result<Page<DeadLetter, DeadLetterId>> {
        self.refused("dead_letters")
    }

    async fn replay(&self, _: Lane, _: Vec<DeadLetterId>) -> Result<u64> {
        self.refused("replay")
    }

    async fn status(&self, _: Lane) -> Result<LaneStatus> {
        self.refused("status")
    }

    async fn backlog(&self, _: Lane, _: &TenantId) -> Result<TenantBacklog> {
        self.refused("backlog")
    }

    async fn wait(&self, _: Lane, _: u64, _: Duration) -> Result<u64> {
        self.refused("wait")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_call_answers_why_it_is_not_there_and_that_nothing_was_done() {
        let why = Error::new(ErrorKind::Config, "the directory x is in use");
        assert!(is_for_now(&why));
        let store = Absent::new("embedded", &why);
        let error = store.ping().await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "embedded ping: unavailable: it could not be opened: the directory x is in use"
        );
        assert_eq!((error.effect(), error.is_transient()), (Effect::NotApplied, true));
        let outbox = store.outbox().unwrap();
        assert_eq!(outbox.lanes().await.unwrap_err().operation(), "lanes");
        assert!(store.disconnect().await.is_ok());
    }

    #[test]
    fn what_is_wrong_for_good_is_no_absence() {
        for kind in [ErrorKind::Config, ErrorKind::Unauthorized, ErrorKind::Corrupt] {
            assert!(!is_for_now(&Error::new(kind, "x")), "{kind}");
        }
    }
}

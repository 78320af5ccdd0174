//! The stub's other contracts.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::{Probe, earliest, outcomes, page};
use crate::breaker::{Admission, BreakerConfig, BreakerState, CallResult, CircuitBreaker};
use crate::cache::{CacheCapabilities, CacheKey, CacheStore, FetchLeases, Flights, SetOptions};
use crate::event::{Event, EventType};
use crate::limiter::{LimitKey, RateDecision, RateLimit, RateLimiter};
use crate::outbox::{
    DeadLetter, DeadLetterId, DeadLetterQuery, FetchFrom, HostEvent, Lane, LaneSet, LaneStatus, Lease,
    LeaseRequest, Leased, Outbox, OutboxEntry, Settlement, TenantBacklog,
};
use crate::publisher::{EventPublisher, PublisherCapabilities, Subscriber, Subscription};
use crate::search::{
    Deletion, IndexBatch, Indexed, RebuildState, RebuildStatus, RebuildStep, SearchCapabilities, SearchIndex,
    SearchQuery, SearchResults, TotalCount,
};
use crate::store::{BatchOutcome, Page};
use crate::{CustomerId, Result, TenantId};

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Outbox for Probe {
    async fn lanes(&self) -> Result<LaneSet> {
        self.call("lanes").await.map(|()| LaneSet::NONE)
    }

    async fn set_lanes(&self, _: LaneSet) -> Result<()> {
        self.call("set_lanes").await
    }

    async fn change_lanes(&self, _: LaneSet, _: LaneSet) -> Result<LaneSet> {
        self.call("change_lanes").await.map(|()| LaneSet::NONE)
    }

    async fn append(&self, _: Vec<HostEvent>) -> Result<()> {
        self.call("append").await
    }

    async fn lease(&self, _: LeaseRequest) -> Result<Leased> {
        self.call("lease").await.map(|()| Leased::new(Vec::new(), 1))
    }

    async fn release(&self, _: Vec<Lease>) -> Result<()> {
        self.call("release").await
    }

    async fn fetch(&self, _: Vec<FetchFrom>, _: u32) -> Result<Vec<OutboxEntry>> {
        self.call("fetch").await.map(|()| Vec::new())
    }

    async fn settle(&self, _: &[Lease], _: Vec<Settlement>) -> Result<()> {
        self.call("settle").await
    }

    async fn dead_letters(&self, _: DeadLetterQuery) -> Result<Page<DeadLetter, DeadLetterId>> {
        self.call("dead_letters").await.map(|()| page())
    }

    async fn replay(&self, _: Lane, _: Vec<DeadLetterId>) -> Result<u64> {
        self.call("replay").await.map(|()| 0)
    }

    async fn status(&self, _: Lane) -> Result<LaneStatus> {
        self.call("status").await.map(|()| LaneStatus::default())
    }

    async fn backlog(&self, _: Lane, _: &TenantId) -> Result<TenantBacklog> {
        self.call("backlog").await.map(|()| TenantBacklog::default())
    }

    async fn wait(&self, _: Lane, seen: u64, _: Duration) -> Result<u64> {
        self.call("wait").await.map(|()| seen)
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl EventPublisher for Probe {
    fn capabilities(&self) -> PublisherCapabilities {
        PublisherCapabilities::minimal("probe")
    }

    fn has_subscribers(&self, _: &EventType) -> Option<bool> {
        self.note("has_subscribers");
        Some(true)
    }

    async fn publish(&self, _: Event) -> Result<()> {
        self.call("publish").await
    }

    async fn publish_batch(&self, events: Vec<Event>) -> Result<BatchOutcome<()>> {
        let ids = events.iter().map(|event| event.id().to_owned()).collect();
        Ok(outcomes(self.call_batch("publish_batch", ids).await?, |_| ()))
    }

    async fn subscribe(&self, _: Subscription) -> Result<Subscriber> {
        self.call("subscribe").await?;
        Ok(Subscriber::new(futures_util::stream::empty()))
    }

    async fn ping(&self) -> Result<()> {
        self.call("ping").await
    }

    async fn disconnect(&self) -> Result<()> {
        self.call("disconnect").await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl SearchIndex for Probe {
    fn capabilities(&self) -> SearchCapabilities {
        SearchCapabilities::full("probe")
    }

    async fn index(&self, batch: IndexBatch) -> Result<BatchOutcome<Indexed>> {
        let ids = batch.documents.iter().map(|document| document.id.to_string());
        let items = self.call_batch("index", ids.collect()).await?;
        Ok(outcomes(items, |_| Indexed::Written))
    }

    async fn delete(&self, _: Deletion) -> Result<u64> {
        self.call("delete").await.map(|()| 0)
    }

    async fn search(&self, _: SearchQuery) -> Result<SearchResults> {
        self.call("search").await?;
        Ok(SearchResults::new(
            Vec::new(),
            None,
            TotalCount::Exact(0),
            Vec::new(),
        ))
    }

    async fn refresh(&self) -> Result<()> {
        self.call("refresh").await
    }

    async fn disconnect(&self) -> Result<()> {
        self.call("disconnect").await
    }

    async fn erase_customer(&self, _: &TenantId, _: &CustomerId) -> Result<u64> {
        self.call("erase_customer").await.map(|()| 0)
    }

    async fn rebuild(&self, step: RebuildStep) -> Result<RebuildStatus> {
        self.call("rebuild").await?;
        Ok(RebuildStatus::new(
            step.name().clone(),
            RebuildState::Open,
            earliest(),
            0,
        ))
    }

    async fn ping(&self) -> Result<()> {
        self.call("ping").await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl CacheStore for Probe {
    fn capabilities(&self) -> CacheCapabilities {
        CacheCapabilities::minimal("probe", 1_024)
    }

    fn flights(&self) -> &Flights {
        self.note("flights");
        &self.flights
    }

    fn limiter(&self) -> Option<Arc<dyn RateLimiter>> {
        self.note("limiter");
        None
    }

    fn leases(&self) -> Option<Arc<dyn FetchLeases>> {
        self.note("leases");
        None
    }

    fn breaker(&self, _: BreakerConfig) -> Result<Option<Arc<dyn CircuitBreaker>>> {
        self.note("breaker");
        Ok(None)
    }

    fn peek(&self, _: &CacheKey) -> Option<Bytes> {
        self.note("peek");
        Some(Bytes::from_static(b"peeked"))
    }

    fn peek_fetched(&self, _: &CacheKey) -> Option<Bytes> {
        self.note("peek_fetched");
        None
    }

    async fn get(&self, _: &CacheKey) -> Result<Option<Bytes>> {
        self.call("get").await.map(|()| None)
    }

    async fn set(&self, _: &CacheKey, _: Bytes, _: SetOptions) -> Result<bool> {
        self.call("set").await.map(|()| true)
    }

    async fn del(&self, _: &CacheKey) -> Result<bool> {
        self.call("del").await.map(|()| true)
    }

    async fn get_many(&self, _: &[CacheKey]) -> Result<Vec<Option<Bytes>>> {
        self.call("get_many").await.map(|()| Vec::new())
    }

    async fn set_many(&self, _: Vec<(CacheKey, Bytes)>, _: SetOptions) -> Result<Vec<bool>> {
        self.call("set_many").await.map(|()| Vec::new())
    }

    async fn del_many(&self, _: &[CacheKey]) -> Result<u64> {
        self.call("del_many").await.map(|()| 0)
    }

    async fn erase_customer(&self, _: &TenantId, _: &CustomerId) -> Result<u64> {
        self.call("erase_customer").await.map(|()| 0)
    }

    async fn ping(&self) -> Result<()> {
        self.call("ping").await
    }

    async fn disconnect(&self) -> Result<()> {
        self.call("disconnect").await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl RateLimiter for Probe {
    async fn acquire(&self, _: &LimitKey, _: RateLimit) -> Result<RateDecision> {
        self.call("acquire").await?;
        Ok(RateDecision::new(true, 1, Duration::ZERO, earliest()))
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl CircuitBreaker for Probe {
    async fn admit(&self, _: &str) -> Result<Admission> {
        self.call("admit").await.map(|()| Admission::Admitted(1))
    }

    async fn report(&self, _: &str, _: u64, _: CallResult) -> Result<()> {
        self.call("report").await
    }

    async fn state(&self, _: &str) -> Result<BreakerState> {
        self.call("state").await.map(|()| BreakerState::Closed)
    }
}

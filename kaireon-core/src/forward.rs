//! Every contract, for `Arc<T>` and `Box<T>`: an `Arc<dyn InteractionStore>` is an `InteractionStore`.
//!
//! The methods are written in the form that `#[async_trait]` gives them, so that the boxed future of the inner
//! call is handed on as it is. An `async fn` here would put that box into a second one, on every call.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::breaker::{Admission, BreakerState, CallResult, CircuitBreaker};
use crate::cache::{CacheCapabilities, CacheKey, CacheStore, Flights, SetOptions};
use crate::event::{Event, EventType};
use crate::limiter::{LimitKey, RateDecision, RateLimit, RateLimiter};
use crate::outbox::{
    DeadLetter, DeadLetterId, DeadLetterQuery, FetchFrom, HostEvent, Lane, LaneSet, LaneStatus, Lease,
    LeaseRequest, Leased, Outbox, OutboxEntry, Settlement,
};
use crate::publisher::{EventPublisher, PublisherCapabilities, Subscriber, Subscription};
use crate::search::{
    Deletion, IndexBatch, Indexed, RebuildStatus, RebuildStep, SearchCapabilities, SearchIndex, SearchQuery,
    SearchResults,
};
use crate::store::{
    Accepted, BatchOutcome, Erasure, ErasureReceipt, FenceRequest, FenceState, HistoryCursor, HistoryQuery,
    InteractionStore, Page, Purge, PurgeReceipt, RecordBatch, Recorded, ScanCursor, ScanQuery,
    StoreCapabilities, SummaryQuery, Tombstone, TombstoneQuery,
};
use crate::{CustomerId, Decision, Interaction, RecommendationId, Result, Summary, TenantId};

/// Implements a trait for `Arc<T>` and `Box<T>`.
///
/// First the methods that return at once, then those that return a boxed future, with a named lifetime for each
/// reference, in the order in which `#[async_trait]` numbers them.
macro_rules! forward {
    ($trait:ident { $($methods:tt)* }) => {
        forward!(@for Arc, $trait { $($methods)* });
        forward!(@for Box, $trait { $($methods)* });
    };
    (@for $pointer:ident, $trait:ident {
        $(fn $now:ident(&self $(, $now_arg:ident: $now_type:ty)*) -> $now_output:ty;)*
        $(async fn $later:ident<$($life:lifetime),+>(
            &$_self_life:lifetime self $(, $later_arg:ident: $later_type:ty)*
        ) -> $later_output:ty;)*
    }) => {
        #[deny(unconditional_recursion)]
        #[deny(clippy::missing_trait_methods)]
        impl<T: $trait + ?Sized> $trait for $pointer<T> {
            $(
                fn $now(&self $(, $now_arg: $now_type)*) -> $now_output {
                    (**self).$now($($now_arg),*)
                }
            )*
            $(
                fn $later<$($life,)+ 'async_trait>(
                    &$_self_life self $(, $later_arg: $later_type)*
                ) -> Pin<Box<dyn Future<Output = $later_output> + Send + 'async_trait>>
                where
                    $($life: 'async_trait,)+
                    Self: 'async_trait,
                {
                    (**self).$later($($later_arg),*)
                }
            )*
        }
    };
}

forward!(InteractionStore {
    fn capabilities(&self) -> StoreCapabilities;
    fn outbox(&self) -> Option<Arc<dyn Outbox>>;
    async fn record_event<'a>(&'a self, event: Interaction) -> Result<Recorded>;
    async fn get_summaries<'a>(&'a self, query: SummaryQuery) -> Result<Vec<Summary>>;
    async fn disconnect<'a>(&'a self) -> Result<()>;
    async fn ping<'a>(&'a self) -> Result<()>;
    async fn record_events<'a>(&'a self, batch: RecordBatch<Interaction>) -> Result<BatchOutcome<Recorded>>;
    async fn history<'a>(&'a self, query: HistoryQuery) -> Result<Page<Interaction, HistoryCursor>>;
    async fn scan<'a>(&'a self, query: ScanQuery) -> Result<Page<Accepted<Interaction>, ScanCursor>>;
    async fn scan_decisions<'a>(&'a self, query: ScanQuery) -> Result<Page<Accepted<Decision>, ScanCursor>>;
    async fn record_decision<'a>(&'a self, decision: Decision) -> Result<Recorded<RecommendationId>>;
    async fn record_decisions<'a>(
        &'a self,
        batch: RecordBatch<Decision>
    ) -> Result<BatchOutcome<Recorded<RecommendationId>>>;
    async fn decision<'a, 'b, 'c>(
        &'a self,
        tenant: &'b TenantId,
        id: &'c RecommendationId
    ) -> Result<Option<Decision>>;
    async fn erase_customer<'a>(&'a self, request: Erasure) -> Result<ErasureReceipt>;
    async fn tombstones<'a>(&'a self, query: TombstoneQuery) -> Result<Page<Tombstone, ScanCursor>>;
    async fn install_tombstones<'a, 'b>(
        &'a self,
        tenant: &'b TenantId,
        tombstones: Vec<Tombstone>
    ) -> Result<()>;
    async fn purge_before<'a>(&'a self, request: Purge) -> Result<PurgeReceipt>;
    async fn raise_fence<'a>(&'a self, request: FenceRequest) -> Result<FenceState>;
    async fn fence<'a, 'b>(&'a self, tenant: &'b TenantId) -> Result<FenceState>;
});

forward!(Outbox {
    async fn lanes<'a>(&'a self) -> Result<LaneSet>;
    async fn set_lanes<'a>(&'a self, lanes: LaneSet) -> Result<()>;
    async fn append<'a>(&'a self, events: Vec<HostEvent>) -> Result<()>;
    async fn lease<'a>(&'a self, request: LeaseRequest) -> Result<Leased>;
    async fn release<'a>(&'a self, leases: Vec<Lease>) -> Result<()>;
    async fn fetch<'a>(&'a self, from: Vec<FetchFrom>, limit: u32) -> Result<Vec<OutboxEntry>>;
    async fn settle<'a, 'b>(&'a self, leases: &'b [Lease], settlements: Vec<Settlement>) -> Result<()>;
    async fn dead_letters<'a>(&'a self, query: DeadLetterQuery) -> Result<Page<DeadLetter, DeadLetterId>>;
    async fn replay<'a>(&'a self, lane: Lane, ids: Vec<DeadLetterId>) -> Result<u64>;
    async fn status<'a>(&'a self, lane: Lane) -> Result<LaneStatus>;
    async fn wait<'a>(&'a self, lane: Lane, seen: u64, at_most: Duration) -> Result<u64>;
});

forward!(EventPublisher {
    fn capabilities(&self) -> PublisherCapabilities;
    fn has_subscribers(&self, topic: &EventType) -> Option<bool>;
    async fn publish<'a>(&'a self, event: Event) -> Result<()>;
    async fn publish_batch<'a>(&'a self, events: Vec<Event>) -> Result<BatchOutcome<()>>;
    async fn subscribe<'a>(&'a self, subscription: Subscription) -> Result<Subscriber>;
    async fn ping<'a>(&'a self) -> Result<()>;
    async fn disconnect<'a>(&'a self) -> Result<()>;
});

forward!(SearchIndex {
    fn capabilities(&self) -> SearchCapabilities;
    async fn index<'a>(&'a self, batch: IndexBatch) -> Result<BatchOutcome<Indexed>>;
    async fn delete<'a>(&'a self, deletion: Deletion) -> Result<u64>;
    async fn search<'a>(&'a self, query: SearchQuery) -> Result<SearchResults>;
    async fn refresh<'a>(&'a self) -> Result<()>;
    async fn disconnect<'a>(&'a self) -> Result<()>;
    async fn erase_customer<'a, 'b, 'c>(&'a self, tenant: &'b TenantId, customer: &'c CustomerId) -> Result<u64>;
    async fn rebuild<'a>(&'a self, step: RebuildStep) -> Result<RebuildStatus>;
    async fn ping<'a>(&'a self) -> Result<()>;
});

forward!(CacheStore {
    fn capabilities(&self) -> CacheCapabilities;
    fn flights(&self) -> &Flights;
    fn peek(&self, key: &CacheKey) -> Option<Bytes>;
    fn peek_fetched(&self, key: &CacheKey) -> Option<Bytes>;
    async fn get<'a, 'b>(&'a self, key: &'b CacheKey) -> Result<Option<Bytes>>;
    async fn set<'a, 'b>(&'a self, key: &'b CacheKey, value: Bytes, options: SetOptions) -> Result<bool>;
    async fn del<'a, 'b>(&'a self, key: &'b CacheKey) -> Result<bool>;
    async fn get_many<'a, 'b>(&'a self, keys: &'b [CacheKey]) -> Result<Vec<Option<Bytes>>>;
    async fn set_many<'a>(&'a self, entries: Vec<(CacheKey, Bytes)>, options: SetOptions) -> Result<Vec<bool>>;
    async fn del_many<'a, 'b>(&'a self, keys: &'b [CacheKey]) -> Result<u64>;
    async fn erase_customer<'a, 'b, 'c>(&'a self, tenant: &'b TenantId, customer: &'c CustomerId) -> Result<u64>;
    async fn ping<'a>(&'a self) -> Result<()>;
    async fn disconnect<'a>(&'a self) -> Result<()>;
});

forward!(RateLimiter {
    async fn acquire<'a, 'b>(&'a self, key: &'b LimitKey, limit: RateLimit) -> Result<RateDecision>;
});

forward!(CircuitBreaker {
    async fn admit<'a, 'b>(&'a self, breaker: &'b str) -> Result<Admission>;
    async fn report<'a, 'b>(&'a self, breaker: &'b str, admission: u64, result: CallResult) -> Result<()>;
    async fn state<'a, 'b>(&'a self, breaker: &'b str) -> Result<BreakerState>;
});

#[cfg(test)]
mod tests;

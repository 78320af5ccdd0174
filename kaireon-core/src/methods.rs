//! The methods of each contract, listed once for what is written for all of them alike.
//!
//! Each macro here hands its list to another macro: [`forward`](crate::forward) implements the contract for
//! `Arc<T>` and `Box<T>`, the guard of [`wrap`](crate::wrap) for the wrappers. Both implement under
//! `#[deny(clippy::missing_trait_methods)]`, so a method that is missing here fails the build.
//!
//! First come the methods that answer at once, then those that return a boxed future: in brackets their
//! operation (and what a wrapper has to know of it besides), and a named lifetime for each reference, in the order
//! in which `#[async_trait]` numbers them.

macro_rules! store_methods {
    ($with:ident!($what:ident)) => {
        $with! { $what: InteractionStore named of_store {
            fn capabilities(&self) -> StoreCapabilities;
            fn outbox(&self) -> Option<Arc<dyn Outbox>>;
            fn measures(&self) -> Option<Arc<dyn Signals>>;
            [RecordEvent]
            async fn record_event<'a>(&'a self, event: Interaction) -> Result<Recorded>;
            [GetSummaries]
            async fn get_summaries<'a>(&'a self, query: SummaryQuery) -> Result<Vec<Summary>>;
            [StoreDisconnect]
            async fn disconnect<'a>(&'a self) -> Result<()>;
            [StorePing]
            async fn ping<'a>(&'a self) -> Result<()>;
            [RecordEvents, batch(batch.records)]
            async fn record_events<'a>(&'a self, batch: RecordBatch<Interaction>) -> Result<BatchOutcome<Recorded>>;
            [History]
            async fn history<'a>(&'a self, query: HistoryQuery) -> Result<Page<Interaction, HistoryCursor>>;
            [Scan]
            async fn scan<'a>(&'a self, query: ScanQuery) -> Result<Page<Accepted<Interaction>, ScanCursor>>;
            [ScanDecisions]
            async fn scan_decisions<'a>(
                &'a self,
                query: ScanQuery
            ) -> Result<Page<Accepted<Decision>, ScanCursor>>;
            [RecordDecision]
            async fn record_decision<'a>(&'a self, decision: Decision) -> Result<Recorded<RecommendationId>>;
            [RecordDecisions, batch(batch.records)]
            async fn record_decisions<'a>(
                &'a self,
                batch: RecordBatch<Decision>
            ) -> Result<BatchOutcome<Recorded<RecommendationId>>>;
            [Decision]
            async fn decision<'a, 'b, 'c>(
                &'a self,
                tenant: &'b TenantId,
                id: &'c RecommendationId
            ) -> Result<Option<Decision>>;
            [EraseCustomer]
            async fn erase_customer<'a>(&'a self, request: Erasure) -> Result<ErasureReceipt>;
            [Tombstones]
            async fn tombstones<'a>(&'a self, query: TombstoneQuery) -> Result<Page<Tombstone, ScanCursor>>;
            [InstallTombstones]
            async fn install_tombstones<'a, 'b>(
                &'a self,
                tenant: &'b TenantId,
                tombstones: Vec<Tombstone>
            ) -> Result<()>;
            [PurgeBefore]
            async fn purge_before<'a>(&'a self, request: Purge) -> Result<PurgeReceipt>;
            [RaiseFence]
            async fn raise_fence<'a>(&'a self, request: FenceRequest) -> Result<FenceState>;
            [Fence]
            async fn fence<'a, 'b>(&'a self, tenant: &'b TenantId) -> Result<FenceState>;
        }}
    };
}

macro_rules! outbox_methods {
    ($with:ident!($what:ident)) => {
        $with! { $what: Outbox named of_nameless {
            [Lanes]
            async fn lanes<'a>(&'a self) -> Result<LaneSet>;
            [SetLanes]
            async fn set_lanes<'a>(&'a self, lanes: LaneSet) -> Result<()>;
            [ChangeLanes]
            async fn change_lanes<'a>(&'a self, on: LaneSet, off: LaneSet) -> Result<LaneSet>;
            [Append]
            async fn append<'a>(&'a self, events: Vec<HostEvent>) -> Result<()>;
            [Lease]
            async fn lease<'a>(&'a self, request: LeaseRequest) -> Result<Leased>;
            [Release]
            async fn release<'a>(&'a self, leases: Vec<Lease>) -> Result<()>;
            [Fetch]
            async fn fetch<'a>(&'a self, from: Vec<FetchFrom>, limit: u32) -> Result<Vec<OutboxEntry>>;
            [Settle]
            async fn settle<'a, 'b>(&'a self, leases: &'b [Lease], settlements: Vec<Settlement>) -> Result<()>;
            [DeadLetters]
            async fn dead_letters<'a>(&'a self, query: DeadLetterQuery) -> Result<Page<DeadLetter, DeadLetterId>>;
            [Replay]
            async fn replay<'a>(&'a self, lane: Lane, ids: Vec<DeadLetterId>) -> Result<u64>;
            [Status]
            async fn status<'a>(&'a self, lane: Lane) -> Result<LaneStatus>;
            [Backlog]
            async fn backlog<'a, 'b>(&'a self, lane: Lane, tenant: &'b TenantId) -> Result<TenantBacklog>;
            [Wait, wait(at_most)]
            async fn wait<'a>(&'a self, lane: Lane, seen: u64, at_most: Duration) -> Result<u64>;
        }}
    };
}

macro_rules! publisher_methods {
    ($with:ident!($what:ident)) => {
        $with! { $what: EventPublisher named of_events {
            fn capabilities(&self) -> PublisherCapabilities;
            fn has_subscribers(&self, topic: &EventType) -> Option<bool>;
            [Publish]
            async fn publish<'a>(&'a self, event: Event) -> Result<()>;
            [PublishBatch, batch(events)]
            async fn publish_batch<'a>(&'a self, events: Vec<Event>) -> Result<BatchOutcome<()>>;
            [Subscribe, subscribe()]
            async fn subscribe<'a>(&'a self, subscription: Subscription) -> Result<Subscriber>;
            [EventsPing]
            async fn ping<'a>(&'a self) -> Result<()>;
            [EventsDisconnect]
            async fn disconnect<'a>(&'a self) -> Result<()>;
        }}
    };
}

macro_rules! search_methods {
    ($with:ident!($what:ident)) => {
        $with! { $what: SearchIndex named of_search {
            fn capabilities(&self) -> SearchCapabilities;
            [Index, batch(batch.documents)]
            async fn index<'a>(&'a self, batch: IndexBatch) -> Result<BatchOutcome<Indexed>>;
            [Delete]
            async fn delete<'a>(&'a self, deletion: Deletion) -> Result<u64>;
            [Search]
            async fn search<'a>(&'a self, query: SearchQuery) -> Result<SearchResults>;
            [Refresh]
            async fn refresh<'a>(&'a self) -> Result<()>;
            [SearchDisconnect]
            async fn disconnect<'a>(&'a self) -> Result<()>;
            [SearchEraseCustomer]
            async fn erase_customer<'a, 'b, 'c>(
                &'a self,
                tenant: &'b TenantId,
                customer: &'c CustomerId
            ) -> Result<u64>;
            [Rebuild]
            async fn rebuild<'a>(&'a self, step: RebuildStep) -> Result<RebuildStatus>;
            [SearchPing]
            async fn ping<'a>(&'a self) -> Result<()>;
        }}
    };
}

macro_rules! cache_methods {
    ($with:ident!($what:ident)) => {
        $with! { $what: CacheStore named of_cache {
            fn capabilities(&self) -> CacheCapabilities;
            fn flights(&self) -> &Flights;
            fn limiter(&self) -> Option<Arc<dyn RateLimiter>>;
            fn leases(&self) -> Option<Arc<dyn FetchLeases>>;
            fn breaker(&self, config: BreakerConfig) -> Result<Option<Arc<dyn CircuitBreaker>>>;
            fn peek(&self, key: &CacheKey) -> Option<Bytes>;
            fn peek_fetched(&self, key: &CacheKey) -> Option<Bytes>;
            [CacheGet]
            async fn get<'a, 'b>(&'a self, key: &'b CacheKey) -> Result<Option<Bytes>>;
            [CacheSet]
            async fn set<'a, 'b>(&'a self, key: &'b CacheKey, value: Bytes, options: SetOptions) -> Result<bool>;
            [CacheDel]
            async fn del<'a, 'b>(&'a self, key: &'b CacheKey) -> Result<bool>;
            [CacheGetMany]
            async fn get_many<'a, 'b>(&'a self, keys: &'b [CacheKey]) -> Result<Vec<Option<Bytes>>>;
            [CacheSetMany]
            async fn set_many<'a>(
                &'a self,
                entries: Vec<(CacheKey, Bytes)>,
                options: SetOptions
            ) -> Result<Vec<bool>>;
            [CacheDelMany]
            async fn del_many<'a, 'b>(&'a self, keys: &'b [CacheKey]) -> Result<u64>;
            [CacheEraseCustomer]
            async fn erase_customer<'a, 'b, 'c>(
                &'a self,
                tenant: &'b TenantId,
                customer: &'c CustomerId
            ) -> Result<u64>;
            [CachePing]
            async fn ping<'a>(&'a self) -> Result<()>;
            [CacheDisconnect]
            async fn disconnect<'a>(&'a self) -> Result<()>;
        }}
    };
}

macro_rules! limiter_methods {
    ($with:ident!($what:ident)) => {
        $with! { $what: RateLimiter named of_nameless {
            [Acquire]
            async fn acquire<'a, 'b>(&'a self, key: &'b LimitKey, limit: RateLimit) -> Result<RateDecision>;
        }}
    };
}

macro_rules! breaker_methods {
    ($with:ident!($what:ident)) => {
        $with! { $what: CircuitBreaker named of_nameless {
            [Admit]
            async fn admit<'a, 'b>(&'a self, breaker: &'b str) -> Result<Admission>;
            [Report]
            async fn report<'a, 'b>(&'a self, breaker: &'b str, admission: u64, result: CallResult) -> Result<()>;
            [BreakerState]
            async fn state<'a, 'b>(&'a self, breaker: &'b str) -> Result<BreakerState>;
        }}
    };
}

/// Hands the methods of every contract to a macro, one contract after the other.
macro_rules! every_contract {
    ($with:ident!($what:ident)) => {
        $crate::methods::store_methods!($with!($what));
        $crate::methods::outbox_methods!($with!($what));
        $crate::methods::publisher_methods!($with!($what));
        $crate::methods::search_methods!($with!($what));
        $crate::methods::cache_methods!($with!($what));
        $crate::methods::limiter_methods!($with!($what));
        $crate::methods::breaker_methods!($with!($what));
    };
}

pub(crate) use {
    breaker_methods, cache_methods, every_contract, limiter_methods, outbox_methods, publisher_methods,
    search_methods, store_methods,
};

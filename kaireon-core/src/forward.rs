//! Every contract, for `Arc<T>` and `Box<T>`: an `Arc<dyn InteractionStore>` is an `InteractionStore`.
//!
//! The methods are written in the form that `#[async_trait]` gives them, so that the boxed future of the inner
//! call is handed on as it is. An `async fn` here would put that box into a second one, on every call.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::breaker::{Admission, BreakerConfig, BreakerState, CallResult, CircuitBreaker};
use crate::cache::{CacheCapabilities, CacheKey, CacheStore, FetchLeases, Flights, SetOptions};
use crate::event::{Event, EventType};
use crate::limiter::{LimitKey, RateDecision, RateLimit, RateLimiter};
use crate::methods::every_contract;
use crate::outbox::{
    DeadLetter, DeadLetterId, DeadLetterQuery, FetchFrom, HostEvent, Lane, LaneSet, LaneStatus, Lease,
    LeaseRequest, Leased, Outbox, OutboxEntry, Settlement, TenantBacklog,
};
use crate::publisher::{EventPublisher, PublisherCapabilities, Subscriber, Subscription};
use crate::search::{
    Deletion, IndexBatch, Indexed, RebuildStatus, RebuildStep, SearchCapabilities, SearchIndex, SearchQuery,
    SearchResults,
};
use crate::settings::{
    Setting, SettingEntry, SettingVersion, SettingWrite, SettingsCapabilities, SettingsQuery, SettingsStore,
    Swapped, TrailQuery,
};
use crate::signals::Signals;
use crate::store::{
    Accepted, BatchOutcome, Erasure, ErasureReceipt, FenceRequest, FenceState, HistoryCursor, HistoryQuery,
    InteractionStore, Page, Purge, PurgeReceipt, RecordBatch, Recorded, ScanCursor, ScanQuery,
    StoreCapabilities, SummaryQuery, Tombstone, TombstoneQuery,
};
use crate::{CustomerId, Decision, Interaction, RecommendationId, Result, Summary, TenantId};

/// Implements a contract for a pointer to what implements it.
macro_rules! forward {
    ($pointer:ident: $contract:ident named $_name:ident {
        $(fn $now:ident(&self $(, $now_arg:ident: $now_type:ty)*) -> $now_output:ty;)*
        $([$($_operation:tt)*] async fn $later:ident<$($life:lifetime),+>(
            &$_self_life:lifetime self $(, $later_arg:ident: $later_type:ty)*
        ) -> $later_output:ty;)*
    }) => {
        #[deny(unconditional_recursion)]
        #[deny(clippy::missing_trait_methods)]
        impl<T: $contract + ?Sized> $contract for $pointer<T> {
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

every_contract!(forward!(Arc));
every_contract!(forward!(Box));

/// The methods of a settings store, which no wrapper stands before.
macro_rules! settings_methods {
    ($pointer:ident) => {
        forward!($pointer: SettingsStore named settings {
            fn capabilities(&self) -> SettingsCapabilities;
            [] async fn setting<'a, 'b>(&'a self, tenant: &'b TenantId) -> Result<Option<Setting>>;
            [] async fn swap<'a>(&'a self, write: SettingWrite) -> Result<Swapped>;
            [] async fn settings<'a>(
                &'a self,
                query: SettingsQuery
            ) -> Result<Page<(TenantId, Setting), TenantId>>;
            [] async fn trail<'a>(&'a self, query: TrailQuery) -> Result<Page<SettingEntry, SettingVersion>>;
            [] async fn changes<'a>(&'a self) -> Result<u64>;
            [] async fn disconnect<'a>(&'a self) -> Result<()>;
            [] async fn ping<'a>(&'a self) -> Result<()>;
        });
    };
}

settings_methods!(Arc);
settings_methods!(Box);

#[cfg(test)]
mod tests;

//! The contracts, for wrappers that only do something around each call.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::name::{self, NameOf};
use super::operation::Operation;
use super::{ConcurrencyLimit, Timeout, Trace};
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
use crate::signals::Signals;
use crate::store::{
    Accepted, BatchOutcome, Erasure, ErasureReceipt, FenceRequest, FenceState, HistoryCursor, HistoryQuery,
    InteractionStore, Page, Purge, PurgeReceipt, RecordBatch, Recorded, ScanCursor, ScanQuery,
    StoreCapabilities, SummaryQuery, Tombstone, TombstoneQuery,
};
use crate::{CustomerId, Decision, Interaction, RecommendationId, Result, Summary, TenantId};

/// What a wrapper does around the calls of what it wraps.
pub(super) trait Guard: Send + Sync {
    /// What is wrapped.
    type Inner: Send + Sync;

    /// What is wrapped.
    fn inner(&self) -> &Self::Inner;

    /// The outbox of a wrapped store, wrapped in the same way.
    fn around_outbox(&self, outbox: Arc<dyn Outbox>, name: NameOf<Self::Inner>) -> Arc<dyn Outbox>;

    /// A call.
    fn around<R: Send>(
        &self,
        operation: Operation,
        name: NameOf<Self::Inner>,
        call: BoxFuture<'_, Result<R>>,
    ) -> impl Future<Output = Result<R>> + Send;

    /// A call of so many items, each of which has an outcome of its own.
    fn around_batch<R: Send>(
        &self,
        operation: Operation,
        name: NameOf<Self::Inner>,
        _items: usize,
        call: BoxFuture<'_, Result<BatchOutcome<R>>>,
    ) -> impl Future<Output = Result<BatchOutcome<R>>> + Send {
        self.around(operation, name, call)
    }

    /// A call that is meant to wait, for `at_most` so long.
    fn around_wait<R: Send>(
        &self,
        operation: Operation,
        name: NameOf<Self::Inner>,
        _at_most: Duration,
        call: BoxFuture<'_, Result<R>>,
    ) -> impl Future<Output = Result<R>> + Send {
        self.around(operation, name, call)
    }

    /// A call that sets up a subscription.
    fn around_subscribe(
        &self,
        operation: Operation,
        name: NameOf<Self::Inner>,
        call: BoxFuture<'_, Result<Subscriber>>,
    ) -> impl Future<Output = Result<Subscriber>> + Send {
        self.around(operation, name, call)
    }
}

/// Implements a contract for a [`Guard`]: what answers at once passes through, every other call goes around.
macro_rules! guarded {
    ($wrapper:ident: $contract:ident named $name:ident {
        $(fn $now:ident(&self $(, $now_arg:ident: $now_type:ty)*) -> $now_output:ty;)*
        $([$operation:ident $(, $form:ident($($extra:expr)?))?] async fn $later:ident<$($life:lifetime),+>(
            &$_self_life:lifetime self $(, $later_arg:ident: $later_type:ty)*
        ) -> $later_output:ty;)*
    }) => {
        #[deny(clippy::missing_trait_methods)]
        impl<T: $contract> $contract for $wrapper<T> {
            $(
                fn $now(&self $(, $now_arg: $now_type)*) -> $now_output {
                    guarded!(@now self, $name, $now($($now_arg),*))
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
                    Box::pin(guarded!(
                        @later self, $name, $operation, $later($($later_arg),*) $(, $form($($extra)?))?
                    ))
                }
            )*
        }
    };
    (@now $self:ident, $name:ident, outbox()) => {
        Some($self.around_outbox($self.inner().outbox()?, name::$name))
    };
    (@now $self:ident, $name:ident, $method:ident($($arg:ident),*)) => {
        $self.inner().$method($($arg),*)
    };
    (@later $self:ident, $name:ident, $operation:ident, $method:ident($($arg:ident),*)) => {
        $self.around(Operation::$operation, name::$name, $self.inner().$method($($arg),*))
    };
    (@later $self:ident, $name:ident, $operation:ident, $method:ident($($arg:ident),*), batch($items:expr)) => {{
        let items = $items.len();
        $self.around_batch(Operation::$operation, name::$name, items, $self.inner().$method($($arg),*))
    }};
    (@later $self:ident, $name:ident, $operation:ident, $method:ident($($arg:ident),*), wait($at_most:expr)) => {
        $self.around_wait(Operation::$operation, name::$name, $at_most, $self.inner().$method($($arg),*))
    };
    (@later $self:ident, $name:ident, $operation:ident, $method:ident($($arg:ident),*), subscribe()) => {
        $self.around_subscribe(Operation::$operation, name::$name, $self.inner().$method($($arg),*))
    };
}

every_contract!(guarded!(ConcurrencyLimit));
every_contract!(guarded!(Timeout));
every_contract!(guarded!(Trace));

//! What the wrappers know of each operation: its name, whether it changes anything, whether it may be repeated.

use crate::Effect;

/// Whether an operation may be sent again when it is not known whether it was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    /// It may: it reads, or applying it twice is the same as applying it once.
    Always,
    /// It may not, only when it is certain that nothing was applied.
    IfNotApplied,
}

/// Under which of OpenTelemetry's families an operation is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// `db.client.*`
    Database,
    /// `messaging.client.*`
    Messaging,
}

/// Every operation of every contract that returns a future.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    RecordEvent,
    RecordEvents,
    RecordDecision,
    RecordDecisions,
    GetSummaries,
    History,
    Scan,
    ScanDecisions,
    Decision,
    EraseCustomer,
    Tombstones,
    InstallTombstones,
    PurgeBefore,
    RaiseFence,
    Fence,
    StorePing,
    StoreDisconnect,
    Lanes,
    SetLanes,
    ChangeLanes,
    Append,
    Lease,
    Release,
    Fetch,
    Settle,
    DeadLetters,
    Replay,
    Status,
    Backlog,
    Wait,
    Publish,
    PublishBatch,
    Subscribe,
    EventsPing,
    EventsDisconnect,
    Index,
    Delete,
    Search,
    Refresh,
    SearchEraseCustomer,
    Rebuild,
    SearchPing,
    SearchDisconnect,
    CacheGet,
    CacheSet,
    /// `set` under `IfAbsent`.
    CacheSetIfAbsent,
    CacheDel,
    CacheGetMany,
    CacheSetMany,
    /// `set_many` under `IfAbsent`.
    CacheSetManyIfAbsent,
    CacheDelMany,
    CacheEraseCustomer,
    CachePing,
    CacheDisconnect,
    Acquire,
    Admit,
    Report,
    /// `CircuitBreaker::state`; the last, which [`COUNT`](Operation::COUNT) relies on.
    BreakerState,
}

impl Operation {
    /// How many there are.
    pub(super) const COUNT: usize = Self::BreakerState as usize + 1;

    /// The method's name in its contract.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::RecordEvent => "record_event",
            Self::RecordEvents => "record_events",
            Self::RecordDecision => "record_decision",
            Self::RecordDecisions => "record_decisions",
            Self::GetSummaries => "get_summaries",
            Self::History => "history",
            Self::Scan => "scan",
            Self::ScanDecisions => "scan_decisions",
            Self::Decision => "decision",
            Self::EraseCustomer | Self::SearchEraseCustomer | Self::CacheEraseCustomer => "erase_customer",
            Self::Tombstones => "tombstones",
            Self::InstallTombstones => "install_tombstones",
            Self::PurgeBefore => "purge_before",
            Self::RaiseFence => "raise_fence",
            Self::Fence => "fence",
            Self::StorePing | Self::EventsPing | Self::SearchPing | Self::CachePing => "ping",
            Self::StoreDisconnect
            | Self::EventsDisconnect
            | Self::SearchDisconnect
            | Self::CacheDisconnect => "disconnect",
            Self::Lanes => "lanes",
            Self::SetLanes => "set_lanes",
            Self::ChangeLanes => "change_lanes",
            Self::Append => "append",
            Self::Lease => "lease",
            Self::Release => "release",
            Self::Fetch => "fetch",
            Self::Settle => "settle",
            Self::DeadLetters => "dead_letters",
            Self::Replay => "replay",
            Self::Status => "status",
            Self::Backlog => "backlog",
            Self::Wait => "wait",
            Self::Publish => "publish",
            Self::PublishBatch => "publish_batch",
            Self::Subscribe => "subscribe",
            Self::Index => "index",
            Self::Delete => "delete",
            Self::Search => "search",
            Self::Refresh => "refresh",
            Self::Rebuild => "rebuild",
            Self::CacheGet => "get",
            Self::CacheSet | Self::CacheSetIfAbsent => "set",
            Self::CacheDel => "del",
            Self::CacheGetMany => "get_many",
            Self::CacheSetMany | Self::CacheSetManyIfAbsent => "set_many",
            Self::CacheDelMany => "del_many",
            Self::Acquire => "acquire",
            Self::Admit => "admit",
            Self::Report => "report",
            Self::BreakerState => "state",
        }
    }

    /// What is known of the effect when no answer came: a read has none.
    pub(super) const fn effect_without_answer(self) -> Effect {
        match self {
            Self::GetSummaries
            | Self::History
            | Self::Scan
            | Self::ScanDecisions
            | Self::Decision
            | Self::Tombstones
            | Self::Fence
            | Self::StorePing
            | Self::Lanes
            | Self::Fetch
            | Self::DeadLetters
            | Self::Status
            | Self::Backlog
            | Self::Wait
            | Self::Subscribe
            | Self::EventsPing
            | Self::Search
            | Self::SearchPing
            | Self::CacheGet
            | Self::CacheGetMany
            | Self::CachePing
            | Self::BreakerState => Effect::NotApplied,
            Self::RecordEvent
            | Self::RecordEvents
            | Self::RecordDecision
            | Self::RecordDecisions
            | Self::EraseCustomer
            | Self::InstallTombstones
            | Self::PurgeBefore
            | Self::RaiseFence
            | Self::StoreDisconnect
            | Self::SetLanes
            | Self::ChangeLanes
            | Self::Append
            | Self::Lease
            | Self::Release
            | Self::Settle
            | Self::Replay
            | Self::Publish
            | Self::PublishBatch
            | Self::EventsDisconnect
            | Self::Index
            | Self::Delete
            | Self::Refresh
            | Self::SearchEraseCustomer
            | Self::Rebuild
            | Self::SearchDisconnect
            | Self::CacheSet
            | Self::CacheSetIfAbsent
            | Self::CacheDel
            | Self::CacheSetMany
            | Self::CacheSetManyIfAbsent
            | Self::CacheDelMany
            | Self::CacheEraseCustomer
            | Self::CacheDisconnect
            | Self::Acquire
            | Self::Admit
            | Self::Report => Effect::Unknown,
        }
    }

    /// Whether it may be sent again; the reasons are in the table of [`Retry`](super::Retry).
    pub(super) const fn repeat(self) -> Repeat {
        match self {
            Self::Append
            | Self::Replay
            | Self::CacheSetIfAbsent
            | Self::CacheSetManyIfAbsent
            | Self::Acquire
            | Self::Admit
            | Self::Report => Repeat::IfNotApplied,
            Self::RecordEvent
            | Self::RecordEvents
            | Self::RecordDecision
            | Self::RecordDecisions
            | Self::GetSummaries
            | Self::History
            | Self::Scan
            | Self::ScanDecisions
            | Self::Decision
            | Self::EraseCustomer
            | Self::Tombstones
            | Self::InstallTombstones
            | Self::PurgeBefore
            | Self::RaiseFence
            | Self::Fence
            | Self::StorePing
            | Self::StoreDisconnect
            | Self::Lanes
            | Self::SetLanes
            | Self::ChangeLanes
            | Self::Lease
            | Self::Release
            | Self::Fetch
            | Self::Settle
            | Self::DeadLetters
            | Self::Status
            | Self::Backlog
            | Self::Wait
            | Self::Publish
            | Self::PublishBatch
            | Self::Subscribe
            | Self::EventsPing
            | Self::EventsDisconnect
            | Self::Index
            | Self::Delete
            | Self::Search
            | Self::Refresh
            | Self::SearchEraseCustomer
            | Self::Rebuild
            | Self::SearchPing
            | Self::SearchDisconnect
            | Self::CacheGet
            | Self::CacheSet
            | Self::CacheDel
            | Self::CacheGetMany
            | Self::CacheSetMany
            | Self::CacheDelMany
            | Self::CacheEraseCustomer
            | Self::CachePing
            | Self::CacheDisconnect
            | Self::BreakerState => Repeat::Always,
        }
    }

    /// Under which family it is measured.
    pub(super) const fn family(self) -> Family {
        match self {
            Self::Publish
            | Self::PublishBatch
            | Self::Subscribe
            | Self::EventsPing
            | Self::EventsDisconnect => Family::Messaging,
            _ => Family::Database,
        }
    }
}

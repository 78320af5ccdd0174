//! What a lane is used for, and by whom.

use kaireon_core::EventType;

/// How a stream uses the lane of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LaneUse {
    pub(crate) policy: LanePolicy,
    pub(crate) reach: Reach,
    pub(crate) writers: LaneWriters,
}

/// When recorded events are written into the `publish` lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LanePolicy {
    /// Never: the stream is disabled. What an earlier run left stays for the next one that has a stream.
    Never,
    /// Always: subscribers may be elsewhere.
    Always,
    /// While somebody in this process subscribes.
    WhileSubscribed,
}

/// Who may use a store's outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// This process alone.
    Process,
    /// Other processes as well, with configurations of their own.
    Shared,
}

/// Whose records are written into the lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LaneWriters {
    /// Those of tenants that follow the store's lanes: none while the lane is off.
    ByDefault,
    /// Also those of tenants whose fence names their lanes, which go on whether the lane is on or off. Nobody takes theirs
    /// for left over by an earlier run once what that left is gone.
    FencedToo,
}

/// What a subscriber is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wants {
    /// What is recorded in the store.
    Recorded,
    /// Events of the host's own alone, which may be published in this process.
    OwnEvents,
}

impl Wants {
    pub(crate) fn of(topics: &[EventType]) -> Self {
        let recorded = [EventType::interaction_recorded(), EventType::decision_made()];
        match topics.iter().any(|topic| recorded.contains(topic)) {
            true => Self::Recorded,
            false => Self::OwnEvents,
        }
    }
}

//! Spans and metrics, over an outbox.

use std::time::Duration;

use async_trait::async_trait;

use super::Trace;
use crate::Result;
use crate::outbox::{
    DeadLetter, DeadLetterId, DeadLetterQuery, FetchFrom, HostEvent, Lane, LaneSet, LaneStatus, Lease,
    LeaseRequest, Leased, Outbox, OutboxEntry, Settlement,
};
use crate::store::Page;
use crate::wrap::name;
use crate::wrap::operation::Operation;

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<O: Outbox> Outbox for Trace<O> {
    async fn lanes(&self) -> Result<LaneSet> {
        self.traced(Operation::Lanes, name::of_nameless, self.inner.lanes())
            .await
    }

    async fn set_lanes(&self, lanes: LaneSet) -> Result<()> {
        self.traced(
            Operation::SetLanes,
            name::of_nameless,
            self.inner.set_lanes(lanes),
        )
        .await
    }

    async fn append(&self, events: Vec<HostEvent>) -> Result<()> {
        self.traced(Operation::Append, name::of_nameless, self.inner.append(events))
            .await
    }

    async fn lease(&self, request: LeaseRequest) -> Result<Leased> {
        self.traced(Operation::Lease, name::of_nameless, self.inner.lease(request))
            .await
    }

    async fn release(&self, leases: Vec<Lease>) -> Result<()> {
        self.traced(Operation::Release, name::of_nameless, self.inner.release(leases))
            .await
    }

    async fn fetch(&self, from: Vec<FetchFrom>, limit: u32) -> Result<Vec<OutboxEntry>> {
        self.traced(Operation::Fetch, name::of_nameless, self.inner.fetch(from, limit))
            .await
    }

    async fn settle(&self, leases: &[Lease], settlements: Vec<Settlement>) -> Result<()> {
        self.traced(
            Operation::Settle,
            name::of_nameless,
            self.inner.settle(leases, settlements),
        )
        .await
    }

    async fn dead_letters(&self, query: DeadLetterQuery) -> Result<Page<DeadLetter, DeadLetterId>> {
        self.traced(
            Operation::DeadLetters,
            name::of_nameless,
            self.inner.dead_letters(query),
        )
        .await
    }

    async fn replay(&self, lane: Lane, ids: Vec<DeadLetterId>) -> Result<u64> {
        self.traced(Operation::Replay, name::of_nameless, self.inner.replay(lane, ids))
            .await
    }

    async fn status(&self, lane: Lane) -> Result<LaneStatus> {
        self.traced(Operation::Status, name::of_nameless, self.inner.status(lane))
            .await
    }

    async fn wait(&self, lane: Lane, seen: u64, at_most: Duration) -> Result<u64> {
        self.traced(
            Operation::Wait,
            name::of_nameless,
            self.inner.wait(lane, seen, at_most),
        )
        .await
    }
}

//! Trying again, over an outbox.

use std::time::Duration;

use async_trait::async_trait;

use super::Retry;
use crate::outbox::{
    DeadLetter, DeadLetterId, DeadLetterQuery, FetchFrom, HostEvent, Lane, LaneSet, LaneStatus, Lease,
    LeaseRequest, Leased, Outbox, OutboxEntry, Settlement, TenantBacklog,
};
use crate::store::Page;
use crate::wrap::operation::Operation;
use crate::{Result, TenantId};

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<O: Outbox> Outbox for Retry<O> {
    async fn lanes(&self) -> Result<LaneSet> {
        self.repeated(Operation::Lanes, || self.inner.lanes()).await
    }

    async fn set_lanes(&self, lanes: LaneSet) -> Result<()> {
        self.repeated(Operation::SetLanes, || self.inner.set_lanes(lanes))
            .await
    }

    async fn change_lanes(&self, on: LaneSet, off: LaneSet) -> Result<LaneSet> {
        self.repeated(Operation::ChangeLanes, || self.inner.change_lanes(on, off))
            .await
    }

    async fn append(&self, events: Vec<HostEvent>) -> Result<()> {
        self.repeated(Operation::Append, || self.inner.append(events.clone()))
            .await
    }

    async fn lease(&self, request: LeaseRequest) -> Result<Leased> {
        self.repeated(Operation::Lease, || self.inner.lease(request.clone()))
            .await
    }

    async fn release(&self, leases: Vec<Lease>) -> Result<()> {
        self.repeated(Operation::Release, || self.inner.release(leases.clone()))
            .await
    }

    async fn fetch(&self, from: Vec<FetchFrom>, limit: u32) -> Result<Vec<OutboxEntry>> {
        self.repeated(Operation::Fetch, || self.inner.fetch(from.clone(), limit))
            .await
    }

    async fn settle(&self, leases: &[Lease], settlements: Vec<Settlement>) -> Result<()> {
        self.repeated(Operation::Settle, || {
            self.inner.settle(leases, settlements.clone())
        })
        .await
    }

    async fn dead_letters(&self, query: DeadLetterQuery) -> Result<Page<DeadLetter, DeadLetterId>> {
        self.repeated(Operation::DeadLetters, || self.inner.dead_letters(query.clone()))
            .await
    }

    async fn replay(&self, lane: Lane, ids: Vec<DeadLetterId>) -> Result<u64> {
        self.repeated(Operation::Replay, || self.inner.replay(lane, ids.clone()))
            .await
    }

    async fn status(&self, lane: Lane) -> Result<LaneStatus> {
        self.repeated(Operation::Status, || self.inner.status(lane)).await
    }

    async fn backlog(&self, lane: Lane, tenant: &TenantId) -> Result<TenantBacklog> {
        self.repeated(Operation::Backlog, || self.inner.backlog(lane, tenant))
            .await
    }

    async fn wait(&self, lane: Lane, seen: u64, at_most: Duration) -> Result<u64> {
        self.inner.wait(lane, seen, at_most).await
    }
}

//! An outbox with faults.

use std::time::Duration;

use async_trait::async_trait;
use kaireon_core::outbox::{
    DeadLetter, DeadLetterId, DeadLetterQuery, FetchFrom, HostEvent, Lane, LaneSet, LaneStatus, Lease,
    LeaseRequest, Leased, OutboxEntry, Settlement, TenantBacklog,
};
use kaireon_core::store::Page;
use kaireon_core::{Outbox, Result, TenantId};

use super::Faulty;

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: Outbox> Outbox for Faulty<S> {
    async fn lanes(&self) -> Result<LaneSet> {
        self.meet("lanes", self.inner.lanes()).await
    }

    async fn set_lanes(&self, lanes: LaneSet) -> Result<()> {
        self.meet("set_lanes", self.inner.set_lanes(lanes)).await
    }

    async fn change_lanes(&self, on: LaneSet, off: LaneSet) -> Result<LaneSet> {
        self.meet("change_lanes", self.inner.change_lanes(on, off)).await
    }

    async fn append(&self, events: Vec<HostEvent>) -> Result<()> {
        self.meet("append", self.inner.append(events)).await
    }

    async fn lease(&self, request: LeaseRequest) -> Result<Leased> {
        self.meet("lease", self.inner.lease(request)).await
    }

    async fn release(&self, leases: Vec<Lease>) -> Result<()> {
        self.meet("release", self.inner.release(leases)).await
    }

    async fn fetch(&self, from: Vec<FetchFrom>, limit: u32) -> Result<Vec<OutboxEntry>> {
        self.meet("fetch", self.inner.fetch(from, limit)).await
    }

    async fn settle(&self, leases: &[Lease], settlements: Vec<Settlement>) -> Result<()> {
        self.meet("settle", self.inner.settle(leases, settlements)).await
    }

    async fn dead_letters(&self, query: DeadLetterQuery) -> Result<Page<DeadLetter, DeadLetterId>> {
        self.meet("dead_letters", self.inner.dead_letters(query)).await
    }

    async fn replay(&self, lane: Lane, ids: Vec<DeadLetterId>) -> Result<u64> {
        self.meet("replay", self.inner.replay(lane, ids)).await
    }

    async fn status(&self, lane: Lane) -> Result<LaneStatus> {
        self.meet("status", self.inner.status(lane)).await
    }

    async fn backlog(&self, lane: Lane, tenant: &TenantId) -> Result<TenantBacklog> {
        self.meet("backlog", self.inner.backlog(lane, tenant)).await
    }

    async fn wait(&self, lane: Lane, seen: u64, at_most: Duration) -> Result<u64> {
        self.meet("wait", self.inner.wait(lane, seen, at_most)).await
    }
}

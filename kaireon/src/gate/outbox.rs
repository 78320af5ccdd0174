//! The gate in front of the store's outbox.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kaireon_core::outbox::{
    DeadLetter, DeadLetterId, DeadLetterQuery, FetchFrom, HostEvent, Lane, LaneSet, LaneStatus, Lease,
    LeaseRequest, Leased, OutboxEntry, Settlement, TenantBacklog,
};
use kaireon_core::store::Page;
use kaireon_core::{Error, Outbox, Result, TenantId};

use super::Gate;

/// Whether a host may append events of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Appends {
    /// It may: a relay delivers them.
    Accepted,
    /// It may not: the stream is disabled, and they would queue up for ever.
    Refused,
}

/// An outbox behind the gate of its store.
#[derive(Debug)]
pub(crate) struct GatedOutbox {
    gate: Arc<Gate>,
    appends: Appends,
    inner: Arc<dyn Outbox>,
}

impl GatedOutbox {
    pub(crate) fn new(gate: Arc<Gate>, appends: Appends, inner: Arc<dyn Outbox>) -> Self {
        Self { gate, appends, inner }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Outbox for GatedOutbox {
    async fn lanes(&self) -> Result<LaneSet> {
        let _pass = self.gate.enter("lanes")?;
        self.inner.lanes().await
    }

    async fn set_lanes(&self, lanes: LaneSet) -> Result<()> {
        let _pass = self.gate.enter("set_lanes")?;
        self.inner.set_lanes(lanes).await
    }

    async fn change_lanes(&self, on: LaneSet, off: LaneSet) -> Result<LaneSet> {
        let _pass = self.gate.enter("change_lanes")?;
        self.inner.change_lanes(on, off).await
    }

    async fn append(&self, events: Vec<HostEvent>) -> Result<()> {
        let _pass = self.gate.enter("append")?;
        if self.appends == Appends::Refused {
            return Err(Error::unsupported("disabled", "append"));
        }
        self.inner.append(events).await
    }

    async fn lease(&self, request: LeaseRequest) -> Result<Leased> {
        let _pass = self.gate.enter("lease")?;
        self.inner.lease(request).await
    }

    async fn release(&self, leases: Vec<Lease>) -> Result<()> {
        let _pass = self.gate.enter("release")?;
        self.inner.release(leases).await
    }

    async fn fetch(&self, from: Vec<FetchFrom>, limit: u32) -> Result<Vec<OutboxEntry>> {
        let _pass = self.gate.enter("fetch")?;
        self.inner.fetch(from, limit).await
    }

    async fn settle(&self, leases: &[Lease], settlements: Vec<Settlement>) -> Result<()> {
        let _pass = self.gate.enter("settle")?;
        self.inner.settle(leases, settlements).await
    }

    async fn dead_letters(&self, query: DeadLetterQuery) -> Result<Page<DeadLetter, DeadLetterId>> {
        let _pass = self.gate.enter("dead_letters")?;
        self.inner.dead_letters(query).await
    }

    async fn replay(&self, lane: Lane, ids: Vec<DeadLetterId>) -> Result<u64> {
        let _pass = self.gate.enter("replay")?;
        self.inner.replay(lane, ids).await
    }

    async fn status(&self, lane: Lane) -> Result<LaneStatus> {
        let _pass = self.gate.enter("status")?;
        self.inner.status(lane).await
    }

    async fn backlog(&self, lane: Lane, tenant: &TenantId) -> Result<TenantBacklog> {
        let _pass = self.gate.enter("backlog")?;
        self.inner.backlog(lane, tenant).await
    }

    async fn wait(&self, lane: Lane, seen: u64, at_most: Duration) -> Result<u64> {
        // Not counted as in: a wait changes nothing, and a shutdown must not wait for it.
        drop(self.gate.enter("wait")?);
        self.inner.wait(lane, seen, at_most).await
    }
}

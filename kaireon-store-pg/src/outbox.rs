//! The outbox.
//!
//! Entries are rows; a row that is there is undelivered, and settling deletes it. What is hard about a queue in
//! PostgreSQL is finding the next rows without losing those that commit late and without walking over those that were
//! deleted, which stay in place for as long as any transaction is open. [`cursor`] says how that is done; decision
//! 0006 says what was measured.

mod append;
mod cursor;
mod destination;
mod fetch;
mod lanes;
mod lease;
mod letters;
mod pace;
mod settle;
mod status;
mod wake;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kaireon_core::outbox::{
    DeadLetter, DeadLetterId, DeadLetterQuery, FetchFrom, HostEvent, Lane, LaneSet, LaneStatus, Lease,
    LeaseRequest, Leased, OutboxEntry, Settlement, TenantBacklog,
};
use kaireon_core::store::Page;
use kaireon_core::{Outbox, Result, TenantId};

pub(crate) use lanes::Lanes;

use crate::error::named;
use crate::handle::Handle;

/// The outbox of a handle.
pub(crate) fn of(handle: &Arc<Handle>) -> Arc<dyn Outbox> {
    Arc::new(PgOutbox(Arc::clone(handle)))
}

/// The outbox of a PostgreSQL store; it shares the store's handle.
#[derive(Clone, Debug)]
struct PgOutbox(Arc<Handle>);

impl PgOutbox {
    /// The lanes of a handle that was not disconnected.
    fn lanes(&self, operation: &'static str) -> Result<&Lanes> {
        self.0.check(operation)?;
        Ok(&self.0.lanes)
    }
}

#[async_trait]
impl Outbox for PgOutbox {
    async fn lanes(&self) -> Result<LaneSet> {
        self.lanes("lanes")?.in_force().await.map_err(named("lanes"))
    }

    async fn set_lanes(&self, lanes: LaneSet) -> Result<()> {
        self.lanes("set_lanes")?
            .set_in_force(lanes)
            .await
            .map_err(named("set_lanes"))
    }

    async fn change_lanes(&self, on: LaneSet, off: LaneSet) -> Result<LaneSet> {
        self.lanes("change_lanes")?
            .change_in_force(on, off)
            .await
            .map_err(named("change_lanes"))
    }

    async fn append(&self, events: Vec<HostEvent>) -> Result<()> {
        self.lanes("append")?
            .append_all(events)
            .await
            .map_err(named("append"))
    }

    async fn lease(&self, request: LeaseRequest) -> Result<Leased> {
        self.lanes("lease")?
            .lease_ranges(request)
            .await
            .map_err(named("lease"))
    }

    async fn release(&self, leases: Vec<Lease>) -> Result<()> {
        self.lanes("release")?
            .release_ranges(leases)
            .await
            .map_err(named("release"))
    }

    async fn fetch(&self, from: Vec<FetchFrom>, limit: u32) -> Result<Vec<OutboxEntry>> {
        self.lanes("fetch")?
            .fetch_from(from, limit)
            .await
            .map_err(named("fetch"))
    }

    async fn settle(&self, leases: &[Lease], settlements: Vec<Settlement>) -> Result<()> {
        self.lanes("settle")?
            .settle_all(leases, settlements)
            .await
            .map_err(named("settle"))
    }

    async fn dead_letters(&self, query: DeadLetterQuery) -> Result<Page<DeadLetter, DeadLetterId>> {
        self.lanes("dead_letters")?
            .list_letters(query)
            .await
            .map_err(named("dead_letters"))
    }

    async fn replay(&self, lane: Lane, ids: Vec<DeadLetterId>) -> Result<u64> {
        self.lanes("replay")?
            .replay_letters(lane, ids)
            .await
            .map_err(named("replay"))
    }

    async fn status(&self, lane: Lane) -> Result<LaneStatus> {
        self.lanes("status")?
            .status_of(lane)
            .await
            .map_err(named("status"))
    }

    async fn backlog(&self, lane: Lane, tenant: &TenantId) -> Result<TenantBacklog> {
        self.lanes("backlog")?
            .backlog_of(lane, tenant)
            .await
            .map_err(named("backlog"))
    }

    async fn wait(&self, lane: Lane, seen: u64, at_most: Duration) -> Result<u64> {
        let count = self.lanes("wait")?.wait_for(lane, seen, at_most).await;
        // Who was woken by a disconnect is told so.
        self.0.check("wait")?;
        Ok(count)
    }
}

//! The outbox.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kaireon_core::outbox::{
    DeadLetter, DeadLetterId, DeadLetterQuery, FetchFrom, HostEvent, Lane, LaneSet, LaneStatus, Lease,
    LeaseRequest, Leased, OutboxEntry, Settlement,
};
use kaireon_core::store::Page;
use kaireon_core::{Outbox, Result};

use crate::error::named;
use crate::read;
use crate::shared::{Shared, lane_index};
use crate::store::{Handle, unexpected};
use crate::writer::{Answer, Op};

/// The outbox of an embedded store; it shares the store's handle.
#[derive(Clone, Debug)]
pub(crate) struct EmbeddedOutbox(Arc<Handle>);

impl EmbeddedOutbox {
    pub(crate) fn new(handle: Arc<Handle>) -> Self {
        Self(handle)
    }
}

#[async_trait]
impl Outbox for EmbeddedOutbox {
    async fn lanes(&self) -> Result<LaneSet> {
        self.0.check("lanes")?;
        Ok(self.0.shared.head.lock().lanes)
    }

    async fn set_lanes(&self, lanes: LaneSet) -> Result<()> {
        self.0.submit("set_lanes", Op::SetLanes(lanes), 1).await.map(drop)
    }

    async fn append(&self, events: Vec<HostEvent>) -> Result<()> {
        let bytes = events
            .iter()
            .map(|event| event.event.envelope().len() + 512)
            .sum();
        self.0.submit("append", Op::Append(events), bytes).await.map(drop)
    }

    async fn lease(&self, request: LeaseRequest) -> Result<Leased> {
        self.0.check("lease")?;
        request.destination.check().map_err(named("lease"))?;
        let now = self.0.shared.config.clock.now();
        Ok(self.0.shared.leases.lock().lease(request, now))
    }

    async fn release(&self, leases: Vec<Lease>) -> Result<()> {
        self.0.check("release")?;
        let mut held = self.0.shared.leases.lock();
        leases.iter().for_each(|lease| held.release(lease));
        Ok(())
    }

    async fn fetch(&self, from: Vec<FetchFrom>, limit: u32) -> Result<Vec<OutboxEntry>> {
        self.0.check("fetch")?;
        {
            let now = self.0.shared.config.clock.now();
            let held = self.0.shared.leases.lock();
            for FetchFrom { lease, .. } in &from {
                held.check(lease, "fetch", now)?;
            }
        }
        // Nothing waits: no need to look.
        let waiting = self.0.shared.head.lock().waiting;
        if from.iter().all(|from| waiting[lane_index(from.lease.lane)] == 0) {
            return Ok(Vec::new());
        }
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let read = move |shared: &Shared| read::fetch(shared, from, limit);
        self.0.blocking("fetch", read).await
    }

    async fn settle(&self, leases: &[Lease], settlements: Vec<Settlement>) -> Result<()> {
        let bytes = settlements.len() * 64;
        let op = Op::Settle {
            leases: leases.to_vec(),
            settlements,
        };
        self.0.submit("settle", op, bytes).await.map(drop)
    }

    async fn dead_letters(&self, query: DeadLetterQuery) -> Result<Page<DeadLetter, DeadLetterId>> {
        query.check().map_err(named("dead_letters"))?;
        let read = move |shared: &Shared| read::dead_letters(&shared.engine()?.view(), query);
        self.0.blocking("dead_letters", read).await
    }

    async fn replay(&self, lane: Lane, ids: Vec<DeadLetterId>) -> Result<u64> {
        let bytes = ids.len() * 64;
        match self.0.submit("replay", Op::Replay { lane, ids }, bytes).await? {
            Answer::Count(count) => Ok(count),
            _ => Err(named("replay")(unexpected())),
        }
    }

    async fn status(&self, lane: Lane) -> Result<LaneStatus> {
        let read = move |shared: &Shared| {
            let head = *shared.head.lock();
            let view = shared.engine()?.view();
            let (waiting, dead) = (head.waiting[lane_index(lane)], head.dead[lane_index(lane)]);
            let now = shared.config.clock.now();
            let (relays, destination) = shared.leases.lock().readers(lane, now);
            let status = LaneStatus::new(waiting, read::oldest(shared, &view, lane)?, dead);
            Ok(status.read_by(relays, destination))
        };
        self.0.blocking("status", read).await
    }

    async fn wait(&self, lane: Lane, seen: u64, at_most: Duration) -> Result<u64> {
        self.0.check("wait")?;
        let mut written = self.0.shared.written[lane_index(lane)].subscribe();
        // An elapsed wait is an answer too: nothing was written.
        let _ = tokio::time::timeout(at_most, written.wait_for(|&written| written != seen)).await;
        // Who was woken by a disconnect is told so.
        self.0.check("wait")?;
        let count = *written.borrow();
        Ok(count)
    }
}

//! An outbox whose settlements fail or wait, and that tells how often it was read.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::outbox::{
    DeadLetter, DeadLetterId, DeadLetterQuery, FetchFrom, HostEvent, Lane, LaneSet, LaneStatus, Lease,
    LeaseRequest, Leased, Outbox, OutboxEntry, Settlement, TenantBacklog,
};
use crate::store::Page;
use crate::{Error, Result, TenantId};

/// What becomes of a look at a lane.
#[derive(Clone, Debug)]
pub(super) enum Standing {
    Told,
    Fails(Error),
    Hangs,
}

#[derive(Debug)]
pub(super) struct Troubled {
    outbox: Arc<dyn Outbox>,
    /// What the next settlements fail with.
    pub(super) failures: Mutex<VecDeque<Error>>,
    /// What requests for leases fail with, while there is something.
    pub(super) refusal: Mutex<Option<Error>>,
    /// What the next of them fail with; `None` is one that is answered.
    pub(super) refusals: Mutex<VecDeque<Option<Error>>>,
    pub(super) standing: Mutex<Standing>,
    pub(super) fetches: watch::Sender<usize>,
    /// How often the sink was asked, and how often it must have been for the first settlement to end.
    pub(super) deliveries: watch::Sender<usize>,
    settles_at: usize,
}

impl Troubled {
    pub(super) fn new(outbox: Arc<dyn Outbox>, settles_at: usize) -> Self {
        Self {
            outbox,
            failures: Mutex::default(),
            refusal: Mutex::default(),
            refusals: Mutex::default(),
            standing: Mutex::new(Standing::Told),
            fetches: watch::Sender::new(0),
            deliveries: watch::Sender::new(0),
            settles_at,
        }
    }
}

#[async_trait]
impl Outbox for Troubled {
    async fn lanes(&self) -> Result<LaneSet> {
        self.outbox.lanes().await
    }

    async fn set_lanes(&self, lanes: LaneSet) -> Result<()> {
        self.outbox.set_lanes(lanes).await
    }

    async fn change_lanes(&self, on: LaneSet, off: LaneSet) -> Result<LaneSet> {
        self.outbox.change_lanes(on, off).await
    }

    async fn append(&self, events: Vec<HostEvent>) -> Result<()> {
        self.outbox.append(events).await
    }

    async fn lease(&self, request: LeaseRequest) -> Result<Leased> {
        let next = self.refusals.lock().pop_front().flatten();
        let refusal = next.or_else(|| self.refusal.lock().clone());
        match refusal {
            Some(error) => Err(error),
            None => self.outbox.lease(request).await,
        }
    }

    async fn release(&self, leases: Vec<Lease>) -> Result<()> {
        self.outbox.release(leases).await
    }

    async fn fetch(&self, from: Vec<FetchFrom>, limit: u32) -> Result<Vec<OutboxEntry>> {
        self.fetches.send_modify(|fetches| *fetches += 1);
        self.outbox.fetch(from, limit).await
    }

    async fn settle(&self, leases: &[Lease], settlements: Vec<Settlement>) -> Result<()> {
        let failure = self.failures.lock().pop_front();
        if let Some(failure) = failure {
            return Err(failure);
        }
        let mut deliveries = self.deliveries.subscribe();
        let enough = deliveries.wait_for(|deliveries| *deliveries >= self.settles_at);
        enough.await.expect("its sender is this");
        self.outbox.settle(leases, settlements).await
    }

    async fn dead_letters(&self, query: DeadLetterQuery) -> Result<Page<DeadLetter, DeadLetterId>> {
        self.outbox.dead_letters(query).await
    }

    async fn replay(&self, lane: Lane, ids: Vec<DeadLetterId>) -> Result<u64> {
        self.outbox.replay(lane, ids).await
    }

    async fn status(&self, lane: Lane) -> Result<LaneStatus> {
        let standing = self.standing.lock().clone();
        match standing {
            Standing::Told => self.outbox.status(lane).await,
            Standing::Fails(error) => Err(error),
            Standing::Hangs => std::future::pending().await,
        }
    }

    async fn backlog(&self, lane: Lane, tenant: &TenantId) -> Result<TenantBacklog> {
        self.outbox.backlog(lane, tenant).await
    }

    async fn wait(&self, lane: Lane, seen: u64, at_most: Duration) -> Result<u64> {
        self.outbox.wait(lane, seen, at_most).await
    }
}

//! The outbox.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kaireon_core::outbox::{
    DeadLetter, DeadLetterId, DeadLetterQuery, FetchFrom, HostEvent, Lane, LaneSet, LaneStatus, Lease,
    LeaseRequest, Leased, OutboxEntry, Settlement, TenantBacklog, lease_lost,
};
use kaireon_core::store::Page;
use kaireon_core::{Outbox, Result, TenantId};

use crate::error::named;
use crate::read::{self, Waiting};
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
        Ok(self.0.shared.present.read().lanes)
    }

    async fn set_lanes(&self, lanes: LaneSet) -> Result<()> {
        // Every lane is named.
        let (on, off) = (lanes, LaneSet::of(&Lane::ALL).changed(LaneSet::NONE, lanes));
        let change = Op::ChangeLanes { on, off };
        self.0.submit("set_lanes", change, 1).await.map(drop)
    }

    async fn change_lanes(&self, on: LaneSet, off: LaneSet) -> Result<LaneSet> {
        let change = Op::ChangeLanes { on, off };
        match self.0.submit("change_lanes", change, 1).await? {
            Answer::Lanes(lanes) => Ok(lanes),
            _ => Err(named("change_lanes")(unexpected())),
        }
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
            let mut held = self.0.shared.leases.lock();
            for FetchFrom { lease, .. } in &from {
                held.check(lease, "fetch", now)?;
                if held.is_recalled(lease.lane, lease.range, now) {
                    return Err(lease_lost(crate::BACKEND, "fetch"));
                }
            }
        }
        // Nothing waits: no need to look.
        let waiting = self.0.shared.present.read().waiting;
        if from.iter().all(|from| waiting[lane_index(from.lease.lane)] == 0) {
            return Ok(Vec::new());
        }
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let leases: Vec<Lease> = from.iter().map(|from| from.lease.clone()).collect();
        loop {
            let from = from.clone();
            let read = move |shared: &Shared| read::fetch(shared, from, limit);
            let Waiting { entries, unreadable } = self.0.blocking("fetch", read).await?;
            let moved = !unreadable.is_empty();
            if moved {
                self.settle(&leases, unreadable).await?;
            }
            // Where all of them were moved aside, what lies behind them was not read yet.
            if !moved || !entries.is_empty() {
                return Ok(entries);
            }
        }
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
        let read = move |shared: &Shared| read::dead_letters(&shared.view()?, query);
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
            let (head, view) = shared.present()?;
            let (waiting, dead) = (head.waiting[lane_index(lane)], head.dead[lane_index(lane)]);
            let now = shared.config.clock.now();
            let (relays, destination) = shared.leases.lock().readers(lane, now);
            let status = LaneStatus::new(waiting, read::oldest(shared, &view, lane)?, dead);
            Ok(status.read_by(relays, destination))
        };
        self.0.blocking("status", read).await
    }

    async fn backlog(&self, lane: Lane, tenant: &TenantId) -> Result<TenantBacklog> {
        let tenant = tenant.clone();
        let read = move |shared: &Shared| read::backlog(shared, lane, &tenant);
        self.0.blocking("backlog", read).await
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

#[cfg(test)]
mod tests {
    use std::ops::Bound;

    use kaireon_core::outbox::{Destination, RANGES, Verdict};
    use kaireon_core::store::{Erasure, ErasureId};
    use kaireon_core::{CustomerId, Interaction, InteractionStore, TenantId};

    use super::*;
    use crate::client::Space;
    use crate::{EmbeddedConfig, EmbeddedStore};

    async fn record(store: &EmbeddedStore, id: &str) {
        let event = Interaction::builder("t", "anna").id(id);
        let event = event.offer("o").creative("k").channel("web").build().unwrap();
        store.record_event(event).await.unwrap();
    }

    #[tokio::test]
    async fn an_entry_that_cannot_be_read_is_moved_aside_and_stops_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let config = EmbeddedConfig::at(dir.path().join("store"));
        let store = EmbeddedStore::open(config).await.unwrap();
        let outbox = store.outbox().unwrap();
        outbox.set_lanes(LaneSet::of(&[Lane::Publish])).await.unwrap();
        for id in ["1", "2", "3", "4", "5"] {
            record(&store, id).await;
        }
        let engine = store.shared().engine().unwrap();
        let all = (Bound::Unbounded, Bound::Unbounded);
        let entries = engine.view().range(Space::Outbox, all.0, all.1);
        let keys: Vec<_> = entries.map(|found| found.unwrap().0).collect();
        let damaged = keys[..2].iter().map(|key| {
            let damage = fjall::Slice::from([7].as_slice());
            (Space::Outbox, key.clone(), Some(damage))
        });
        engine.commit(damaged.collect()).unwrap().show();
        let request = LeaseRequest {
            lane: Lane::Publish,
            owner: "relay".to_owned(),
            ttl: Duration::from_secs(60),
            max_ranges: RANGES,
            destination: Destination::unnamed(),
        };
        let leases = outbox.lease(request).await.unwrap().leases;
        let fetch = async |limit| {
            let from = leases.iter().map(|lease| FetchFrom::all(lease.clone()));
            outbox.fetch(from.collect(), limit).await.unwrap()
        };
        let ids = |entries: &[OutboxEntry]| {
            let ids = entries.iter().map(|entry| entry.to_event().id().to_owned());
            ids.collect::<Vec<_>>()
        };
        assert_eq!(ids(&fetch(2).await), ["3", "4"]);
        let status = outbox.status(Lane::Publish).await.unwrap();
        assert_eq!((status.backlog, status.dead_letters), (3, 2));
        let first = fetch(1).await.remove(0);
        let poisoned = Settlement {
            range: first.range,
            position: first.position,
            verdict: Verdict::Poisoned("too large".to_owned()),
        };
        outbox.settle(&leases, vec![poisoned]).await.unwrap();
        let letters = outbox.dead_letters(DeadLetterQuery::new(Lane::Publish)).await;
        let letters = letters.unwrap().items;
        assert_eq!((letters.len(), letters[0].reason.as_str()), (1, "too large"));
        // Whoever they are about: the customer of the range is erased all the same.
        outbox.release(leases.clone()).await.unwrap();
        let erasure = Erasure {
            tenant: TenantId::new("t").unwrap(),
            customer: CustomerId::new("anna").unwrap(),
            id: ErasureId::new("first").unwrap(),
        };
        let receipt = store.erase_customer(erasure).await.unwrap();
        assert_eq!(receipt.deleted["outbox"], 3);
        let status = outbox.status(Lane::Publish).await.unwrap();
        assert_eq!((status.backlog, status.dead_letters), (0, 2));
        store.disconnect().await.unwrap();
    }
}

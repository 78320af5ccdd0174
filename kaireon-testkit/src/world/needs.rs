//! What a backend may declare away, and what it must answer then.

use kaireon_core::store::{
    Accepted, Epoch, Erasure, ErasureId, FenceRequest, Generation, HistoryQuery, Origin, Purge, RecordBatch,
    Recorded, ScanQuery, TombstoneQuery,
};
use kaireon_core::{ErrorKind, Interaction, Result};

use super::{Built, World, noon};
use crate::suite;

/// Something that a backend may declare away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    History,
    Scan,
    Decisions,
    Erasure,
    Purge,
    Fence,
    Replication,
    Outbox,
    Persistent,
}

impl World<'_> {
    /// Whether the backend has all of this. What it declares away is printed, and must answer `Unsupported`.
    pub(crate) async fn can(&self, needs: &[Need]) -> bool {
        for &need in needs {
            if !self.declares(need) {
                suite::declared_away(&self.can.backend, &format!("{need:?}").to_lowercase());
                self.check_unsupported(need).await;
                return false;
            }
        }
        true
    }

    fn declares(&self, need: Need) -> bool {
        match need {
            Need::History => self.can.history,
            Need::Scan => self.can.scan,
            Need::Decisions => self.can.decisions,
            Need::Erasure => self.can.erasure,
            Need::Purge => self.can.purge,
            Need::Fence => self.can.fence,
            Need::Replication => self.can.replication,
            Need::Outbox => self.can.outbox,
            Need::Persistent => self.can.persistent,
        }
    }

    /// An operation that is declared away answers `Unsupported`, and changes nothing.
    pub(crate) async fn check_unsupported(&self, need: Need) {
        let (store, tenant) = (&self.store, self.tenant.clone());
        let customer = self.customer("unsupported");
        let event = self.event("unsupported").built();
        match need {
            Need::History => {
                let query = HistoryQuery::new(tenant, customer);
                self.refused(store.history(query).await, ErrorKind::Unsupported);
            }
            Need::Scan => {
                self.refused(
                    store.scan(ScanQuery::new(tenant.clone())).await,
                    ErrorKind::Unsupported,
                );
                let decisions = store.scan_decisions(ScanQuery::new(tenant)).await;
                self.refused(decisions, ErrorKind::Unsupported);
            }
            Need::Decisions => {
                let decision = self.decision("unsupported", "unsupported", 1);
                let id = decision.id.clone();
                let recorded = store.record_decision(decision.clone()).await;
                self.refused(recorded, ErrorKind::Unsupported);
                let batch = store.record_decisions(RecordBatch::live([decision])).await;
                self.refused(
                    batch.and_then(|batch| batch.into_values()),
                    ErrorKind::Unsupported,
                );
                self.refused(store.decision(&tenant, &id).await, ErrorKind::Unsupported);
            }
            Need::Erasure => {
                let id = ErasureId::fresh();
                let request = Erasure {
                    tenant: tenant.clone(),
                    customer,
                    id,
                };
                self.refused(store.erase_customer(request).await, ErrorKind::Unsupported);
                let query = TombstoneQuery {
                    tenant: tenant.clone(),
                    limit: 1,
                    cursor: None,
                };
                self.refused(store.tombstones(query).await, ErrorKind::Unsupported);
                let installed = store.install_tombstones(&tenant, Vec::new()).await;
                self.refused(installed, ErrorKind::Unsupported);
            }
            Need::Purge => {
                let request = Purge {
                    tenant,
                    before: noon(0),
                };
                self.refused(store.purge_before(request).await, ErrorKind::Unsupported);
            }
            Need::Fence => {
                let epoch = Epoch(1);
                let request = FenceRequest {
                    tenant: tenant.clone(),
                    epoch,
                    lanes: None,
                };
                self.refused(store.raise_fence(request).await, ErrorKind::Unsupported);
                self.refused(store.fence(&tenant).await, ErrorKind::Unsupported);
                let batch = RecordBatch::live([event]).with_epoch(epoch);
                self.refused(self.values(batch).await, ErrorKind::Unsupported);
            }
            Need::Replication => {
                for origin in [Origin::Replicated, Origin::Backfill] {
                    let accepted = Accepted {
                        value: event.clone(),
                        generation: Generation::ZERO,
                    };
                    let batch = RecordBatch::accepted(origin, [accepted]);
                    self.refused(self.values(batch).await, ErrorKind::Unsupported);
                }
            }
            Need::Outbox => assert!(
                store.outbox().is_none(),
                "an outbox that is declared away is there"
            ),
            // Nothing to ask: the store is free to forget.
            Need::Persistent => {}
        }
    }

    async fn values(&self, batch: RecordBatch<Interaction>) -> Result<Vec<Recorded>> {
        self.store.record_events(batch).await?.into_values()
    }
}

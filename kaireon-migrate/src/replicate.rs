//! The delivery of the `replicate` lane: what one side of a migration accepted is applied to the other.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use kaireon_core::outbox::{OutboxEntry, OutboxPayload};
use kaireon_core::relay::{Delivered, LaneSink};
use kaireon_core::store::{Accepted, BatchOutcome, Epoch, Origin, RecordBatch};
use kaireon_core::{Error, InteractionStore, Result, TenantId};
use tokio::time::Instant;

use crate::current::Current;
use crate::{Backend, Stores, SwitchStore};

/// Delivers the `replicate` lane of one store to the other side of each tenant's migration.
///
/// An entry is applied as the authority accepted it: its id, its time, its generation, with origin `Replicated`, so that
/// applying it again, or behind the caller who brought it itself, changes nothing. An entry of a tenant that has no other
/// side any more (it was rolled back, or finalised) needs no delivery. What the other side refuses as such (`Conflict`,
/// `InvalidInput`) becomes a dead letter, which the gate and every drain see.
///
/// Run one relay of it per store, in any number of processes: `Relay::spawn(outbox, sink, config)` with
/// [`Lane::Replicate`](kaireon_core::outbox::Lane) and the store's own outbox.
#[derive(Clone, Debug)]
pub struct ReplicateSink {
    /// The store whose lane it is.
    from: Backend,
    stores: Stores,
    current: Arc<Current>,
}

/// Where a tenant's entries go.
enum Bound {
    To(Arc<dyn InteractionStore>, Epoch),
    Nowhere,
    Unknown(Error),
}

impl ReplicateSink {
    /// A sink for the lane of this store of a switch.
    #[must_use]
    pub fn new(switch: &SwitchStore, from: Backend) -> Self {
        Self {
            from,
            stores: switch.stores().clone(),
            current: Arc::clone(switch.current()),
        }
    }

    /// Where a tenant's entries that were read by now go. The setting is read behind that: one from before the
    /// migration would say that there is no other side.
    async fn bound(&self, tenant: &TenantId, read_by: Instant) -> Bound {
        let seen = match self.current.newer(tenant, read_by).await {
            Ok(seen) => seen,
            Err(error) => return Bound::Unknown(error),
        };
        let setting = seen.setting();
        let Some(migration) = setting.under_way() else {
            return Bound::Nowhere;
        };
        let other = match &self.from {
            from if *from == migration.source => &migration.target,
            from if *from == migration.target => &migration.source,
            _ => return Bound::Nowhere,
        };
        match self.stores.get(other) {
            Ok(store) => Bound::To(Arc::clone(store), setting.epoch),
            Err(error) => Bound::Unknown(error),
        }
    }
}

#[async_trait]
impl LaneSink for ReplicateSink {
    async fn deliver(&self, entries: &[OutboxEntry]) -> Vec<Delivered> {
        let read_by = Instant::now();
        let mut outcomes: Vec<_> = entries.iter().map(|_| Delivered::NotAttempted).collect();
        let mut tenants: HashMap<&TenantId, Vec<usize>> = HashMap::new();
        for (place, entry) in entries.iter().enumerate() {
            tenants.entry(&entry.tenant).or_default().push(place);
        }
        for (tenant, places) in tenants {
            match self.bound(tenant, read_by).await {
                Bound::To(store, epoch) => {
                    apply(store.as_ref(), epoch, entries, &places, &mut outcomes).await;
                }
                Bound::Nowhere => {
                    for place in places {
                        outcomes[place] = Delivered::Done;
                    }
                }
                Bound::Unknown(error) => {
                    for place in places {
                        outcomes[place] = Delivered::Failed(error.clone());
                    }
                }
            }
        }
        outcomes
    }
}

/// Applies a tenant's entries. The lane promises no order, because applying is commutative.
async fn apply(
    store: &dyn InteractionStore,
    epoch: Epoch,
    entries: &[OutboxEntry],
    places: &[usize],
    outcomes: &mut [Delivered],
) {
    let (mut interactions, mut decisions) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
    for &place in places {
        let generation = entries[place].generation;
        match &entries[place].payload {
            OutboxPayload::Interaction(value) => {
                interactions.0.push(place);
                interactions.1.push(Accepted {
                    value: value.clone(),
                    generation,
                });
            }
            OutboxPayload::Decision(value) => {
                decisions.0.push(place);
                decisions.1.push(Accepted {
                    value: value.clone(),
                    generation,
                });
            }
            // Events of the host's own are published, and belong to no store.
            _ => outcomes[place] = Delivered::Done,
        }
    }
    if !interactions.0.is_empty() {
        let batch = RecordBatch::accepted(Origin::Replicated, interactions.1).with_epoch(epoch);
        note(store.record_events(batch).await, &interactions.0, outcomes);
    }
    if !decisions.0.is_empty() {
        let batch = RecordBatch::accepted(Origin::Replicated, decisions.1).with_epoch(epoch);
        note(store.record_decisions(batch).await, &decisions.0, outcomes);
    }
}

fn note<T>(answer: Result<BatchOutcome<T>>, places: &[usize], outcomes: &mut [Delivered]) {
    match answer {
        Ok(batch) => {
            for (&place, result) in places.iter().zip(batch.into_results()) {
                outcomes[place] = match result {
                    Ok(_) => Delivered::Done,
                    Err(error) => Delivered::from_error(error),
                };
            }
        }
        // Nothing was tried, so no single entry is to blame.
        Err(error) => {
            for &place in places {
                outcomes[place] = Delivered::Failed(error.clone());
            }
        }
    }
}

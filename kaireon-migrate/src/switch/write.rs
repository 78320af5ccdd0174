//! Writing to whoever is the authority, and waiting for the other side where the caller is to.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use kaireon_core::outbox::HostEvent;
use kaireon_core::store::{
    Accepted, BatchOutcome, Epoch, ItemOutcome, Origin, Purge, PurgeReceipt, Record, RecordBatch, Recorded,
};
use kaireon_core::{
    Decision, Effect, Error, ErrorKind, Interaction, InteractionId, InteractionStore, RecommendationId,
    Result, TenantId,
};
use tokio::time::{Instant, sleep, timeout};

use super::{BACKEND, Inner};
use crate::current::Seen;
use crate::{Backend, DualWrite};

/// The first and the longest pause between two looks at a setting that does not change.
const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(20));

/// What is recorded: an interaction or a decision.
pub(crate) trait Kind: Clone + Send + Sync + 'static {
    type Id: Clone + Send + Sync + 'static;

    /// Of a batch of them, in errors.
    const OPERATION: &'static str;

    fn tenant(&self) -> &TenantId;

    fn record(
        store: &dyn InteractionStore,
        batch: RecordBatch<Self>,
    ) -> BoxFuture<'_, Result<BatchOutcome<Recorded<Self::Id>>>>;
}

impl Kind for Interaction {
    type Id = InteractionId;

    const OPERATION: &'static str = "record_events";

    fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    fn record(
        store: &dyn InteractionStore,
        batch: RecordBatch<Self>,
    ) -> BoxFuture<'_, Result<BatchOutcome<Recorded>>> {
        store.record_events(batch)
    }
}

impl Kind for Decision {
    type Id = RecommendationId;

    const OPERATION: &'static str = "record_decisions";

    fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    fn record(
        store: &dyn InteractionStore,
        batch: RecordBatch<Self>,
    ) -> BoxFuture<'_, Result<BatchOutcome<Recorded<Self::Id>>>> {
        store.record_decisions(batch)
    }
}

/// What became of a tenant's part of a batch, in its order.
type Outcomes<T> = Vec<ItemOutcome<Recorded<<T as Kind>::Id>>>;

/// How long a write has waited for its authority.
struct Patience {
    until: Instant,
    pause: Duration,
}

impl Inner {
    /// Records one.
    pub(super) async fn record_one<T: Kind>(&self, value: T) -> Result<Recorded<T::Id>> {
        let tenant = value.tenant().clone();
        let outcomes = self.record_of(&tenant, vec![Record::from(value)]).await?;
        let result = BatchOutcome::from_items(outcomes).into_results().pop();
        result.unwrap_or_else(|| Err(Error::new(ErrorKind::Internal, "a record was not answered")))
    }

    /// Records a batch; tenants do not wait for each other.
    pub(super) async fn record_all<T: Kind>(
        &self,
        records: Vec<Record<T>>,
    ) -> Result<BatchOutcome<Recorded<T::Id>>> {
        let mut parts: Vec<(TenantId, Vec<usize>, Vec<Record<T>>)> = Vec::new();
        let count = records.len();
        for (place, record) in records.into_iter().enumerate() {
            let tenant = record.value.tenant();
            let part = match parts.iter().position(|(of, ..)| of == tenant) {
                Some(part) => part,
                None => {
                    parts.push((tenant.clone(), Vec::new(), Vec::new()));
                    parts.len() - 1
                }
            };
            parts[part].1.push(place);
            parts[part].2.push(record);
        }
        let alone = parts.len() == 1;
        let calls = parts
            .into_iter()
            .map(|(tenant, places, records)| async move { (places, self.record_of(&tenant, records).await) });
        let mut outcomes: Outcomes<T> = (0..count).map(|_| ItemOutcome::NotAttempted).collect();
        for (places, part) in join_all(calls).await {
            match part {
                Ok(part) => {
                    for (place, outcome) in places.into_iter().zip(part) {
                        outcomes[place] = outcome;
                    }
                }
                Err(error) if alone => return Err(error),
                // Another tenant's part was tried.
                Err(error) => {
                    for place in places {
                        outcomes[place] = ItemOutcome::Failed(error.clone());
                    }
                }
            }
        }
        Ok(BatchOutcome::from_items(outcomes))
    }

    /// Records one tenant's part of a batch, on whichever store is its authority when it gets there.
    async fn record_of<T: Kind>(&self, tenant: &TenantId, records: Vec<Record<T>>) -> Result<Outcomes<T>> {
        let mut seen = self.current.get(tenant).await?;
        let mut outcomes: Outcomes<T> = records.iter().map(|_| ItemOutcome::NotAttempted).collect();
        let mut open: Vec<usize> = (0..records.len()).collect();
        let mut patience = None;
        loop {
            let refusal = match seen.setting().writer() {
                None => moving(),
                Some((authority, epoch)) => {
                    let batch = batch_of(&records, &open, epoch);
                    let answer = T::record(self.stores.get(authority)?.as_ref(), batch).await;
                    let answers = match answer {
                        Ok(answers) => checked::<T>(answers.into_items(), open.len())?,
                        Err(error) if error.kind() == ErrorKind::Fenced => {
                            open.iter().map(|_| ItemOutcome::Failed(error.clone())).collect()
                        }
                        // Nothing of what was sent now was tried; what was sent before has its outcome.
                        Err(error) if open.len() == records.len() => return Err(error),
                        Err(error) => {
                            for place in open {
                                outcomes[place] = ItemOutcome::Failed(error.clone());
                            }
                            return Ok(outcomes);
                        }
                    };
                    let mut accepted = Vec::new();
                    let mut refused = None;
                    let mut left = Vec::new();
                    for (place, outcome) in open.into_iter().zip(answers) {
                        match &outcome {
                            ItemOutcome::Failed(error) if error.kind() == ErrorKind::Fenced => {
                                refused = Some(error.clone());
                                left.push(place);
                            }
                            ItemOutcome::Done(Recorded::New { generation, .. }) => accepted.push(Accepted {
                                value: records[place].value.clone(),
                                generation: *generation,
                            }),
                            _ => {}
                        }
                        outcomes[place] = outcome;
                    }
                    open = left;
                    if !accepted.is_empty() {
                        self.counters.wrote(accepted.len() as u64);
                        self.bring(tenant, &seen, accepted).await;
                    }
                    match refused {
                        None => return Ok(outcomes),
                        Some(error) => error,
                    }
                }
            };
            match self.move_on(tenant, seen, &mut patience).await {
                Some(fresh) => seen = fresh,
                None if open.len() == records.len() => return Err(refusal),
                None => {
                    for place in open {
                        outcomes[place] = ItemOutcome::Failed(refusal.clone());
                    }
                    return Ok(outcomes);
                }
            }
        }
    }

    /// The setting after one under which a write was refused; `None` when the write has waited for long enough.
    async fn move_on(
        &self,
        tenant: &TenantId,
        seen: Arc<Seen>,
        patience: &mut Option<Patience>,
    ) -> Option<Arc<Seen>> {
        let asked = Instant::now();
        let Patience { until, pause } = patience.get_or_insert(Patience {
            until: asked + self.config.write_wait,
            pause: PAUSES.0,
        });
        let fresh = timeout(*until - asked.min(*until), self.current.newer(tenant, asked)).await;
        match fresh {
            Ok(Ok(fresh)) if fresh.known.version != seen.known.version => return Some(fresh),
            // The fence is raised before the setting says so, and nobody may write while the authority moves.
            Ok(_) | Err(_) => {}
        }
        if Instant::now() >= *until {
            metrics::counter!("kaireon.switch.write_waits_exceeded", "tenant" => tenant.to_string())
                .increment(1);
            return None;
        }
        sleep((*pause).min(*until - Instant::now())).await;
        *pause = (*pause * 2).min(PAUSES.1);
        Some(seen)
    }

    /// Brings what the authority accepted to the other side, as long as the caller is to wait for that. What is not
    /// there then comes by its `replicate` entry.
    async fn bring<T: Kind>(&self, tenant: &TenantId, seen: &Seen, accepted: Vec<Accepted<T>>) {
        let setting = seen.setting();
        let (Some(replica), Some(migration)) = (setting.replica(), setting.under_way()) else {
            return;
        };
        let (deadline, again) = match migration.dual_write {
            DualWrite::Async => return,
            DualWrite::BestEffort => (self.config.attempt, false),
            DualWrite::Strict { budget } => (budget, true),
        };
        let count = accepted.len() as u64;
        let bring = self.bring_to(replica, setting.epoch, accepted, again);
        let outcome = match timeout(deadline, bring).await {
            Ok(true) => "done",
            Ok(false) => "failed",
            Err(_) => "late",
        };
        metrics::counter!("kaireon.switch.dual_writes", "tenant" => tenant.to_string(), "outcome" => outcome)
            .increment(count);
    }

    /// Whether everything is on the other side.
    async fn bring_to<T: Kind>(
        &self,
        replica: &Backend,
        epoch: Epoch,
        mut accepted: Vec<Accepted<T>>,
        again: bool,
    ) -> bool {
        let Ok(store) = self.stores.get(replica) else {
            return false;
        };
        let mut pause = PAUSES.0;
        loop {
            let batch = RecordBatch::accepted(Origin::Replicated, accepted.iter().cloned()).with_epoch(epoch);
            let attempt = timeout(self.config.attempt, T::record(store.as_ref(), batch)).await;
            if let Ok(Ok(outcome)) = attempt {
                let mut failed = false;
                let mut results = outcome.into_results().into_iter();
                accepted.retain(|_| match results.next() {
                    Some(Ok(_)) => false,
                    // What was erased since needs no copy.
                    Some(Err(error)) if error.kind() == ErrorKind::Erased => false,
                    Some(Err(error)) => {
                        failed |= !error.is_transient();
                        true
                    }
                    None => true,
                });
                if accepted.is_empty() {
                    return true;
                }
                if failed {
                    return false;
                }
            }
            if !again {
                return false;
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// Appends to the one authority of all these tenants. An append has no epoch: one that finds its store closed
    /// meanwhile is delivered from there all the same.
    pub(super) async fn append(&self, events: Vec<HostEvent>) -> Result<()> {
        let mut authority: Option<Backend> = None;
        for event in &events {
            let seen = self.current.get(&event.tenant).await?;
            let of = &seen.setting().authority;
            if authority.as_ref().is_some_and(|first| first != of) {
                let context = "are of tenants on different stores, which share no atomic unit";
                return Err(Error::invalid("events", context)
                    .with_backend(BACKEND)
                    .with_operation("append"));
            }
            authority.get_or_insert_with(|| of.clone());
        }
        let Some(authority) = authority else { return Ok(()) };
        let outbox = self.stores.get(&authority)?.outbox();
        let outbox = outbox.ok_or_else(|| Error::unsupported(BACKEND, "append"))?;
        outbox.append(events).await
    }

    /// Moves the watermark, unless a migration is under way.
    pub(super) async fn purge(&self, request: Purge) -> Result<PurgeReceipt> {
        if !super::all(&self.stores, |of| of.purge) {
            return Err(Error::unsupported(BACKEND, "purge_before"));
        }
        let seen = self.current.newer(&request.tenant, Instant::now()).await?;
        if seen.setting().under_way().is_some() {
            let context = "the watermark does not move while a migration is under way";
            return Err(Error::conflict(context)
                .with_backend(BACKEND)
                .with_operation("purge_before"));
        }
        let authority = self.stores.get(&seen.setting().authority)?;
        authority.purge_before(request).await
    }
}

fn batch_of<T: Kind>(records: &[Record<T>], open: &[usize], epoch: Epoch) -> RecordBatch<T> {
    RecordBatch {
        records: open.iter().map(|&place| records[place].clone()).collect(),
        origin: Origin::Live,
        epoch,
    }
}

/// The outcomes, if there is one for each item.
fn checked<T: Kind>(outcomes: Outcomes<T>, items: usize) -> Result<Outcomes<T>> {
    if outcomes.len() == items {
        return Ok(outcomes);
    }
    let context = format!("{} outcomes for a batch of {items}", outcomes.len());
    Err(Error::new(ErrorKind::Internal, context).with_operation(T::OPERATION))
}

/// The error of a write that its tenant's authority moved away from.
fn moving() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the tenant is being moved to another store",
    )
    .with_backend(BACKEND)
    .with_effect(Effect::NotApplied)
}

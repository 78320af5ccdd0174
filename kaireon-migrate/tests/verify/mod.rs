//! Comparing two stores while both are written to.

#![allow(clippy::unwrap_used, reason = "a panic in a test is the report")]

mod bounds;
mod errors;
mod flaw;
mod live;
mod migration;
mod stores;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use kaireon_core::memory::{MemoryOptions, MemoryPlace};
use kaireon_core::outbox::{Lane, LaneSet, OutboxEntry, OutboxPayload};
use kaireon_core::relay::{Delivered, LaneSink, Relay, RelayConfig};
use kaireon_core::store::{
    Accepted, BatchOutcome, Erasure, ErasureId, Generation, Origin, RecordBatch, ScanQuery, Tombstone,
    TombstoneQuery,
};
use kaireon_core::time::{Clock, SystemClock, Timestamp};
use kaireon_core::{
    Attributes, CustomerId, Decision, DecisionFields, DecisionFlowKey, Interaction, InteractionStore,
    RecommendationId, Result, TenantId,
};
use kaireon_migrate::{Side, Verifier, VerifyConfig};

use crate::switch::{KEY, tenant};

/// Customers who are written to all the time, and those who are not.
const LIVE: u64 = 200;
const STILL: u64 = 30;

/// Two stores of one tenant.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) source: Arc<dyn InteractionStore>,
    pub(crate) target: Arc<dyn InteractionStore>,
}

pub(crate) fn in_memory() -> Arc<dyn InteractionStore> {
    Arc::new(MemoryPlace::new(MemoryOptions::default().with_master_key(KEY)).open())
}

pub(crate) fn days_ago(days: u64) -> Timestamp {
    SystemClock.now() - Duration::from_secs(days * 86_400)
}

pub(crate) fn row(customer: &str, number: u64, at: Timestamp) -> Interaction {
    Interaction::builder("acme", customer)
        .id(format!("row-{customer}-{number}"))
        .idempotency_key(format!("{customer}-{number}"))
        .offer(format!("offer-{}", number % 5))
        .creative("banner")
        .channel("web")
        .timestamp(at)
        .build()
        .unwrap()
}

pub(crate) fn decision(customer: &str, number: u64, flow: &str, at: Timestamp) -> Decision {
    Decision::restore(DecisionFields {
        id: RecommendationId::new(format!("decision-{customer}-{number}")).unwrap(),
        tenant: tenant(),
        customer: CustomerId::new(customer).unwrap(),
        flow: DecisionFlowKey::new(flow).unwrap(),
        offers: Vec::new(),
        timestamp: at,
        attributes: Attributes::default(),
    })
    .unwrap()
}

/// Quick and sharp: of stores in this process, written to by this clock.
pub(crate) fn config() -> VerifyConfig {
    VerifyConfig {
        pause: Duration::from_millis(10),
        clock_skew: Duration::from_millis(5),
        ..VerifyConfig::default()
    }
}

/// Puts rows on a store as they are, into no lane.
pub(crate) async fn put(store: &dyn InteractionStore, rows: impl IntoIterator<Item = Interaction>) {
    let accepted = rows.into_iter().map(|value| Accepted {
        value,
        generation: Generation::ZERO,
    });
    let batch = RecordBatch::accepted(Origin::Backfill, accepted);
    assert!(store.record_events(batch).await.unwrap().is_complete());
}

/// Puts decisions on a store as they are, into no lane.
pub(crate) async fn put_decision(store: &dyn InteractionStore, value: Decision) {
    let accepted = Accepted {
        value,
        generation: Generation::ZERO,
    };
    let batch = RecordBatch::accepted(Origin::Backfill, [accepted]);
    assert!(store.record_decisions(batch).await.unwrap().is_complete());
}

pub(crate) async fn erase(store: &dyn InteractionStore, customer: &str) {
    let customer = CustomerId::new(customer).unwrap();
    let erasure = Erasure {
        tenant: tenant(),
        customer,
        id: ErasureId::fresh(),
    };
    store.erase_customer(erasure).await.unwrap();
}

impl Pair {
    pub(crate) fn of(source: Arc<dyn InteractionStore>, target: Arc<dyn InteractionStore>) -> Self {
        Self { source, target }
    }

    /// Two stores in memory with the same rows, decisions and tombstones.
    pub(crate) async fn equal() -> Self {
        let pair = Self::of(in_memory(), in_memory());
        pair.fill().await;
        pair
    }

    /// Writes on the source, with the lane in force, and copies what is there to the target.
    pub(crate) async fn fill(&self) {
        let lanes = LaneSet::of(&[Lane::Replicate]);
        let mut rows = Vec::new();
        for customer in 0..STILL {
            for number in 0..6 {
                rows.push(row(&format!("still-{customer}"), number, days_ago(number)));
            }
        }
        let told = serde_json::json!({"z": [1, 2.5, 1e21, -0.0], "a": {"y": null, "x": "ü"}, "n": 0.1});
        let told = Attributes::from_value(told).unwrap();
        let telling = row("still-7", 60, days_ago(1));
        rows.push(telling.edited(|row| row.attributes = told.clone()).unwrap());
        rows.push(row("erased", 1, days_ago(1)));
        for store in [&self.source, &self.target] {
            put(store.as_ref(), rows.clone()).await;
            for customer in 0..STILL {
                let customer = format!("still-{customer}");
                put_decision(store.as_ref(), decision(&customer, 0, "flow", rows[0].timestamp)).await;
            }
        }
        erase(self.source.as_ref(), "erased").await;
        let stones = self
            .source
            .tombstones(TombstoneQuery::new(tenant()))
            .await
            .unwrap();
        self.target
            .install_tombstones(&tenant(), stones.items)
            .await
            .unwrap();
        self.source.outbox().unwrap().set_lanes(lanes).await.unwrap();
    }

    pub(crate) fn verifier(&self, config: VerifyConfig) -> Verifier {
        let (source, target) = (Arc::clone(&self.source), Arc::clone(&self.target));
        Verifier::new(tenant(), source, target, Side::Source).with_config(config)
    }

    /// Delivers the source's lane to the target, late by up to so much.
    pub(crate) fn relay(&self, seed: u64, late_ms: u64) -> Relay {
        let sink = Late {
            target: Arc::clone(&self.target),
            random: parking_lot::Mutex::new(fastrand::Rng::with_seed(seed)),
            late_ms,
        };
        let config = RelayConfig {
            max_idle: Duration::from_millis(10),
            ..RelayConfig::new(Lane::Replicate)
        };
        Relay::spawn(self.source.outbox().unwrap(), sink, config)
    }
}

/// A sink that takes its time.
#[derive(Debug)]
struct Late {
    target: Arc<dyn InteractionStore>,
    random: parking_lot::Mutex<fastrand::Rng>,
    late_ms: u64,
}

#[async_trait]
impl LaneSink for Late {
    async fn deliver(&self, entries: &[OutboxEntry]) -> Vec<Delivered> {
        let late = self.random.lock().u64(0..=self.late_ms);
        tokio::time::sleep(Duration::from_millis(late)).await;
        let (mut rows, mut decisions) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
        let mut outcomes: Vec<_> = entries.iter().map(|_| Delivered::Done).collect();
        for (place, entry) in entries.iter().enumerate() {
            let generation = entry.generation;
            match &entry.payload {
                OutboxPayload::Interaction(value) => {
                    let value = value.clone();
                    rows.0.push(place);
                    rows.1.push(Accepted { value, generation });
                }
                OutboxPayload::Decision(value) => {
                    let value = value.clone();
                    decisions.0.push(place);
                    decisions.1.push(Accepted { value, generation });
                }
                _ => {}
            }
        }
        let origin = Origin::Replicated;
        let batch = RecordBatch::accepted(origin, rows.1);
        note(self.target.record_events(batch).await, &rows.0, &mut outcomes);
        let batch = RecordBatch::accepted(origin, decisions.1);
        let answer = self.target.record_decisions(batch).await;
        note(answer, &decisions.0, &mut outcomes);
        outcomes
    }
}

fn note<T>(answer: Result<BatchOutcome<T>>, places: &[usize], outcomes: &mut [Delivered]) {
    match answer {
        Ok(batch) => {
            for (&place, result) in places.iter().zip(batch.into_results()) {
                if let Err(error) = result {
                    outcomes[place] = Delivered::from_error(error);
                }
            }
        }
        Err(error) => {
            for &place in places {
                outcomes[place] = Delivered::Failed(error.clone());
            }
        }
    }
}

/// Who writes on the source, and erases, until they are stopped.
pub(crate) struct Writers {
    stop: Arc<AtomicBool>,
    pub(crate) written: Arc<AtomicU64>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Writers {
    /// Some who write to customers of their own, and now and then to those who are still; one of them erases.
    pub(crate) fn of(pair: &Pair, seed: u64) -> Self {
        let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let tasks = (0..3).map(|writer| {
            let (pair, stop, written) = (pair.clone(), Arc::clone(&stop), Arc::clone(&written));
            tokio::spawn(async move {
                let mut random = fastrand::Rng::with_seed(seed * 31 + writer);
                let mut number = writer * 1_000_000;
                while !stop.load(Ordering::SeqCst) {
                    number += 1;
                    write(&pair, &mut random, writer, number).await;
                    written.fetch_add(1, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_millis(random.u64(2..12))).await;
                }
            })
        });
        let tasks = tasks.collect();
        Self { stop, written, tasks }
    }

    /// Stops them; returns how much they wrote.
    pub(crate) async fn stop(self) -> u64 {
        self.stop.store(true, Ordering::SeqCst);
        for task in self.tasks {
            task.await.unwrap();
        }
        self.written.load(Ordering::SeqCst)
    }
}

async fn write(pair: &Pair, random: &mut fastrand::Rng, writer: u64, number: u64) {
    let customer = match random.u8(0..40) {
        // Not to those before, whom a test erases on one side: a later record would heal that.
        0 => format!("still-{}", random.u64(5..STILL)),
        _ => format!("live-{}", random.u64(0..LIVE)),
    };
    let late = Duration::from_secs(random.u64(0..3) * 86_400);
    let at = SystemClock.now() - late;
    match random.u8(0..20) {
        0..4 => {
            let made = decision(&customer, number, "flow", at);
            pair.source.record_decision(made).await.unwrap();
        }
        4 if writer == 0 && customer.starts_with("live") => {
            let customer = CustomerId::new(customer).unwrap();
            let erasure = Erasure {
                tenant: tenant(),
                customer: customer.clone(),
                id: ErasureId::fresh(),
            };
            let receipt = pair.source.erase_customer(erasure).await.unwrap();
            let stone = Tombstone {
                customer: KEY.tenant(&tenant()).customer(&customer),
                generation: receipt.generation,
            };
            pair.target
                .install_tombstones(&tenant(), vec![stone])
                .await
                .unwrap();
        }
        _ => {
            pair.source
                .record_event(row(&customer, number, at))
                .await
                .unwrap();
        }
    }
}

/// How many rows a store has of a tenant.
pub(crate) async fn count(store: &dyn InteractionStore, tenant: &TenantId) -> u64 {
    let mut query = ScanQuery::new(tenant.clone());
    let mut found = 0;
    loop {
        let page = store.scan(query.clone()).await.unwrap();
        found += page.items.len() as u64;
        match page.next {
            Some(next) => query.cursor = Some(next),
            None => return found,
        }
    }
}

//! The tenant switch, chosen by the environment.

mod chosen;
mod erasure;
mod host;
mod moves;
#[cfg(feature = "postgres")]
mod servers;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kaireon::core::publisher::Subscriber;
use kaireon::core::store::{HistoryQuery, SummaryQuery};
use kaireon::core::{CustomerId, Interaction, InteractionStore, PeriodType, TenantId};
use kaireon::migrate::{Asked, Backend, GateBounds, Operator, OperatorStatus, Outcome, Phase, Policy, Start};
use kaireon::{Config, Infra};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::support::{LONG, config, shown};

/// 64 hexadecimal digits.
const KEY: &str = "0707070707070707070707070707070707070707070707070707070707070707";

const CUSTOMERS: u64 = 8;

pub(crate) fn tenant() -> TenantId {
    TenantId::new("acme").unwrap()
}

fn name(name: &str) -> Backend {
    Backend::new(name).unwrap()
}

fn asked() -> Asked {
    Asked::by("ops@example.com", "CHG-1207")
}

/// Tenants on memory, unless they were moved to the embedded store.
pub(crate) fn memory_and_embedded(directory: &Path) -> Config {
    let archive = format!("file://{}", directory.join("archive").display());
    let mut config = config(&[
        ("INTERACTION_STORE", "memory"),
        ("KAIREON_SWITCH_STORES", "memory, embedded"),
        ("KAIREON_MASTER_KEY", KEY),
        ("KAIREON_ARCHIVE_URL", &archive),
    ])
    .with_data_dir(directory.join("data"));
    config.handover.grace = Duration::from_millis(20);
    config
}

/// A migration whose gate asks for no live reads.
fn start(target: &str) -> Start {
    let gate = GateBounds {
        min_reads: 0,
        ..GateBounds::default()
    };
    let policy = Policy {
        gate,
        // A machine that is busy with other tests takes its time.
        drain_bound: Duration::from_secs(10),
        ..Policy::default()
    };
    Start {
        policy,
        ..Start::to(name(target))
    }
}

pub(crate) fn operator(infra: &Infra) -> Operator {
    infra.tenant_switch().unwrap().operator()
}

/// Moves the tenant to where the target is the authority.
async fn move_to(operator: &Operator, target: &str) {
    let acme = tenant();
    operator.start(&acme, start(target), &asked()).await.unwrap();
    operator.export(&acme).await.unwrap();
    let filled = operator.backfill(&acme, &asked()).await.unwrap();
    assert!(filled.complete, "{filled:?}");
    let verified = operator.verify(&acme, &asked()).await.unwrap();
    assert!(verified.clean && verified.passed, "{verified:?}");
    let moved = operator.cut_over(&acme, &asked()).await.unwrap();
    assert_eq!(moved.outcome, Outcome::Taken, "{moved:?}");
}

async fn move_back(operator: &Operator) {
    let back = operator.roll_back(&tenant(), &asked()).await.unwrap();
    assert_eq!(back.outcome, Outcome::Taken, "{back:?}");
}

async fn status(infra: &Infra) -> OperatorStatus {
    operator(infra).status(&tenant()).await.unwrap()
}

async fn phase(infra: &Infra) -> Phase {
    status(infra).await.phase
}

/// Someone who records all the time.
struct Recording {
    stop: watch::Sender<bool>,
    recorder: JoinHandle<u64>,
}

impl Recording {
    /// Records numbers from `first` on, each of the customer that it falls to.
    fn begin(infra: &Infra, first: u64) -> Self {
        let (stop, stopped) = watch::channel(false);
        let infra = infra.clone();
        let recorder = tokio::spawn(async move {
            let mut number = first;
            while !*stopped.borrow() {
                record(&infra, number).await;
                number += 1;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            number
        });
        Self { stop, recorder }
    }

    /// The first number that was not recorded.
    async fn end(self) -> u64 {
        self.stop.send_replace(true);
        self.recorder.await.unwrap()
    }
}

pub(crate) async fn record(infra: &Infra, number: u64) {
    let event = shown(&customer(number), &format!("key-{number:06}"));
    let recorded = infra.store().record_event(event).await.unwrap();
    assert!(recorded.is_new(), "{number}");
}

fn customer(number: u64) -> String {
    format!("c{}", number % CUSTOMERS)
}

/// A customer's rows in a store.
async fn rows(store: &Arc<dyn InteractionStore>, customer: &str) -> Vec<Interaction> {
    let mut query = HistoryQuery {
        limit: 1_000,
        ..HistoryQuery::new(tenant(), CustomerId::new(customer).unwrap())
    };
    let mut rows = Vec::new();
    loop {
        let page = store.history(query.clone()).await.unwrap();
        rows.extend(page.items);
        match page.next {
            Some(next) => query.cursor = Some(next),
            None => break,
        }
    }
    rows.sort_by_key(|event| event.idempotency_key.to_string());
    rows
}

/// The keys of a store's rows, in their order; the summaries count as many.
pub(crate) async fn keys(store: &Arc<dyn InteractionStore>) -> Vec<String> {
    let mut keys = Vec::new();
    for number in 0..CUSTOMERS {
        let rows = rows(store, &customer(number)).await;
        let query = SummaryQuery::new(tenant(), CustomerId::new(customer(number)).unwrap());
        let summaries = store.get_summaries(query).await.unwrap();
        let all = |summary: &&kaireon::core::Summary| summary.period.period_type() == PeriodType::AllTime;
        let impressions = summaries
            .iter()
            .find(all)
            .map(|summary| summary.stats.impressions);
        assert_eq!(impressions.unwrap_or(0), rows.len() as u64);
        keys.extend(rows.iter().map(|event| event.idempotency_key.to_string()));
    }
    keys.sort();
    keys
}

pub(crate) fn numbered(numbers: std::ops::Range<u64>) -> Vec<String> {
    numbers.map(|number| format!("key-{number:06}")).collect()
}

/// Listens for what is recorded.
fn listen(mut subscriber: Subscriber) -> JoinHandle<Vec<(String, String)>> {
    tokio::spawn(async move {
        let mut told = Vec::new();
        while let Some(mut delivery) = subscriber.next_delivery().await.unwrap() {
            delivery.ack().await.unwrap();
            let payload: serde_json::Value = delivery.event().payload().unwrap();
            let customer = payload["customerId"].as_str().unwrap().to_owned();
            told.push((customer, delivery.event().id().to_owned()));
        }
        told
    })
}

/// The ids of each customer's records, in the order in which they were made.
async fn recorded(infra: &Infra) -> BTreeMap<String, Vec<String>> {
    let mut recorded = BTreeMap::new();
    for number in 0..CUSTOMERS {
        let rows = rows(&infra.store(), &customer(number)).await;
        let ids = rows.iter().map(|event| event.id.to_string()).collect();
        recorded.insert(customer(number), ids);
    }
    recorded
}

/// What was told of each customer, in order, without repeats.
fn without_repeats(told: Vec<(String, String)>) -> BTreeMap<String, Vec<String>> {
    let mut seen: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (customer, id) in told {
        let of = seen.entry(customer).or_default();
        if !of.contains(&id) {
            of.push(id);
        }
    }
    seen
}

async fn ended(infra: Infra) {
    let report = infra.shutdown(LONG).await;
    assert!(report.is_clean(), "{report}");
}

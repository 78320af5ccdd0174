//! The operator's functions, in the order in which they are used and in every other.

#![allow(clippy::unwrap_used, reason = "a panic in a test is the report")]

mod finalise;
mod steps;

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kaireon_core::outbox::{Lane, OutboxEntry};
use kaireon_core::relay::{Delivered, LaneSink, Relay, RelayConfig};
use kaireon_core::time::{Clock, ManualClock, SystemClock};
use kaireon_core::{Error, InteractionStore};
use kaireon_migrate::{
    Asked, GateBounds, Lacking, Missing, Operator, OperatorConfig, Policy, Refused, Start, StepReport,
};

use crate::backfill::{self, World, memory};
use crate::switch::{name, tenant};
use crate::verify;

fn asked() -> Asked {
    Asked::by("ops@example.com", "CHG-1207")
}

/// A migration whose gate asks for no live reads, because nobody reads here.
fn start() -> Start {
    Start {
        policy: Policy {
            gate: GateBounds {
                min_reads: 0,
                ..GateBounds::default()
            },
            ..Policy::default()
        },
        ..Start::to(name("new"))
    }
}

/// Quick: of stores in this process.
fn config() -> OperatorConfig {
    OperatorConfig {
        backfill: backfill::config(),
        verify: verify::config(),
        ..OperatorConfig::default()
    }
}

fn operator(world: &World) -> Operator {
    Operator::new(world.switch.clone(), Some(world.archive.clone())).with_config(config())
}

/// The same, so much later.
fn later(world: &World, by: Duration) -> Operator {
    operator(world).with_clock(ManualClock::at(SystemClock.now() + by))
}

const DAY: Duration = Duration::from_secs(86_400);

/// So many rows on the old store; relays run while they are kept.
async fn world(rows: u64) -> (World, Vec<Relay>) {
    filled(World::new(memory(), memory()).await, rows).await
}

async fn filled(world: World, rows: u64) -> (World, Vec<Relay>) {
    world.fill(0..rows).await;
    let mut relays = operator(&world).relays().unwrap();
    // A move waits for this lane as well.
    for store in [&world.source, &world.target] {
        let outbox = store.outbox().unwrap();
        relays.push(Relay::spawn(outbox, Heard, RelayConfig::new(Lane::Publish)));
    }
    (world, relays)
}

/// An event stream that takes everything.
#[derive(Debug)]
struct Heard;

#[async_trait]
impl LaneSink for Heard {
    async fn deliver(&self, entries: &[OutboxEntry]) -> Vec<Delivered> {
        entries.iter().map(|_| Delivered::Done).collect()
    }
}

/// To where the target is the authority.
async fn moved(world: &World) -> StepReport {
    let operator = operator(world);
    operator.start(&tenant(), start(), &asked()).await.unwrap();
    operator.export(&tenant()).await.unwrap();
    assert!(operator.backfill(&tenant(), &asked()).await.unwrap().complete);
    let verified = operator.verify(&tenant(), &asked()).await.unwrap();
    assert!(verified.clean && verified.passed, "{verified:?}");
    operator.cut_over(&tenant(), &asked()).await.unwrap()
}

fn missing(error: &Error) -> Vec<Missing> {
    let refused = error.source().and_then(|source| source.downcast_ref::<Refused>());
    refused
        .unwrap_or_else(|| panic!("{error} is no refusal"))
        .missing
        .clone()
}

fn words(lacking: &[Lacking]) -> Vec<&str> {
    lacking.iter().map(|lacking| lacking.words.as_str()).collect()
}

/// Waits until a store holds so much: what is replicated to it comes later.
async fn holds(store: &Arc<dyn InteractionStore>, interactions_and_decisions: (usize, usize)) {
    let arrived = async {
        while held(store).await != interactions_and_decisions {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let arrived = tokio::time::timeout(Duration::from_secs(60), arrived).await;
    arrived.expect("what was recorded is replicated");
}

/// Interactions and decisions that a store holds.
async fn held(store: &Arc<dyn InteractionStore>) -> (usize, usize) {
    let rows = crate::switch::rows(store.as_ref()).await.len();
    (rows, backfill::decisions(store.as_ref()).await.len())
}

//! The child: writes from several tasks until it is killed.

use std::sync::Arc;
use std::time::Duration;

use kaireon_core::outbox::{
    Destination, FetchFrom, Lane, LaneSet, LeaseRequest, OutboxPayload, RANGES, Settlement, Verdict,
};
use kaireon_core::store::{Erasure, ErasureId, RecordBatch};
use kaireon_core::{InteractionStore, Outbox};

use super::log::{Word, say};
use super::work::{ERASED_TASK, Piece, TASKS, tenant};
use crate::world::together;

/// Short, so that the parent need not wait long for what a dead child held.
const TTL: Duration = Duration::from_millis(400);

type Work = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

pub(super) async fn write_until_killed(store: &Arc<dyn InteractionStore>, cycle: u32) {
    let can = store.capabilities();
    let mut works: Vec<Work> = Vec::new();
    if let Some(outbox) = store.outbox() {
        outbox
            .set_lanes(LaneSet::of(&[Lane::Publish]))
            .await
            .expect("lanes are set");
        works.push(Box::pin(relay(outbox)));
    }
    for task in 0..TASKS {
        works.push(Box::pin(record(Arc::clone(store), cycle, task)));
    }
    if can.decisions {
        works.push(Box::pin(decide(Arc::clone(store), cycle, TASKS)));
    }
    if can.erasure {
        works.push(Box::pin(erase(Arc::clone(store), cycle)));
    }
    together(works).await;
}

/// Single records and batches by turns.
async fn record(store: Arc<dyn InteractionStore>, cycle: u32, task: u32) {
    let mut number = 0;
    loop {
        let size = if number % 7 == 0 { 5 } else { 1 };
        let pieces: Vec<_> = (number..number + size)
            .map(|number| Piece { cycle, task, number })
            .collect();
        number += size;
        say(Word::Try, &pieces);
        let recorded = match pieces[..] {
            [piece] => store
                .record_event(piece.interaction())
                .await
                .map(|recorded| vec![recorded]),
            _ => {
                let batch = RecordBatch::live(pieces.iter().map(|piece| piece.interaction()));
                store
                    .record_events(batch)
                    .await
                    .and_then(|outcome| outcome.into_values())
            }
        };
        let recorded = recorded.expect("a healthy store records");
        assert!(
            recorded.iter().all(|recorded| recorded.is_new()),
            "each key is written once"
        );
        say(Word::Ack, &pieces);
    }
}

async fn decide(store: Arc<dyn InteractionStore>, cycle: u32, task: u32) {
    for number in 0.. {
        let piece = Piece { cycle, task, number };
        say(Word::TryDecision, &[piece]);
        let recorded = store
            .record_decision(piece.decision())
            .await
            .expect("a healthy store records");
        assert!(recorded.is_new(), "each id is written once");
        say(Word::AckDecision, &[piece]);
    }
}

/// Eight records of a customer, then its erasure, and so on.
async fn erase(store: Arc<dyn InteractionStore>, cycle: u32) {
    for round in 0.. {
        for number in round * 8..round * 8 + 8 {
            let piece = Piece {
                cycle,
                task: ERASED_TASK,
                number,
            };
            say(Word::Try, &[piece]);
            store
                .record_event(piece.interaction())
                .await
                .expect("a healthy store records");
            say(Word::Ack, &[piece]);
        }
        let piece = Piece {
            cycle,
            task: ERASED_TASK,
            number: round * 8,
        };
        say(Word::TryErase, &[piece]);
        let id = ErasureId::new(format!("ticket-{piece}")).expect("a short name is an id");
        let request = Erasure {
            tenant: tenant(),
            customer: piece.customer(),
            id,
        };
        store
            .erase_customer(request)
            .await
            .expect("a healthy store erases");
        say(Word::Erased, &[piece]);
    }
}

/// Tells, settles, and says both. Decisions are told too, but only interactions are kept account of.
async fn relay(outbox: Arc<dyn Outbox>) {
    loop {
        let request = LeaseRequest {
            lane: Lane::Publish,
            owner: "child".to_owned(),
            ttl: TTL,
            max_ranges: RANGES,
            destination: Destination::unnamed(),
        };
        let leased = outbox.lease(request).await.expect("a healthy store leases");
        let (mut leases, recalled) = (leased.leases, leased.recalled);
        // Nothing is in hand now.
        let given = leases.extract_if(.., |lease| recalled.contains(&lease.range));
        let given = given.collect();
        outbox
            .release(given)
            .await
            .expect("a healthy store takes leases back");
        let from = leases.iter().map(|lease| FetchFrom::all(lease.clone())).collect();
        // Less than comes, so that a backlog grows and the kills find entries of every age.
        let entries = outbox.fetch(from, 24).await;
        let Ok(entries) = entries else { continue };
        let pieces: Vec<Piece> = entries
            .iter()
            .filter_map(|entry| match &entry.payload {
                OutboxPayload::Interaction(interaction) => interaction.idempotency_key.as_str().parse().ok(),
                _ => None,
            })
            .collect();
        say(Word::Told, &pieces);
        let delivered = |entry: &kaireon_core::outbox::OutboxEntry| Settlement {
            range: entry.range,
            position: entry.position,
            verdict: Verdict::Delivered,
        };
        // A machine that stands still for longer than the lease lasts loses it: then nothing was settled.
        if outbox
            .settle(&leases, entries.iter().map(delivered).collect())
            .await
            .is_ok()
        {
            say(Word::Settled, &pieces);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

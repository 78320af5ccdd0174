//! What the parent checks after each kill.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kaireon_core::outbox::{Destination, FetchFrom, Lane, LeaseRequest, OutboxPayload, RANGES};
use kaireon_core::store::{MAX_PAGE, ScanQuery, SummaryQuery};
use kaireon_core::{CustomerId, Interaction, InteractionStore, Outbox};

use super::log::Log;
use super::work::{Piece, tenant};
use crate::world::{fold, same};

/// How many things were looked at.
pub(super) struct Checked {
    pub(super) found: u64,
    pub(super) repeated: u64,
}

const OURS: &str = "everything in the place was written by a child";

fn piece_of(interaction: &Interaction) -> Piece {
    interaction.idempotency_key.as_str().parse().expect(OURS)
}

pub(super) async fn check(store: &Arc<dyn InteractionStore>, log: &mut Log, cycle: u32) -> Checked {
    let rows = rows(store, cycle).await;
    let erased: BTreeSet<CustomerId> = log.erased.iter().map(|piece| piece.customer()).collect();
    let doomed: BTreeSet<CustomerId> = log.tried_erasures.iter().map(|piece| piece.customer()).collect();
    for piece in &log.acked {
        let there = rows.contains_key(piece) || doomed.contains(&piece.customer());
        assert!(there, "cycle {cycle}: {piece} was acknowledged and is lost");
    }
    for (piece, row) in &rows {
        assert!(
            log.tried.contains(piece),
            "cycle {cycle}: {piece} is there and was never asked for"
        );
        assert!(
            !erased.contains(&piece.customer()),
            "cycle {cycle}: {piece} is there and was erased"
        );
        assert!(
            *row == piece.interaction(),
            "cycle {cycle}: {piece} is not what was recorded"
        );
    }
    check_summaries(store, &rows, &erased, cycle).await;
    if let Some(outbox) = store.outbox() {
        check_outbox(&outbox, log, &rows, &doomed, &erased, cycle).await;
    }
    let decisions = check_decisions(store, log, cycle).await;
    let (repeated, new) = repeat(store, log, &rows, &doomed, cycle).await;
    Checked {
        found: rows.len() as u64 + decisions + new,
        repeated,
    }
}

async fn rows(store: &Arc<dyn InteractionStore>, cycle: u32) -> BTreeMap<Piece, Interaction> {
    let mut rows = BTreeMap::new();
    let mut query = ScanQuery {
        limit: MAX_PAGE,
        ..ScanQuery::new(tenant())
    };
    loop {
        let page = store
            .scan(query.clone())
            .await
            .expect("a store is scanned after a kill");
        for row in page.items {
            let piece = piece_of(&row.value);
            assert!(
                rows.insert(piece, row.value).is_none(),
                "cycle {cycle}: {piece} is there twice"
            );
        }
        match page.next {
            Some(next) => query.cursor = Some(next),
            None => return rows,
        }
    }
}

async fn check_summaries(
    store: &Arc<dyn InteractionStore>,
    rows: &BTreeMap<Piece, Interaction>,
    erased: &BTreeSet<CustomerId>,
    cycle: u32,
) {
    let mut customers: BTreeMap<CustomerId, Vec<Interaction>> = BTreeMap::new();
    for row in rows.values() {
        customers
            .entry(row.customer.clone())
            .or_default()
            .push(row.clone());
    }
    let none = erased.iter().map(|customer| (customer.clone(), Vec::new()));
    for (customer, rows) in customers.into_iter().chain(none) {
        let found = store.get_summaries(SummaryQuery::new(tenant(), customer)).await;
        let what = format!("cycle {cycle}: summaries are the fold of the rows");
        same(
            &found.expect("summaries are read after a kill"),
            &fold(&rows),
            &what,
        );
    }
}

/// What waits in the lane, in the order in which it would be told. Waits until the dead child's leases are over.
async fn waiting(outbox: &Arc<dyn Outbox>) -> Vec<Interaction> {
    let begun = Instant::now();
    let leases = loop {
        let request = LeaseRequest {
            lane: Lane::Publish,
            owner: "parent".to_owned(),
            ttl: Duration::from_secs(60),
            max_ranges: RANGES,
            destination: Destination::unnamed(),
        };
        let leases = outbox
            .lease(request)
            .await
            .expect("ranges are leased after a kill")
            .leases;
        if leases.len() == usize::from(RANGES) {
            break leases;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "the leases of a dead relay expire"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let mut found = Vec::new();
    for lease in &leases {
        let mut in_flight = Vec::new();
        loop {
            let from = vec![FetchFrom::but(lease.clone(), in_flight.clone())];
            let entries = outbox
                .fetch(from, 1_000)
                .await
                .expect("a leased range is fetched");
            if entries.is_empty() {
                break;
            }
            in_flight.extend(entries.iter().map(|entry| entry.position));
            found.extend(entries.into_iter().filter_map(|entry| match entry.payload {
                OutboxPayload::Interaction(interaction) => Some(interaction),
                _ => None,
            }));
        }
    }
    outbox.release(leases).await.expect("leases are given back");
    found
}

async fn check_outbox(
    outbox: &Arc<dyn Outbox>,
    log: &Log,
    rows: &BTreeMap<Piece, Interaction>,
    doomed: &BTreeSet<CustomerId>,
    erased: &BTreeSet<CustomerId>,
    cycle: u32,
) {
    let mut unsettled = BTreeSet::new();
    let mut last: BTreeMap<(CustomerId, u32), u32> = BTreeMap::new();
    for entry in waiting(outbox).await {
        let piece = piece_of(&entry);
        assert!(unsettled.insert(piece), "cycle {cycle}: {piece} waits twice");
        assert!(
            !log.settled.contains(&piece),
            "cycle {cycle}: {piece} waits again after it was settled"
        );
        assert!(
            !erased.contains(&piece.customer()),
            "cycle {cycle}: {piece} waits and was erased"
        );
        let there = rows.contains_key(&piece) || doomed.contains(&piece.customer());
        assert!(there, "cycle {cycle}: {piece} waits without its row");
        // A customer is one task's, which writes in the order of its numbers.
        if let Some(before) = last.insert((piece.customer(), piece.cycle), piece.number) {
            assert!(
                before < piece.number,
                "cycle {cycle}: {piece} waits before an earlier one of its customer"
            );
        }
    }
    for piece in rows.keys() {
        let kept = unsettled.contains(piece) || log.told.contains(piece);
        assert!(kept, "cycle {cycle}: {piece} was recorded and its entry is lost");
    }
}

async fn check_decisions(store: &Arc<dyn InteractionStore>, log: &mut Log, cycle: u32) -> u64 {
    let mut found = 0;
    for piece in &log.tried_decisions {
        let decision = piece.decision();
        let there = store
            .decision(&tenant(), &decision.id)
            .await
            .expect("a decision is read after a kill");
        let acked = log.acked_decisions.contains(piece);
        assert!(
            !acked || there.is_some(),
            "cycle {cycle}: decision {piece} was acknowledged and is lost"
        );
        if let Some(there) = &there {
            assert!(
                *there == decision,
                "cycle {cycle}: decision {piece} is not what was recorded"
            );
            found += 1;
        }
        if !acked {
            let again = store
                .record_decision(decision.clone())
                .await
                .expect("a decision is repeated");
            assert_eq!(
                again.is_new(),
                there.is_none(),
                "cycle {cycle}: a repeated decision is answered exactly"
            );
            found += u64::from(again.is_new());
        }
    }
    log.acked_decisions.clone_from(&log.tried_decisions);
    found
}

/// Repeats every call whose answer the kill took, and some whose answer came. Returns how many of the first kind
/// there were, and how many of them are there only now.
async fn repeat(
    store: &Arc<dyn InteractionStore>,
    log: &mut Log,
    rows: &BTreeMap<Piece, Interaction>,
    doomed: &BTreeSet<CustomerId>,
    cycle: u32,
) -> (u64, u64) {
    let mut new = 0;
    let open: Vec<Piece> = log.tried.difference(&log.acked).copied().collect();
    for piece in &open {
        let again = store
            .record_event(piece.interaction())
            .await
            .expect("a call is repeated");
        let id = piece.interaction().id.clone();
        let there = rows.contains_key(piece);
        let is_right = again.id() == &id && again.is_new() != there;
        assert!(
            is_right || doomed.contains(&piece.customer()),
            "cycle {cycle}: {piece}, {}, was repeated and answered {again:?}",
            if there {
                "which is there"
            } else {
                "which is not there"
            },
        );
        new += u64::from(again.is_new());
        log.acked.insert(*piece);
    }
    for piece in log.acked.iter().rev().step_by(17).take(50) {
        let again = store
            .record_event(piece.interaction())
            .await
            .expect("a call is repeated");
        assert!(
            !again.is_new(),
            "cycle {cycle}: {piece} was acknowledged, and its repetition is new"
        );
    }
    (open.len() as u64, new)
}

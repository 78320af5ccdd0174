//! The rules that the reference settles; what it shares with other backends is asked by the suite.

mod erasure;
mod outbox;

use chrono::TimeDelta;

use super::{MemoryOptions, MemoryPlace, MemoryStore};
use crate::digest::MasterKey;
use crate::outbox::{Lane, LaneSet};
use crate::store::{
    Accepted, BatchOutcome, Epoch, Erasure, ErasureId, FenceRequest, Generation, HistoryQuery, Origin, Purge,
    Record, RecordBatch, Recorded, ScanCursor, ScanQuery, SummaryQuery, Tombstone, TombstoneQuery,
};
use crate::time::{Clock, ManualClock, Timestamp};
use crate::{
    Attributes, CustomerId, Decision, DecisionFields, DecisionFlowKey, Effect, Error, ErrorKind, Interaction,
    InteractionBuilder, InteractionStore, RecommendationId, TenantId,
};

fn noon() -> Timestamp {
    "2026-04-30T12:00:00Z".parse().unwrap()
}

fn tenant() -> TenantId {
    TenantId::new("t").unwrap()
}

fn anna() -> CustomerId {
    CustomerId::new("anna").unwrap()
}

fn shown(key: &str) -> InteractionBuilder {
    Interaction::builder("t", "anna")
        .offer("shoes")
        .creative("banner")
        .channel("web")
        .timestamp(noon())
        .id(format!("id-of-{key}"))
        .idempotency_key(key)
}

fn event(key: &str) -> Interaction {
    shown(key).build().unwrap()
}

fn at(generation: u32, value: Interaction) -> Accepted<Interaction> {
    let generation = Generation(generation);
    Accepted { value, generation }
}

/// A store under a clock that stands still, and that clock.
fn store() -> (MemoryStore, ManualClock) {
    let clock = ManualClock::at(noon());
    let options = MemoryOptions::default().with_clock(clock.clone());
    (MemoryPlace::new(options).open(), clock)
}

fn erasure(id: &str) -> Erasure {
    Erasure {
        tenant: tenant(),
        customer: anna(),
        id: ErasureId::new(id).unwrap(),
    }
}

async fn replicate(store: &MemoryStore, record: Accepted<Interaction>) -> Result<Recorded, Error> {
    let outcome = store.record_events(RecordBatch::accepted(Origin::Replicated, [record]));
    only(outcome.await.unwrap())
}

fn only<T>(outcome: BatchOutcome<T>) -> Result<T, Error> {
    let mut results = outcome.into_results();
    assert_eq!(results.len(), 1);
    results.remove(0)
}

async fn rows(store: &MemoryStore) -> Vec<Interaction> {
    let page = store.history(HistoryQuery::new(tenant(), anna())).await.unwrap();
    assert!(page.next.is_none());
    page.items
}

/// How many impressions of all time the summaries of the channel tell.
async fn counted(store: &MemoryStore) -> u64 {
    let query = SummaryQuery::new(tenant(), anna());
    let summaries = store.get_summaries(query).await.unwrap();
    summaries
        .iter()
        .filter(|summary| summary.period == crate::Period::ALL_TIME)
        .filter(|summary| summary.dimension == crate::Dimension::Channel)
        .map(|summary| summary.stats.impressions)
        .sum()
}

#[tokio::test]
async fn a_retry_under_another_id_and_timestamp_is_the_first() {
    let (store, _) = store();
    let first = store.record_event(event("a")).await.unwrap();
    let again = shown("a").id("other").timestamp(noon() - TimeDelta::days(40));
    let again = store.record_event(again.build().unwrap()).await.unwrap();
    assert_eq!(again, Recorded::Duplicate(first.id().clone()));
    assert_eq!((rows(&store).await.len(), counted(&store).await), (1, 1));
}

#[tokio::test]
async fn one_id_and_timestamp_under_two_keys_are_two_rows_and_pages_skip_neither() {
    let (store, _) = store();
    for key in ["a", "b", "c", "d"] {
        store
            .record_event(shown(key).id("same").build().unwrap())
            .await
            .unwrap();
    }
    let mut query = HistoryQuery::new(tenant(), anna());
    query.limit = 1;
    let mut keys = Vec::new();
    loop {
        let page = store.history(query.clone()).await.unwrap();
        keys.extend(page.items.iter().map(|row| row.idempotency_key.to_string()));
        match page.next {
            // A cursor goes round as text.
            Some(cursor) => query.cursor = Some(cursor.to_string().parse().unwrap()),
            None => break,
        }
    }
    assert_eq!(keys.len(), 4);
    keys.sort();
    assert_eq!(keys, ["a", "b", "c", "d"]);
}

#[tokio::test]
async fn before_the_watermark_a_live_record_is_refused_and_a_replicated_one_counts_without_a_row() {
    let (store, _) = store();
    let before = noon() + TimeDelta::milliseconds(1);
    let purge = |before| Purge {
        tenant: tenant(),
        before,
    };
    let receipt = store.purge_before(purge(before)).await.unwrap();
    assert_eq!(receipt.watermark, before);
    let error = store.record_event(event("live")).await.unwrap_err();
    assert_eq!(error.field(), Some("timestamp"));
    assert!(replicate(&store, at(0, event("copied"))).await.unwrap().is_new());
    assert!(!replicate(&store, at(0, event("copied"))).await.unwrap().is_new());
    assert_eq!((rows(&store).await.len(), counted(&store).await), (0, 1));
    // A watermark does not move back.
    assert_eq!(store.purge_before(purge(noon())).await.unwrap().watermark, before);
}

#[tokio::test]
async fn dedupe_records_outlive_the_horizon_with_their_row_and_the_row_within_the_horizon() {
    let (store, clock) = store();
    let purge = |before| {
        store.purge_before(Purge {
            tenant: tenant(),
            before,
        })
    };
    store.record_event(event("old")).await.unwrap();
    clock.advance(TimeDelta::days(31));
    let new = shown("new").timestamp(clock.now()).build().unwrap();
    store.record_event(new.clone()).await.unwrap();
    purge(noon()).await.unwrap();
    assert!(
        !store.record_event(event("old")).await.unwrap().is_new(),
        "its row is there"
    );
    purge(clock.now() + TimeDelta::milliseconds(1)).await.unwrap();
    assert!(
        !store.record_event(new).await.unwrap().is_new(),
        "it arrived today"
    );
    // Forgotten: so what is wrong with it now is its timestamp.
    let error = store.record_event(event("old")).await.unwrap_err();
    assert_eq!(error.field(), Some("timestamp"));
}

#[tokio::test]
async fn a_fence_refuses_older_epochs_inside_and_names_the_lanes() {
    let (store, _) = store();
    let raise = |epoch, lanes| {
        store.raise_fence(FenceRequest {
            tenant: tenant(),
            epoch: Epoch(epoch),
            lanes,
        })
    };
    let first = raise(3, Some(LaneSet::of(&[Lane::Replicate]))).await.unwrap();
    let error = store.record_event(event("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fenced);
    assert!(error.is_transient() && error.effect() == Effect::NotApplied);
    assert_eq!(raise(2, None).await.unwrap_err().kind(), ErrorKind::Fenced);
    let live = RecordBatch::live([event("a")]).with_epoch(Epoch(3));
    only(store.record_events(live).await.unwrap()).unwrap();
    let outbox = store.outbox().unwrap();
    assert_eq!(outbox.status(Lane::Replicate).await.unwrap().backlog, 1);
    assert_eq!(outbox.status(Lane::Publish).await.unwrap().backlog, 0);
    let second = raise(3, Some(LaneSet::NONE)).await.unwrap();
    assert_eq!(second.lanes, LaneSet::NONE);
    assert_eq!(second.incarnation, first.incarnation);
    assert!(second.sequence > first.sequence);
    assert_eq!(
        raise(4, None).await.unwrap().lanes,
        LaneSet::NONE,
        "none given leaves them"
    );
}

#[tokio::test]
async fn only_live_records_are_written_into_lanes() {
    let place = MemoryPlace::new(MemoryOptions::default().with_lanes(LaneSet::of(&Lane::ALL)));
    let (store, outbox) = (place.open(), place.open().outbox().unwrap());
    assert!(replicate(&store, at(0, event("a"))).await.unwrap().is_new());
    let backfill = RecordBatch::accepted(Origin::Backfill, [at(0, event("b"))]);
    assert!(
        only(store.record_events(backfill).await.unwrap())
            .unwrap()
            .is_new()
    );
    assert!(store.record_event(event("c")).await.unwrap().is_new());
    assert!(!store.record_event(event("c")).await.unwrap().is_new());
    for lane in Lane::ALL {
        assert_eq!(outbox.status(lane).await.unwrap().backlog, 1);
    }
}

#[tokio::test]
async fn a_decision_is_known_by_its_id_and_its_content() {
    let (store, clock) = store();
    let decision = |flow: &str| {
        let fields = DecisionFields {
            id: RecommendationId::new("r").unwrap(),
            tenant: tenant(),
            customer: anna(),
            flow: DecisionFlowKey::new(flow).unwrap(),
            offers: Vec::new(),
            timestamp: clock.now(),
            attributes: Attributes::default(),
        };
        Decision::new(fields, &clock).unwrap()
    };
    assert!(store.record_decision(decision("home")).await.unwrap().is_new());
    clock.advance(TimeDelta::seconds(1));
    assert!(!store.record_decision(decision("home")).await.unwrap().is_new());
    let error = store.record_decision(decision("cart")).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.operation()),
        (ErrorKind::Conflict, "record_decision")
    );
    let before = clock.now();
    let purge = Purge {
        tenant: tenant(),
        before,
    };
    assert_eq!(store.purge_before(purge).await.unwrap().decisions, 1);
    let id = RecommendationId::new("r").unwrap();
    assert_eq!(store.decision(&tenant(), &id).await.unwrap(), None);
    assert!(!store.record_decision(decision("home")).await.unwrap().is_new());
}

#[tokio::test]
async fn scans_return_everything_once_and_refuse_foreign_cursors() {
    let (store, _) = store();
    for customer in ["anna", "bert", "carl"] {
        for key in 0..3 {
            let event = Interaction::builder("t", customer)
                .offer("o")
                .creative("k")
                .channel("web")
                .id(format!("{key}"))
                .idempotency_key(format!("{customer}-{key}"));
            store
                .record_event(event.timestamp(noon()).build().unwrap())
                .await
                .unwrap();
        }
    }
    let mut query = ScanQuery::new(tenant());
    query.limit = 2;
    let mut keys = std::collections::BTreeSet::new();
    let mut pages = 0;
    loop {
        let page = store.scan(query.clone()).await.unwrap();
        pages += 1;
        for row in page.items {
            assert!(keys.insert(row.value.idempotency_key.to_string()));
        }
        query.cursor = page.next;
        if query.cursor.is_none() {
            break;
        }
    }
    assert_eq!((keys.len(), pages), (9, 5));
    query.cursor = Some(ScanCursor::new("d.r1"));
    assert_eq!(store.scan(query).await.unwrap_err().field(), Some("cursor"));
}

#[tokio::test]
async fn a_place_outlives_its_handles_and_a_disconnected_one_stays_away() {
    let place = MemoryPlace::default();
    let store = place.open();
    assert!(store.capabilities().persistent && !MemoryStore::new().capabilities().persistent);
    store.record_event(event("a")).await.unwrap();
    let (clone, outbox) = (store.clone(), store.outbox().unwrap());
    store.disconnect().await.unwrap();
    store.disconnect().await.unwrap();
    for error in [
        clone.record_event(event("b")).await.unwrap_err(),
        outbox.status(Lane::Publish).await.unwrap_err(),
    ] {
        assert_eq!(
            (error.kind(), error.effect()),
            (ErrorKind::Unavailable, Effect::NotApplied)
        );
        assert!(!error.is_transient());
        assert_eq!(error.backend(), "memory");
    }
    assert_eq!(rows(&place.open()).await.len(), 1);
    assert_eq!(rows(&store.open_again()).await.len(), 1);
}

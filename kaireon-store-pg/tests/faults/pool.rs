//! A pool whose connections are all in use.

use std::time::Duration;

use kaireon_core::outbox::{
    DeadLetterQuery, Destination, FetchFrom, HostEvent, Lane, LaneSet, Lease, LeaseRequest,
};
use kaireon_core::store::{
    Epoch, Erasure, ErasureId, FenceRequest, Generation, HistoryQuery, Purge, RecordBatch, ScanQuery,
    SummaryQuery, Tombstone, TombstoneQuery,
};
use kaireon_core::time::{Clock, SystemClock};
use kaireon_core::{
    CustomerId, Decision, DecisionFields, DecisionFlowKey, Effect, Error, ErrorKind, Event, InteractionStore,
    RecommendationId, Result, TenantId,
};
use kaireon_store_pg::{PgStore, PgStoreConfig};
use sqlx::postgres::PgPoolOptions;

use crate::place::{LONG, Place, event, facts, insist};

fn tenant() -> TenantId {
    TenantId::new("t").unwrap()
}

fn anna() -> CustomerId {
    CustomerId::new("anna").unwrap()
}

fn decision() -> Decision {
    let fields = DecisionFields {
        id: RecommendationId::new("d").unwrap(),
        tenant: tenant(),
        customer: anna(),
        flow: DecisionFlowKey::new("f").unwrap(),
        offers: Vec::new(),
        timestamp: SystemClock.now(),
        attributes: kaireon_core::Attributes::default(),
    };
    Decision::new(fields, &SystemClock).unwrap()
}

/// The error of the only item.
fn of_item<T: std::fmt::Debug>(outcome: Result<kaireon_core::store::BatchOutcome<T>>) -> Result<()> {
    outcome.and_then(|outcome| outcome.into_values().map(drop))
}

#[tokio::test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_pool_that_is_used_up_is_rate_limited_and_not_applied_to_every_operation() {
    let place = Place::shared().await;
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(Duration::from_secs(1))
        .connect_lazy(place.url())
        .unwrap();
    // On a busy machine a connection may take longer than a caller waits for one.
    let opened = async {
        loop {
            let PgStoreConfig { connect, options } = place.config();
            if let Ok(store) = PgStore::from_pool(pool.clone(), connect, options).await {
                return store;
            }
        }
    };
    let store = tokio::time::timeout(LONG, opened).await.unwrap();
    insist(&store, &event("anna", "first")).await;
    let outbox = store.outbox().unwrap();
    // The host has it, once the store has left it.
    let taken = async {
        loop {
            if let Ok(connection) = pool.acquire().await {
                return connection;
            }
        }
    };
    let taken = tokio::time::timeout(LONG, taken).await.unwrap();
    let stone = Tombstone {
        customer: kaireon_core::digest::Digest::from_bytes([7; 16]),
        generation: Generation(1),
    };
    let lease = Lease {
        lane: Lane::Publish,
        range: 0,
        token: 1,
        expires: SystemClock.now(),
    };
    let told = HostEvent {
        tenant: tenant(),
        customer: Some(anna()),
        event: Event::new("model.updated.v1", &serde_json::json!({})).unwrap(),
    };
    let scan = || ScanQuery::new(tenant());
    let erasure = Erasure {
        tenant: tenant(),
        customer: anna(),
        id: ErasureId::fresh(),
    };
    let purge = Purge {
        tenant: tenant(),
        before: SystemClock.now() - chrono::TimeDelta::days(30),
    };
    let fence = FenceRequest {
        tenant: tenant(),
        epoch: Epoch(1),
        lanes: None,
    };
    let leasing = LeaseRequest {
        lane: Lane::Publish,
        owner: "me".to_owned(),
        ttl: Duration::from_secs(60),
        max_ranges: 1,
        destination: Destination::unnamed(),
    };
    let new_tenant = || {
        let shown = kaireon_core::Interaction::builder("new", "anna")
            .offer("o")
            .creative("k")
            .channel("web");
        shown.build().unwrap()
    };
    let refused: Vec<(&str, Error)> = [
        (
            "record_event",
            store.record_event(event("anna", "second")).await.map(drop),
        ),
        (
            "record_event of a new tenant",
            store.record_event(new_tenant()).await.map(drop),
        ),
        (
            "record_events",
            of_item(
                store
                    .record_events(RecordBatch::live([event("anna", "third")]))
                    .await,
            ),
        ),
        (
            "record_decision",
            store.record_decision(decision()).await.map(drop),
        ),
        (
            "record_decisions",
            of_item(store.record_decisions(RecordBatch::live([decision()])).await),
        ),
        (
            "get_summaries",
            store
                .get_summaries(SummaryQuery::new(tenant(), anna()))
                .await
                .map(drop),
        ),
        (
            "history",
            store.history(HistoryQuery::new(tenant(), anna())).await.map(drop),
        ),
        ("scan", store.scan(scan()).await.map(drop)),
        ("scan_decisions", store.scan_decisions(scan()).await.map(drop)),
        (
            "decision",
            store
                .decision(&tenant(), &RecommendationId::new("d").unwrap())
                .await
                .map(drop),
        ),
        ("erase_customer", store.erase_customer(erasure).await.map(drop)),
        (
            "tombstones",
            store.tombstones(TombstoneQuery::new(tenant())).await.map(drop),
        ),
        (
            "install_tombstones",
            store.install_tombstones(&tenant(), vec![stone]).await,
        ),
        ("purge_before", store.purge_before(purge).await.map(drop)),
        ("raise_fence", store.raise_fence(fence).await.map(drop)),
        ("fence", store.fence(&tenant()).await.map(drop)),
        ("ping", store.ping().await),
        ("lanes", outbox.lanes().await.map(drop)),
        ("set_lanes", outbox.set_lanes(LaneSet::NONE).await),
        ("append", outbox.append(vec![told]).await),
        ("lease", outbox.lease(leasing).await.map(drop)),
        ("release", outbox.release(vec![lease.clone()]).await),
        (
            "fetch",
            outbox
                .fetch(vec![FetchFrom::all(lease.clone())], 1)
                .await
                .map(drop),
        ),
        (
            "settle",
            outbox
                .settle(
                    std::slice::from_ref(&lease),
                    vec![kaireon_core::outbox::Settlement {
                        range: 0,
                        position: kaireon_core::outbox::Position(1),
                        verdict: kaireon_core::outbox::Verdict::Delivered,
                    }],
                )
                .await,
        ),
        (
            "dead_letters",
            outbox
                .dead_letters(DeadLetterQuery::new(Lane::Publish))
                .await
                .map(drop),
        ),
        (
            "replay",
            outbox
                .replay(
                    Lane::Publish,
                    vec![kaireon_core::outbox::DeadLetterId {
                        range: 0,
                        position: kaireon_core::outbox::Position(1),
                    }],
                )
                .await
                .map(drop),
        ),
        ("status", outbox.status(Lane::Publish).await.map(drop)),
    ]
    .into_iter()
    .map(|(name, answer)| (name, answer.expect_err(name)))
    .collect();
    for (name, error) in refused {
        assert_eq!(
            facts(&error),
            (ErrorKind::RateLimited, Effect::NotApplied, true),
            "{name}: {error:?}"
        );
    }
    drop(taken);
    insist(&store, &event("anna", "second")).await;
    assert_eq!(place.number("SELECT count(*) FROM {s}.history").await, 2);
    assert_eq!(place.number("SELECT count(*) FROM {s}.tombstones").await, 0);
    store.disconnect().await.unwrap();
    pool.close().await;
    place.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_pool_of_as_many_connections_as_writers_makes_a_month_that_is_missing() {
    for writers in [1, 2] {
        let place = Place::shared().await;
        let mut config = place.config();
        config.options.writers = writers;
        config.connect.max_connections = u32::from(writers);
        let store = PgStore::connect(config).await.unwrap();
        let mut events = Vec::new();
        for month in 1..=4 {
            // All writers have a connection, and find at once that the month is missing.
            let batch = |at: &str| -> Vec<_> {
                let of = |n: usize| {
                    let shown = kaireon_core::Interaction::builder("t", format!("c{n}"))
                        .offer("o")
                        .creative("k")
                        .channel("web");
                    let shown = shown.idempotency_key(format!("{at}-{n}"));
                    let shown = match at {
                        "now" => shown.idempotency_key(format!("{month}-{n}")),
                        at => shown.timestamp(at.parse().unwrap()),
                    };
                    shown.build().unwrap()
                };
                (0..16).map(of).collect()
            };
            for at in ["now", &format!("2012-0{month}-02T00:00:00Z")] {
                let batch = batch(at);
                let recorded = store
                    .record_events(RecordBatch::live(batch.clone()))
                    .await
                    .unwrap();
                assert!(
                    recorded
                        .into_values()
                        .unwrap()
                        .iter()
                        .all(|recorded| recorded.is_new())
                );
                events.extend(batch);
            }
        }
        store.disconnect().await.unwrap();
        place.assert_exactly(&events, false).await;
        place.close().await;
    }
}

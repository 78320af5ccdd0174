//! Live records that lie ahead of the clock: the facade compares with it what serde read.

use kaireon::core::store::{Accepted, Generation, Origin, RecordBatch};
use kaireon::core::time::{Clock, MAX_AHEAD, SystemClock, Timestamp};
use kaireon::core::{
    Attributes, CustomerId, Decision, DecisionFields, DecisionFlowKey, Error, Interaction, RecommendationId,
    TenantId,
};

use crate::support::{in_memory, shown};

/// A minute before the bound, and a minute past it: what lies at it is tested in core, by a clock that stands.
fn near_the_bound() -> [Timestamp; 2] {
    let minute = std::time::Duration::from_secs(60);
    let bound = SystemClock.now() + MAX_AHEAD;
    [bound - minute, bound + minute]
}

fn read(key: &str, timestamp: Timestamp) -> Interaction {
    let mut json = serde_json::to_value(shown("anna", key)).unwrap();
    json["timestamp"] = serde_json::to_value(timestamp).unwrap();
    serde_json::from_value(json).unwrap()
}

fn decided(id: &str, timestamp: Timestamp) -> Decision {
    let fields = DecisionFields {
        id: RecommendationId::new(id).unwrap(),
        tenant: TenantId::new("acme").unwrap(),
        customer: CustomerId::new("anna").unwrap(),
        flow: DecisionFlowKey::new("homepage").unwrap(),
        offers: Vec::new(),
        timestamp,
        attributes: Attributes::default(),
    };
    serde_json::from_value(serde_json::to_value(fields).unwrap()).unwrap()
}

fn is_of_the_time(error: &Error) {
    assert_eq!(error.field(), Some("timestamp"), "{error}");
}

#[tokio::test]
async fn live_records_too_far_ahead_are_refused_one_by_one() {
    let infra = in_memory().await;
    let store = infra.store();
    let [near, past] = near_the_bound();
    let end = "9999-12-31T23:59:59.999Z".parse().unwrap();

    assert!(store.record_event(read("k1", near)).await.unwrap().is_new());
    for ahead in [past, end] {
        is_of_the_time(&store.record_event(read("k2", ahead)).await.unwrap_err());
    }
    let batch = RecordBatch::live([
        read("k2", past),
        read("k3", near),
        read("k4", end),
        read("k1", near),
        read("k5", end),
    ]);
    let results = store.record_events(batch).await.unwrap().into_results();
    assert_eq!(results.len(), 5);
    for refused in [0, 2, 4] {
        is_of_the_time(results[refused].as_ref().unwrap_err());
    }
    assert!(results[1].as_ref().unwrap().is_new());
    assert!(!results[3].as_ref().unwrap().is_new(), "each at its place");

    assert!(store.record_decision(decided("r1", near)).await.unwrap().is_new());
    is_of_the_time(&store.record_decision(decided("r2", past)).await.unwrap_err());
    let batch = RecordBatch::live([decided("r2", past), decided("r3", near)]);
    let results = store.record_decisions(batch).await.unwrap().into_results();
    is_of_the_time(results[0].as_ref().unwrap_err());
    assert!(results[1].as_ref().unwrap().is_new());
    assert_eq!(results.len(), 2);
}

#[tokio::test]
async fn what_another_store_accepted_keeps_its_time() {
    let infra = in_memory().await;
    let [_, past] = near_the_bound();
    for (origin, key) in [(Origin::Replicated, "k1"), (Origin::Backfill, "k2")] {
        let accepted = Accepted {
            value: read(key, past),
            generation: Generation::ZERO,
        };
        let batch = RecordBatch::accepted(origin, [accepted]);
        let recorded = infra.store().record_events(batch).await.unwrap();
        assert!(recorded.into_values().unwrap()[0].is_new());
    }
}

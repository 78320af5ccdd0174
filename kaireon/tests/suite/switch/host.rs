//! What a host sees of a switch: health, shutdown, reset.

use kaireon::{Part, Status};

use super::*;
use crate::support::{recorded_topic, until};

#[tokio::test]
async fn health_tells_of_each_store_and_each_lane_and_one_store_that_is_away_is_not_all() {
    let directory = tempfile::tempdir().unwrap();
    let infra = memory_and_embedded(directory.path()).start().await.unwrap();
    let health = infra.health().await;
    assert!(health.ready, "{health}");
    let parts: Vec<_> = (health.parts.iter())
        .map(|part| (part.part, part.backend.as_str(), part.status))
        .collect();
    for expected in [
        (Part::Store, "memory", Status::Up),
        (Part::Store, "embedded", Status::Up),
        (Part::Relay, "publish of memory", Status::Up),
        (Part::Replication, "replicate of embedded", Status::Up),
    ] {
        assert!(parts.contains(&expected), "{parts:?}");
    }
    assert!(health.part(Part::Settings).is_some());
    assert!(
        (health.parts.iter())
            .filter(|part| matches!(part.part, Part::Relay | Part::Replication))
            .all(|part| part.backlog == Some(0))
    );

    let stores = infra.tenant_switch().unwrap().stores().clone();
    stores.get(&name("embedded")).unwrap().disconnect().await.unwrap();
    let health = infra.health().await;
    assert!(
        health.ready,
        "the tenants of the other store are served: {health}"
    );
    assert!(health.parts.iter().any(|part| part.status == Status::Down));
    stores.get(&name("memory")).unwrap().disconnect().await.unwrap();
    assert!(!infra.health().await.ready);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_brings_over_and_tells_what_was_recorded() {
    let directory = tempfile::tempdir().unwrap();
    let config = memory_and_embedded(directory.path());
    let infra = config.start().await.unwrap();
    operator(&infra)
        .start(&tenant(), start("embedded"), &asked())
        .await
        .unwrap();
    let listener = listen(infra.events().subscribe(recorded_topic()).await.unwrap());
    for number in 0..200 {
        record(&infra, number).await;
    }
    let tenants = infra.tenant_switch().unwrap();
    let report = infra.shutdown(LONG).await;
    assert!(report.is_clean(), "{report}");
    for part in Part::ALL {
        assert!(report.outcome(part).is_some(), "{part} is not in: {report}");
    }
    assert_eq!(listener.await.unwrap().len(), 200);
    assert!(tenants.switch_store().ping().await.is_err(), "it was let go of");
    // The embedded store has them all.
    let alone = memory_and_embedded(directory.path()).with_interaction_store("embedded");
    let alone = kaireon::switch::open(&alone).await.unwrap();
    let embedded = alone.stores().get(&name("embedded")).unwrap();
    assert_eq!(keys(embedded).await, numbered(0..200));
    alone.disconnect().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_keeps_a_switch_that_is_the_same_and_makes_one_of_a_store_and_back() {
    let directory = tempfile::tempdir().unwrap();
    let several = memory_and_embedded(directory.path()).with_interaction_store("embedded");
    let mut single = several.clone();
    single.extra.remove("KAIREON_SWITCH_STORES");
    let infra = single.clone().start().await.unwrap();
    let mut events = infra.events().subscribe(recorded_topic()).await.unwrap();
    record(&infra, 0).await;
    crate::support::next_event(&mut events).await;

    // The store stays open, its subscriber goes on, and what is recorded is told once.
    let report = infra.reset(several.clone()).await.unwrap();
    assert!(report.is_clean(), "{report}");
    assert!(infra.tenant_switch().is_some());
    record(&infra, 1).await;
    crate::support::next_event(&mut events).await;
    operator(&infra)
        .start(&tenant(), start("memory"), &asked())
        .await
        .unwrap();
    record(&infra, 2).await;
    crate::support::next_event(&mut events).await;

    let before = infra.tenant_switch().unwrap();
    let report = infra.reset(several.clone()).await.unwrap();
    assert!(report.is_clean(), "{report}");
    let same = infra.tenant_switch().unwrap();
    assert!(std::ptr::eq(
        before.settings_store().as_ref(),
        same.settings_store().as_ref()
    ));
    record(&infra, 3).await;
    crate::support::next_event(&mut events).await;

    // Another sample makes another switch over the same stores and settings.
    let report = infra
        .reset(several.clone().with_variable("KAIREON_SWITCH_READ_SAMPLE", "0.5"))
        .await
        .unwrap();
    assert!(report.is_clean(), "{report}");
    assert_eq!(phase(&infra).await, Phase::DualWrite);
    record(&infra, 4).await;
    crate::support::next_event(&mut events).await;
    let stores = infra.tenant_switch().unwrap().stores().clone();
    until("it is brought to the other side", async || {
        let memory = stores.get(&name("memory")).unwrap();
        let of = CustomerId::new(customer(4)).unwrap();
        !memory
            .history(HistoryQuery::new(tenant(), of))
            .await
            .unwrap()
            .items
            .is_empty()
    })
    .await;
    operator(&infra).roll_back(&tenant(), &asked()).await.unwrap();

    // Without a switch again: under no epoch the store refuses a tenant that was moved.
    let report = infra.reset(single).await.unwrap();
    assert!(report.is_clean(), "{report}");
    assert!(infra.tenant_switch().is_none());
    let refused = infra
        .store()
        .record_event(shown("c", "without"))
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), kaireon::core::ErrorKind::Fenced);
    ended(infra).await;
}

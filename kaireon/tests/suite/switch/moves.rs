//! A tenant is moved between stores while it is used.

use kaireon::core::Interaction;
use kaireon::core::time::{Clock, SystemClock};

use super::*;
use crate::support::{recorded_topic, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_is_moved_there_and_back_while_it_records_and_a_subscriber_is_told_of_all() {
    let directory = tempfile::tempdir().unwrap();
    let infra = memory_and_embedded(directory.path()).start().await.unwrap();
    let subscriber = infra.events().subscribe(recorded_topic()).await.unwrap();
    let listener = listen(subscriber);
    for number in 0..50 {
        record(&infra, number).await;
    }
    let recording = Recording::begin(&infra, 50);
    let operator = operator(&infra);
    move_to(&operator, "embedded").await;
    let there = status(&infra).await;
    assert_eq!(
        (there.phase, there.authority.as_str()),
        (Phase::CutOver, "embedded")
    );
    tokio::time::sleep(Duration::from_millis(50)).await;
    move_back(&operator).await;
    let back = status(&infra).await;
    assert_eq!((back.phase, back.authority.as_str()), (Phase::Single, "memory"));
    // A second time, to stay.
    move_to(&operator, "embedded").await;
    let count = recording.end().await;
    assert!(count > 100, "{count} records while it was moved");
    let stores = infra.tenant_switch().unwrap().stores().clone();
    assert_eq!(keys(&infra.store()).await, numbered(0..count));
    assert_eq!(
        keys(stores.get(&name("embedded")).unwrap()).await,
        numbered(0..count)
    );
    let expected = recorded(&infra).await;
    // The others stay where they are.
    let other = Interaction::builder("other", "c")
        .offer("shoes")
        .creative("banner")
        .channel("web")
        .build()
        .unwrap();
    assert!(infra.store().record_event(other.clone()).await.unwrap().is_new());
    let on_memory = stores.get(&name("memory")).unwrap().record_event(other).await;
    assert!(!on_memory.unwrap().is_new());
    ended(infra).await;
    let mut told = without_repeats(listener.await.unwrap());
    assert_eq!(
        told.remove("c").map(|ids| ids.len()),
        Some(1),
        "of the other tenant"
    );
    assert_eq!(told, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_is_moved_though_nobody_subscribes() {
    let directory = tempfile::tempdir().unwrap();
    let infra = memory_and_embedded(directory.path()).start().await.unwrap();
    let recording = Recording::begin(&infra, 0);
    move_to(&operator(&infra), "embedded").await;
    let count = recording.end().await;
    assert_eq!(keys(&infra.store()).await, numbered(0..count));
    // Whoever comes now is told of what is recorded from now on.
    let subscriber = infra.events().subscribe(recorded_topic()).await.unwrap();
    let listener = listen(subscriber);
    record(&infra, count).await;
    let expected = recorded(&infra).await[&customer(count)].last().cloned();
    ended(infra).await;
    let told = listener.await.unwrap();
    assert_eq!(told.last().map(|(_, id)| id), expected.as_ref());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_goes_on_after_a_restart_in_its_midst_and_writers_find_their_store() {
    let directory = tempfile::tempdir().unwrap();
    // From the store that outlives the process to one that does not: what the target lacks then is noticed.
    let config = memory_and_embedded(directory.path()).with_interaction_store("embedded");
    let config = config.with_variable("KAIREON_SETTINGS_STORE", "embedded");
    let acme = tenant();

    let infra = config.clone().start().await.unwrap();
    for number in 0..20 {
        record(&infra, number).await;
    }
    operator(&infra)
        .start(&acme, start("memory"), &asked())
        .await
        .unwrap();
    assert_eq!(phase(&infra).await, Phase::DualWrite);
    operator(&infra).export(&acme).await.unwrap();
    record(&infra, 20).await;
    ended(infra).await;

    let infra = config.clone().start().await.unwrap();
    assert_eq!(phase(&infra).await, Phase::DualWrite);
    record(&infra, 21).await;
    // The target came back empty, under another incarnation: the operator begins anew, and it is filled from the archive.
    operator(&infra).migrator().observe(&acme).await.unwrap();
    operator(&infra).export(&acme).await.unwrap();
    assert!(operator(&infra).backfill(&acme, &asked()).await.unwrap().complete);
    assert_eq!(phase(&infra).await, Phase::Verifying);
    let verified = operator(&infra).verify(&acme, &asked()).await.unwrap();
    assert!(verified.passed, "{verified:?}");
    let moved = operator(&infra).cut_over(&acme, &asked()).await.unwrap();
    assert_eq!(moved.outcome, Outcome::Taken);
    record(&infra, 22).await;
    let tenants = infra.tenant_switch().unwrap();
    let on_memory = tenants.stores().get(&name("memory")).unwrap();
    assert_eq!(keys(on_memory).await, numbered(0..23));
    move_back(&operator(&infra)).await;
    ended(infra).await;

    let infra = config.start().await.unwrap();
    assert_eq!(phase(&infra).await, Phase::Single);
    assert_eq!(keys(&infra.store()).await, numbered(0..23));
    record(&infra, 23).await;
    ended(infra).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_share_of_reads_that_is_asked_for_is_compared() {
    let directory = tempfile::tempdir().unwrap();
    for (share, compared) in [("0", false), ("1", true)] {
        let config = memory_and_embedded(&directory.path().join(share))
            .with_variable("KAIREON_SWITCH_READ_SAMPLE", share);
        let infra = config.start().await.unwrap();
        let operator = operator(&infra);
        record(&infra, 0).await;
        let acme = tenant();
        operator.start(&acme, start("embedded"), &asked()).await.unwrap();
        operator.export(&acme).await.unwrap();
        assert!(operator.backfill(&acme, &asked()).await.unwrap().complete);
        let switch = infra.tenant_switch().unwrap().switch_store().clone();
        let seen = async || {
            keys(&infra.store()).await;
            let seen = switch.read_comparison(&acme, SystemClock.now()).await.unwrap();
            seen.is_some_and(|seen| seen.compared > 0)
        };
        if compared {
            until("reads are compared", seen).await;
        } else {
            for _ in 0..20 {
                assert!(!seen().await);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        ended(infra).await;
    }
}

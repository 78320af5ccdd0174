//! A comparison as evidence of a migration.

use std::sync::Arc;

use kaireon_core::outbox::Lane;
use kaireon_core::{ErrorKind, InteractionStore, TenantId};
use kaireon_migrate::{Kind, Missing, Phase, Refused, Side, Step, Verifier};

use super::config;
use crate::switch::{Process, World, emptied, event, rows, tenant};

async fn missing(process: &Process, world: &World) -> Vec<Missing> {
    let pass = process.ask(Step::PassGate, world);
    let error = process.migrator.change(&tenant(), &pass).await.unwrap_err();
    let refused = std::error::Error::source(&error).unwrap();
    refused.downcast_ref::<Refused>().unwrap().missing.clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gate_is_passed_by_a_comparison_that_found_the_stores_equal() {
    let world = World::new();
    let process = world.process();
    for number in 0..20 {
        process.switch.record_event(event("anna", number)).await.unwrap();
    }
    let refused = process.migrator.verify(&tenant(), config()).await.unwrap_err();
    assert_eq!(
        refused.kind(),
        ErrorKind::Conflict,
        "there is nothing to compare yet"
    );
    let relays = process.replicate();
    process.to_verifying(&world).await;
    process.migrator.measure(&tenant()).await.unwrap();
    assert!(missing(&process, &world).await.contains(&Missing::Verification));
    process.switch.record_event(event("bert", 1)).await.unwrap();
    let (report, known) = process.migrator.verify(&tenant(), config()).await.unwrap();
    assert!(report.is_clean(), "{report:?}");
    let evidence = known.setting.under_way().unwrap().evidence.verification.unwrap();
    assert_eq!(evidence, report.evidence());
    assert!(evidence.equal > 21);
    // It grows old.
    world.clock.advance(chrono::TimeDelta::hours(2));
    process.migrator.measure(&tenant()).await.unwrap();
    let stale = missing(&process, &world).await;
    assert!(
        matches!(stale[..], [Missing::FresherEvidence { .. }]),
        "{stale:?}"
    );
    process.migrator.verify(&tenant(), config()).await.unwrap();
    let pass = process.ask(Step::PassGate, &world);
    let known = process.migrator.change(&tenant(), &pass).await.unwrap();
    assert_eq!(known.setting.phase, Phase::Ready);
    // A difference that is found later takes it back.
    super::put(process.stores[1].as_ref(), [event("carl", 1)]).await;
    let (report, known) = process.migrator.verify(&tenant(), config()).await.unwrap();
    assert_eq!(report.of(Kind::Interactions).unwrap().extra, 1);
    assert_eq!(known.setting.phase, Phase::Verifying);
    assert!(
        missing(&process, &world)
            .await
            .iter()
            .any(|missing| matches!(missing, Missing::Equality { .. }))
    );
    drop(relays);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_that_was_cut_short_is_a_difference_once() {
    // Its process died behind the authority's tombstone, and the caller with it: the authority is the same since, or another.
    for erased_on in [0, 1] {
        let world = World::new();
        let process = world.process();
        for customer in ["anna", "bert"] {
            process.switch.record_event(event(customer, 1)).await.unwrap();
        }
        let relays = process.replicate();
        process.to_verifying(&world).await;
        super::erase(process.stores[erased_on].as_ref(), "anna").await;
        let (report, known) = process.migrator.verify(&tenant(), config()).await.unwrap();
        let stones = report.of(Kind::Tombstones).unwrap();
        let found = [stones.missing, stones.extra];
        assert_eq!(found[erased_on], 1, "{report:?}");
        let evidence = known.setting.under_way().unwrap().evidence.verification.unwrap();
        assert!(evidence.differences() > 0, "what was found is what was found");
        let (report, _) = process.migrator.verify(&tenant(), config()).await.unwrap();
        assert!(report.is_clean(), "{report:?}");
        for store in &process.stores {
            let left = rows(store.as_ref()).await;
            assert_eq!(left.len(), 1, "bert is still there: {left:?}");
        }
        drop(relays);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_comparison_across_which_the_migration_moved_on_is_no_evidence() {
    let world = World::new();
    let process = world.process();
    process.switch.record_event(event("anna", 1)).await.unwrap();
    let relays = process.replicate();
    process.to_verifying(&world).await;
    let verifier = process.migrator.verifier(&tenant(), config()).await.unwrap();
    let once = Arc::new(std::sync::Once::new());
    let (migrator, change) = (process.migrator.clone(), process.ask(Step::RollBack, &world));
    let (told, moved) = std::sync::mpsc::channel();
    let verifier = verifier.with_progress(move |_| {
        let (migrator, change, told) = (migrator.clone(), change.clone(), told.clone());
        once.call_once(|| {
            tokio::task::block_in_place(|| {
                tokio::runtime::Handle::current().block_on(async {
                    migrator.change(&tenant(), &change).await.unwrap();
                });
            });
            told.send(()).unwrap();
        });
    });
    let error = process
        .migrator
        .verify_with(&tenant(), verifier)
        .await
        .unwrap_err();
    moved.recv().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let known = process.switch.settings().read(&tenant()).await.unwrap();
    assert_eq!(known.setting.phase, Phase::Single);
    emptied(&process.stores[0], Lane::Replicate).await;
    drop(relays);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_comparison_is_of_what_the_setting_names_whoever_made_it() {
    let world = World::new();
    let process = world.process();
    process.switch.record_event(event("anna", 1)).await.unwrap();
    let relays = process.replicate();
    process.to_verifying(&world).await;
    emptied(&process.stores[0], Lane::Replicate).await;
    super::put(process.stores[1].as_ref(), [event("carl", 1)]).await;
    // Of another tenant, between one store and itself: there is no difference.
    let stores = [0, 0].map(|at| Arc::clone(&process.stores[at]) as Arc<dyn InteractionStore>);
    let [one, same] = stores;
    let other = TenantId::new("other").unwrap();
    let verifier = Verifier::new(other, one, same, Side::Source).with_config(config());
    let (report, known) = process.migrator.verify_with(&tenant(), verifier).await.unwrap();
    assert_eq!(report.of(Kind::Interactions).unwrap().extra, 1, "{report:?}");
    let evidence = known.setting.under_way().unwrap().evidence.verification.unwrap();
    assert_eq!(evidence, report.evidence());
    drop(relays);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_several_look_at_at_once_has_not_gone_back() {
    let world = World::new();
    let process = world.process();
    process.switch.record_event(event("anna", 0)).await.unwrap();
    let relays = process.replicate();
    process.to_verifying(&world).await;
    let switch = process.switch.clone();
    let writes = tokio::spawn(async move {
        for number in 1..400 {
            switch.record_event(event("anna", number)).await.unwrap();
            tokio::task::yield_now().await;
        }
    });
    let looks = (0..4).map(|_| {
        let migrator = process.migrator.clone();
        tokio::spawn(async move {
            for _ in 0..100 {
                // That others look all the time is an answer, too.
                if let Err(error) = migrator.observe(&tenant()).await {
                    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
                }
                tokio::task::yield_now().await;
            }
        })
    });
    for look in looks.collect::<Vec<_>>() {
        look.await.unwrap();
    }
    writes.await.unwrap();
    let known = process.switch.settings().read(&tenant()).await.unwrap();
    assert_eq!(known.setting.phase, Phase::Verifying);
    drop(relays);
}

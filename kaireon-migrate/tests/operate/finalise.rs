//! The end of a migration: after its time, with old rows that go or stay, and never the present ones.

use kaireon_core::ErrorKind;
use kaireon_core::store::{Accepted, Generation, Origin, RecordBatch};
use kaireon_migrate::{Next, OldRows, Outcome, Phase};
use kaireon_testkit::fault::{Fault, Faulty, Plan};

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_safety_period_is_waited_out_or_overridden_by_force_which_is_recorded() {
    let (world, _relays) = world(20).await;
    moved(&world).await;
    let early = later(&world, 6 * DAY);
    let refused = early
        .finalise(&tenant(), OldRows::Drop, &asked())
        .await
        .unwrap_err();
    assert!(
        matches!(missing(&refused)[..], [Missing::SafetyPeriod { .. }]),
        "{refused:?}"
    );
    assert_eq!(held(&world.source).await, (20, 4), "nothing was dropped");
    let forced = early
        .finalise(&tenant(), OldRows::Keep, &asked().forced())
        .await
        .unwrap();
    assert_eq!(forced.overridden.len(), 1);
    let last = forced.status.last.unwrap();
    assert!(last.forced && last.author == "ops@example.com" && last.reason == "CHG-1207");
    assert_eq!(words(&last.overridden).len(), 1);
    assert_eq!((held(&world.source).await, forced.dropped), ((20, 4), None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_rows_are_gone_from_the_old_store_and_from_no_other() {
    let (world, _relays) = world(60).await;
    moved(&world).await;
    let operator = later(&world, 8 * DAY);
    assert_eq!(operator.status(&tenant()).await.unwrap().next, Next::Finalise);
    let ended = operator
        .finalise(&tenant(), OldRows::Drop, &asked())
        .await
        .unwrap();
    let dropped = ended.dropped.unwrap();
    assert_eq!(
        (dropped.interactions, dropped.decisions, dropped.left),
        (60, 12, false)
    );
    assert_eq!(ended.status.migration.unwrap().old_rows_left, Some(false));
    assert_eq!(
        (held(&world.source).await, held(&world.target).await),
        ((0, 0), (60, 12))
    );
    let again = operator
        .finalise(&tenant(), OldRows::Drop, &asked())
        .await
        .unwrap();
    assert_eq!(
        (again.outcome, again.dropped.unwrap().interactions),
        (Outcome::AlreadyTaken, 0)
    );
    let other = operator
        .finalise(&tenant(), OldRows::Keep, &asked())
        .await
        .unwrap_err();
    assert!(matches!(missing(&other)[..], [Missing::Phase { .. }]));
    // The way back to that store is closed with its rows.
    let back = Start::to(name("old"));
    let refused = operator.start(&tenant(), back, &asked()).await.unwrap_err();
    assert_eq!(missing(&refused), [Missing::DroppedRows]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn archived_rows_are_dropped_once_each_of_them_is_found_in_the_archive() {
    let (world, _relays) = world(60).await;
    moved(&world).await;
    // Only the new store's lane has it, and the old store by replication.
    world.switch.record_event(backfill::event(500)).await.unwrap();
    holds(&world.source, (61, 12)).await;
    let object = world.largest();
    let whole = std::fs::read(&object).unwrap();
    std::fs::write(&object, &whole[..whole.len() - 1]).unwrap();
    let operator = later(&world, 8 * DAY);
    let damaged = operator
        .finalise(&tenant(), OldRows::Archive, &asked())
        .await
        .unwrap_err();
    assert_eq!(damaged.kind(), ErrorKind::Corrupt);
    assert_eq!(held(&world.source).await, (61, 12), "nothing was dropped");
    assert_eq!(operator.status(&tenant()).await.unwrap().next, Next::DropOldRows);
    std::fs::write(&object, &whole).unwrap();
    let ended = operator
        .finalise(&tenant(), OldRows::Archive, &asked())
        .await
        .unwrap();
    let dropped = ended.dropped.unwrap();
    assert_eq!((dropped.found_in_archive, dropped.interactions), (73, 61));
    assert_eq!(
        (ended.outcome, held(&world.source).await),
        (Outcome::AlreadyTaken, (0, 0))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_no_object_holds_are_not_dropped() {
    let (world, _relays) = world(60).await;
    moved(&world).await;
    let operator = later(&world, 8 * DAY);
    let stray = Accepted {
        value: backfill::event(700),
        generation: Generation::ZERO,
    };
    let epoch = operator.status(&tenant()).await.unwrap().epoch;
    let batch = RecordBatch::accepted(Origin::Backfill, [stray]).with_epoch(epoch);
    let put = world.source.record_events(batch).await.unwrap();
    assert!(put.is_complete(), "{put:?}");
    let refused = operator
        .finalise(&tenant(), OldRows::Archive, &asked())
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert!(refused.context().starts_with("1 of 73 rows on old"), "{refused}");
    assert_eq!(held(&world.source).await, (61, 12));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_the_tenant_has_come_back_to_is_never_touched() {
    let (world, _relays) = world(40).await;
    moved(&world).await;
    let operator = later(&world, 8 * DAY);
    // Ended by a process that was killed before it dropped anything.
    let finalise = kaireon_migrate::Step::Finalise {
        old_rows: OldRows::Drop,
    };
    let now = SystemClock.now() + 8 * DAY;
    let change = kaireon_migrate::Change::new(finalise, "ops", "CHG-1", now).unwrap();
    operator.migrator().change(&tenant(), &change).await.unwrap();
    assert_eq!(operator.status(&tenant()).await.unwrap().next, Next::DropOldRows);
    // Somebody else comes back to that store, by force.
    let back = Start {
        target: name("old"),
        ..start()
    };
    operator.start(&tenant(), back, &asked().forced()).await.unwrap();
    for phase in [Phase::DualWrite, Phase::CutOver] {
        let refused = operator
            .finalise(&tenant(), OldRows::Drop, &asked())
            .await
            .unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict, "{phase}");
        assert_eq!(held(&world.source).await, (40, 8), "{phase}");
        if phase == Phase::DualWrite {
            let moved = operator.cut_over(&tenant(), &asked().forced()).await.unwrap();
            assert_eq!(
                (moved.outcome, moved.status.authority.as_str()),
                (Outcome::Taken, "old")
            );
        }
    }
    assert_eq!(
        world
            .switch
            .settings()
            .read(&tenant())
            .await
            .unwrap()
            .setting
            .authority,
        name("old")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drop_that_was_interrupted_is_gone_on_with() {
    // The purge, its answer, and the fence before it.
    for fault in [
        ("raise_fence", Fault::Before),
        ("purge_before", Fault::Before),
        ("purge_before", Fault::After),
    ] {
        let plan = Plan::script([]);
        let asked_of = plan.clone();
        let world = World::asked_by(memory(), memory(), move |source, target| {
            (Arc::new(Faulty::new(source, asked_of)), target)
        });
        let (world, _relays) = filled(world.await, 40).await;
        moved(&world).await;
        let operator = later(&world, 8 * DAY);
        plan.add([fault]);
        let failed = operator
            .finalise(&tenant(), OldRows::Drop, &asked())
            .await
            .unwrap_err();
        assert_eq!(
            (failed.kind(), plan.made()),
            (ErrorKind::Unavailable, 1),
            "{fault:?}"
        );
        let status = operator.status(&tenant()).await.unwrap();
        let left = fault.1 == Fault::Before;
        assert_eq!(status.phase, Phase::Finalised);
        assert_eq!(status.next == Next::DropOldRows, left, "{fault:?}");
        let ended = operator
            .finalise(&tenant(), OldRows::Drop, &asked())
            .await
            .unwrap();
        assert_eq!(ended.outcome, Outcome::AlreadyTaken);
        assert_eq!(
            (held(&world.source).await, held(&world.target).await),
            ((0, 0), (40, 8))
        );
    }
}

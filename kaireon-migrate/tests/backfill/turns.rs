//! Two who run one tenant's backfill.

use kaireon_core::ErrorKind;
use kaireon_core::time::ManualClock;
use kaireon_migrate::BackfillState;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_is_refused_while_the_first_is_at_it_and_goes_on_when_it_is_gone() {
    let world = World::new(memory(), memory()).await.ready(100).await;
    world.begin().await;
    // By this clock no lease ends by itself.
    let clock = ManualClock::at(SystemClock.now());
    let migrator = world.migrator.clone().with_clock(clock.clone());
    let (first, second) = (config(), config());
    let lease = TimeDelta::from_std(first.lease).unwrap();
    let of = |config| Backfiller::new(migrator.clone(), world.archive.clone(), config);
    let (first, second) = (of(first), of(second));
    first.pause(&tenant()).await.unwrap();
    let running = tokio::spawn({
        let first = first.clone();
        async move { first.run(&tenant()).await }
    });
    until(&first, |progress| progress.state == BackfillState::Paused).await;
    let refused = in_time(second.run(&tenant())).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert!(refused.to_string().contains("another process"), "{refused}");
    assert!(!running.is_finished(), "the first is not disturbed");
    running.abort();
    let _ = running.await;
    second.resume(&tenant()).await.unwrap();
    let refused = in_time(second.run(&tenant())).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict, "the lease lasts still");
    clock.advance(lease);
    until(&second, |progress| progress.state == BackfillState::Idle).await;
    let report = in_time(second.run(&tenant())).await.unwrap();
    assert!(report.completed.is_some());
    world.is_equal().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_taken_over_from_is_told_and_stops() {
    let world = World::new(memory(), memory()).await.ready(100).await;
    world.begin().await;
    let named = || BackfillConfig {
        owner: "the backfiller".to_owned(),
        ..config()
    };
    let (first, second) = (world.backfiller_of(named()), world.backfiller_of(named()));
    first.pause(&tenant()).await.unwrap();
    let running = tokio::spawn({
        let first = first.clone();
        async move { first.run(&tenant()).await }
    });
    until(&first, |progress| progress.state == BackfillState::Paused).await;
    let taken = tokio::spawn({
        let second = second.clone();
        async move { second.run(&tenant()).await }
    });
    let stopped = in_time(running).await.unwrap().unwrap_err();
    assert_eq!(stopped.kind(), ErrorKind::Conflict);
    second.resume(&tenant()).await.unwrap();
    let report = in_time(taken).await.unwrap().unwrap();
    assert_eq!(report.progress.applied, 120);
    world.is_equal().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_begin_at_once_one_gets_it_done() {
    let world = World::new(memory(), memory()).await.ready(100).await;
    world.begin().await;
    let runs: Vec<_> = (0..6)
        .map(|_| {
            let backfiller = world.backfiller();
            tokio::spawn(async move { backfiller.run(&tenant()).await })
        })
        .collect();
    let mut complete = 0;
    for run in runs {
        match in_time(run).await.unwrap() {
            Ok(report) => complete += u32::from(report.completed.is_some()),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict),
        }
    }
    assert_eq!(complete, 1);
    world.is_equal().await;
}

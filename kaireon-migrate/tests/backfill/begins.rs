//! What a backfill may begin from, and what ends it.

use kaireon_core::{Error, ErrorKind};
use kaireon_migrate::{BackfillState, Missing, Phase, Refused};

use super::*;

/// What is missing.
async fn refusal(world: &World) -> Vec<Missing> {
    let before = world.switch.settings().read(&tenant()).await.unwrap();
    let refused = world.backfiller().begin(&tenant(), "test", "CHG-1").await;
    let missing = missing_of(&refused.unwrap_err());
    let after = world.switch.settings().read(&tenant()).await.unwrap();
    assert_eq!(before, after, "nothing is changed by a refusal");
    missing
}

pub(super) fn missing_of(refused: &Error) -> Vec<Missing> {
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    let source = std::error::Error::source(refused).unwrap();
    source.downcast_ref::<Refused>().unwrap().missing.clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing_is_named_until_nothing_is() {
    let world = World::new(memory(), memory()).await;
    world.fill(0..20).await;
    assert!(matches!(refusal(&world).await[..], [Missing::Phase { .. }]));
    let step = Step::Start {
        target: name("new"),
        dual_write: DualWrite::Async,
        policy: Policy::default(),
    };
    let change = Change::new(step, "test", "CHG-1", SystemClock.now()).unwrap();
    world.migrator.change(&tenant(), &change).await.unwrap();
    assert_eq!(refusal(&world).await, [Missing::LanesInForce]);
    world.migrator.confirm_lanes(&tenant()).await.unwrap();
    assert_eq!(refusal(&world).await, [Missing::Export]);
    world.exporter.export_once().await.unwrap();
    assert_eq!(
        refusal(&world).await,
        [Missing::WholeExport],
        "the first run is missing"
    );
    world.export().await;
    let begun = world.begin().await;
    assert_eq!(begun.setting.phase, Phase::Backfilling);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_from_before_the_lanes_were_confirmed_is_not_enough() {
    let world = World::new(memory(), memory()).await;
    world.fill(0..20).await;
    world.export().await;
    world.fill(20..30).await;
    world.start().await;
    assert_eq!(refusal(&world).await, [Missing::LaterExport]);
    world.export().await;
    world.begin().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_of_another_store_is_none_of_this_one() {
    let world = World::new(memory(), memory()).await;
    world.fill(0..20).await;
    let other = memory();
    let lanes = LaneSet::of(&[Lane::Archive]);
    other.outbox().unwrap().set_lanes(lanes).await.unwrap();
    export(&exporter_of(&world.archive, &other)).await;
    world.start().await;
    assert_eq!(refusal(&world).await, [Missing::Export]);
}

/// The same tenant, asked by a process one of whose stores is another one under the same name.
async fn with_other_stores(
    world: &World,
    source: &Arc<dyn InteractionStore>,
    target: &Arc<dyn InteractionStore>,
) -> ErrorKind {
    let migrator = Migrator::new(switch_of(&world.settings, source, target));
    let backfiller = Backfiller::new(migrator, world.archive.clone(), config());
    let stopped = in_time(backfiller.run(&tenant())).await.unwrap_err();
    let known = world.switch.settings().read(&tenant()).await.unwrap();
    assert_eq!(known.setting.phase, Phase::DualWrite, "it begins anew");
    assert_eq!(known.setting.under_way().unwrap().evidence.backfill, None);
    stopped.kind()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_is_another_store_ends_it() {
    let world = World::new(memory(), memory()).await.ready(40).await;
    world.begin().await;
    let kind = with_other_stores(&world, &memory(), &world.target).await;
    assert_eq!(kind, ErrorKind::Conflict);
    assert!(
        rows(world.target.as_ref()).await.is_empty(),
        "nothing was applied"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_is_another_store_ends_it() {
    let world = World::new(memory(), memory()).await.ready(40).await;
    world.begin().await;
    let other = memory();
    let kind = with_other_stores(&world, &world.source, &other).await;
    assert_eq!(kind, ErrorKind::Conflict);
    assert!(rows(other.as_ref()).await.is_empty(), "nothing was applied");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_was_begun_again_is_not_completed_by_the_run_of_the_former() {
    let world = World::new(memory(), memory()).await.ready(60).await;
    world.begin().await;
    let backfiller = world.backfiller();
    backfiller.pause(&tenant()).await.unwrap();
    let former = tokio::spawn({
        let backfiller = backfiller.clone();
        async move { backfiller.run(&tenant()).await }
    });
    until(&backfiller, |progress| progress.state == BackfillState::Paused).await;
    tokio::time::sleep(Duration::from_millis(2)).await;
    world.begin().await;
    let stopped = in_time(former).await.unwrap().unwrap_err();
    assert_eq!(stopped.kind(), ErrorKind::Conflict);
    backfiller.resume(&tenant()).await.unwrap();
    let report = in_time(backfiller.run(&tenant())).await.unwrap();
    assert_eq!(report.progress.applied, 72);
    world.is_equal().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_archive_lane_an_export_is_not_enough() {
    let world = World::new(memory(), memory()).await;
    world.fill(0..20).await;
    world.export().await;
    let lanes = LaneSet::of(&[Lane::Publish]);
    let migrator = Migrator::new(switch_with(lanes, &world.settings, &world.source, &world.target));
    start(&migrator).await;
    let backfiller = Backfiller::new(migrator, world.archive.clone(), config());
    let refused = backfiller.begin(&tenant(), "test", "CHG-1").await.unwrap_err();
    assert_eq!(missing_of(&refused), [Missing::ArchiveLane]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_that_does_not_hold_the_export_is_not_taken_for_applied() {
    let world = World::new(memory(), memory()).await.ready(40).await;
    world.begin().await;
    // As where the folder is not mounted.
    let folder = tempfile::tempdir().unwrap();
    let empty = archive_in(folder.path()).await;
    let backfiller = Backfiller::new(world.migrator.clone(), empty, config());
    let refused = in_time(backfiller.run(&tenant())).await.unwrap_err();
    assert_eq!(missing_of(&refused), [Missing::Export]);
    let known = world.switch.settings().read(&tenant()).await.unwrap();
    assert_eq!(known.setting.phase, Phase::Backfilling);
    let report = in_time(world.backfiller().run(&tenant())).await.unwrap();
    assert_eq!(report.progress.applied, 48);
    world.is_equal().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_that_loses_the_export_meanwhile_is_not_taken_for_applied() {
    let world = World::new(memory(), memory()).await.ready(40).await;
    world.begin().await;
    let backfiller = world.backfiller();
    backfiller.pause(&tenant()).await.unwrap();
    let run = tokio::spawn({
        let backfiller = backfiller.clone();
        async move { backfiller.run(&tenant()).await }
    });
    until(&backfiller, |progress| {
        progress.state == BackfillState::Paused && progress.rows_total > 0
    })
    .await;
    std::fs::remove_dir_all(world.folder.path().join("exports/acme/_state")).unwrap();
    backfiller.resume(&tenant()).await.unwrap();
    let refused = in_time(run).await.unwrap().unwrap_err();
    assert_eq!(missing_of(&refused), [Missing::Export]);
    let known = world.switch.settings().read(&tenant()).await.unwrap();
    assert_eq!(known.setting.phase, Phase::Backfilling);
}

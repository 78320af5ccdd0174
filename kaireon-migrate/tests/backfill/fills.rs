//! An archive fills another store, which is then equal.

use std::time::Duration;

use kaireon_archive::RetentionPolicy;
use kaireon_core::store::PurgeReceipt;
use kaireon_core::time::ManualClock;
use kaireon_migrate::{BackfillState, Kind as VerifyKind, Phase, Side, Verifier, Why, WithoutRows};
use kaireon_testkit::fault::{Fault, Faulty, Plan};

use super::faults::edit;
use super::server::Server;
use super::*;

/// Interactions, and with the decisions rows.
const COUNT: u64 = 300;
const ROWS: u64 = COUNT + COUNT / 5;

async fn fills(source: Arc<dyn InteractionStore>, target: Arc<dyn InteractionStore>) {
    let world = World::new(source, target).await.ready(COUNT).await;
    let begun = world.begin().await;
    assert_eq!(begun.setting.phase, Phase::Backfilling);
    let backfiller = world.backfiller();
    let report = in_time(backfiller.run(&tenant())).await.unwrap();
    let progress = &report.progress;
    assert_eq!(report.completed.unwrap().setting.phase, Phase::Verifying);
    assert_eq!(
        (progress.rows_done, progress.rows_total, progress.applied),
        (ROWS, ROWS, ROWS)
    );
    assert_eq!(
        (progress.bytes_done, progress.days_done),
        (progress.bytes_total, progress.days_total)
    );
    assert!(
        progress.days_total > 12 && progress.bytes_total > 10_000,
        "{progress:?}"
    );
    assert_eq!(progress.state, BackfillState::Complete);
    assert_eq!(
        backfiller.progress(&tenant()).await.unwrap().as_ref(),
        Some(progress)
    );
    world.is_equal().await;
    // A live record is told of by the same store.
    world.target.record_event(event(COUNT)).await.unwrap();
    for lane in Lane::ALL {
        let backlog = world
            .target
            .outbox()
            .unwrap()
            .backlog(lane, &tenant())
            .await
            .unwrap();
        assert_eq!(backlog.waiting, 1, "{lane}");
    }
    // There is nothing left to run.
    let again = backfiller.run(&tenant()).await.unwrap_err();
    assert_eq!(again.kind(), kaireon_core::ErrorKind::Conflict);
    world.source.disconnect().await.unwrap();
    world.target.disconnect().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_of_memory_fills_memory() {
    fills(memory(), memory()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_of_memory_fills_the_embedded_store() {
    let folder = tempfile::tempdir().unwrap();
    fills(memory(), embedded(folder.path()).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_of_the_embedded_store_fills_memory() {
    let folder = tempfile::tempdir().unwrap();
    fills(embedded(folder.path()).await, memory()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_of_the_embedded_store_fills_another_one() {
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let [source, target] = [&folders[0], &folders[1]];
    fills(embedded(source.path()).await, embedded(target.path()).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn an_archive_of_the_embedded_store_fills_postgresql() {
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::new());
    fills(embedded(folder.path()).await, server.store().await).await;
    server.drop_schema().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn an_archive_of_postgresql_fills_the_embedded_store() {
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::new());
    fills(server.store().await, embedded(folder.path()).await).await;
    server.drop_schema().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn what_was_purged_counts_in_the_summaries_of_postgresql_and_leaves_no_row() {
    let server = Server::new();
    purged(memory(), server.store().await).await;
    server.drop_schema().await;
}

/// Rows of the first days are purged from the source after they were exported.
async fn purged(source: Arc<dyn InteractionStore>, target: Arc<dyn InteractionStore>) {
    let world = World::new(source, target).await;
    world.fill(0..200).await;
    world.export().await;
    let before = noon() + TimeDelta::hours(84);
    let gone = retain(&world, before).await;
    // Recorded since, and exported with what was purged.
    let since: Vec<_> = (200..300)
        .map(event)
        .filter(|event| event.timestamp >= before)
        .collect();
    let recorded = 200 + since.len() as u64;
    for event in since {
        world.source.record_event(event).await.unwrap();
    }
    world.start().await;
    world.export().await;
    world.begin().await;
    let report = in_time(world.backfiller().run(&tenant())).await.unwrap();
    assert!(report.completed.is_some(), "{report:?}");
    let kept = rows(world.target.as_ref()).await.len() as u64;
    assert_eq!(kept + gone.interactions, recorded);
    assert_eq!(report.progress.applied, recorded + 40, "with the decisions");
    world.is_equal().await;
    world.source.disconnect().await.unwrap();
    world.target.disconnect().await.unwrap();
}

async fn retain(world: &World, before: Timestamp) -> PurgeReceipt {
    let policy = RetentionPolicy {
        history: (SystemClock.now() - before).to_std().unwrap(),
        ..RetentionPolicy::default()
    };
    let retained = world.exporter.retain(&tenant(), &policy).await.unwrap();
    let gone = retained.purged.unwrap();
    assert!(gone.interactions > 40 && gone.decisions > 5, "{gone:?}");
    gone
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_that_is_read_again_after_the_dedupe_horizon_counts_once_though_it_was_purged() {
    let clock = ManualClock::at(SystemClock.now());
    let options = MemoryOptions::default().with_master_key(KEY);
    let target = MemoryPlace::new(options.with_clock(clock.clone())).open();
    let world = World::new(memory(), Arc::new(target)).await;
    world.fill(0..200).await;
    world.export().await;
    retain(&world, noon() + TimeDelta::hours(84)).await;
    world.start().await;
    world.export().await;
    // Of the first day, which was purged.
    let object = world.objects().remove(0);
    let whole = std::fs::read_to_string(&object).unwrap();
    let lines: Vec<_> = whole.lines().collect();
    assert!(lines.len() > 1, "others of its day are applied");
    edit(&world, &object, &whole.replacen(lines[0], "{\"schema\":1}", 1));
    world.begin().await;
    let backfiller = world.backfiller();
    let report = in_time(backfiller.run(&tenant())).await.unwrap();
    assert!(report.completed.is_none());
    assert_eq!(report.progress.unapplied, 1);
    clock.advance(TimeDelta::days(31));
    edit(&world, &object, &whole);
    let report = in_time(backfiller.run(&tenant())).await.unwrap();
    assert!(report.completed.is_some(), "{report:?}");
    world.is_equal().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_purged_counts_in_the_summaries_of_memory_and_leaves_no_row() {
    purged(memory(), memory()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_purged_counts_in_the_summaries_of_the_embedded_store_and_leaves_no_row() {
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let [source, target] = [&folders[0], &folders[1]];
    purged(embedded(source.path()).await, embedded(target.path()).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_row_is_read_from_the_source() {
    let reads = [
        "scan",
        "scan_decisions",
        "history",
        "decision",
        "get_summaries",
        "tombstones",
    ];
    let plan = Plan::script(reads.map(|read| (read, Fault::Delay(Duration::ZERO))));
    let asked = plan.clone();
    let world = World::asked_by(memory(), memory(), |source, target| {
        (Arc::new(Faulty::new(source, asked)), target)
    });
    let world = world.await.ready(60).await;
    world.begin().await;
    let report = in_time(world.backfiller().run(&tenant())).await.unwrap();
    assert!(report.completed.is_some());
    assert_eq!(plan.made(), 0, "no such call was made");
    world.is_equal().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn summaries_of_customers_without_rows_are_compared_where_the_archive_names_them() {
    let world = World::new(memory(), memory()).await;
    world.fill(0..200).await;
    world.export().await;
    // Everything that there is.
    retain(&world, noon() + TimeDelta::days(20)).await;
    assert!(rows(world.source.as_ref()).await.is_empty());
    world.start().await;
    world.export().await;
    world.begin().await;
    let report = in_time(world.backfiller().run(&tenant())).await.unwrap();
    assert!(report.completed.is_some(), "{report:?}");
    world.is_equal().await;
    let verify = async |archive: Option<&Archive>| {
        let (source, target) = (Arc::clone(&world.source), Arc::clone(&world.target));
        let verifier =
            Verifier::new(tenant(), source, target, Side::Source).with_config(crate::verify::config());
        let verifier = match archive {
            Some(archive) => verifier.with_archive(archive.clone()),
            None => verifier,
        };
        verifier.run().await.unwrap()
    };
    let unlisted = verify(None).await;
    assert!(unlisted.is_clean(), "{unlisted:?}");
    assert_eq!(unlisted.without_rows, WithoutRows::NotCompared);
    assert_eq!(unlisted.of(VerifyKind::Summaries).unwrap().equal, 0);
    let listed = verify(Some(&world.archive)).await;
    assert!(listed.is_clean(), "{listed:?}");
    assert_eq!(listed.without_rows, WithoutRows::Compared);
    assert!(
        listed.of(VerifyKind::Summaries).unwrap().equal >= 10 * 3,
        "{listed:?}"
    );
    // One more contact of somebody who has no row.
    let more = event(7).edited(|row| {
        row.idempotency_key = kaireon_core::IdempotencyKey::new("one more").unwrap();
    });
    crate::verify::put(world.target.as_ref(), [more.unwrap()]).await;
    assert!(verify(None).await.is_clean(), "nobody is listed");
    let unlike = verify(Some(&world.archive)).await;
    assert!(
        unlike.of(VerifyKind::Summaries).unwrap().different > 0,
        "{unlike:?}"
    );
    // An archive that cannot be read is never a pass.
    let folder = world.folder.path().join("exports/acme/summaries");
    let mut objects = Vec::new();
    collect(&folder, &mut objects);
    for object in objects {
        std::fs::write(object, "damaged").unwrap();
    }
    let unread = verify(Some(&world.archive)).await;
    let reasons = &unread.of(VerifyKind::Summaries).unwrap().not_compared;
    assert!(
        reasons
            .iter()
            .any(|part| matches!(part.why, Why::Unlisted { .. })),
        "{unread:?}"
    );
}

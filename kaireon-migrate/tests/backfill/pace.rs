//! Pause, resume and throttle, over restarts.

use std::num::NonZeroU32;

use kaireon_migrate::{BackfillReport, BackfillState, Drive, Pace};
use tokio::task::JoinHandle;

use super::*;

fn run(backfiller: &Backfiller) -> JoinHandle<kaireon_core::Result<BackfillReport>> {
    let backfiller = backfiller.clone();
    tokio::spawn(async move { backfiller.run(&tenant()).await })
}

/// The process ends, without a word to anybody.
async fn die(run: JoinHandle<kaireon_core::Result<BackfillReport>>) {
    run.abort();
    assert!(run.await.unwrap_err().is_cancelled());
}

/// Who holds the backfill, as it is kept.
async fn holder(world: &World) -> serde_json::Value {
    let kept: serde_json::Value = world
        .archive
        .checkpoint(&tenant(), "backfill-new")
        .await
        .unwrap()
        .unwrap();
    kept["holder"].clone()
}

/// Waits until another run than a former one has looked at its pace: it keeps itself when it begins, twice while it plans, and
/// behind each look.
async fn has_looked(world: &World, former: &serde_json::Value) {
    in_time(async {
        let mut kept = std::collections::BTreeSet::new();
        while kept.len() < 5 {
            let now = holder(world).await;
            if now["run"] != former["run"] {
                kept.insert(now["until"].to_string());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_and_a_rate_hold_at_once_and_over_a_restart() {
    let world = World::new(memory(), memory()).await.ready(200).await;
    world.begin().await;
    // The same name: what follows takes over without waiting for the lease.
    let named = BackfillConfig {
        owner: "the backfiller".to_owned(),
        ..config()
    };
    let first = world.backfiller_of(named.clone());
    assert_eq!(first.pace(&tenant()).await.unwrap(), Pace::default());
    assert_eq!(first.progress(&tenant()).await.unwrap(), None);
    first.pause(&tenant()).await.unwrap();
    let running = run(&first);
    let paused = until(&first, |progress| progress.state == BackfillState::Paused).await;
    assert_eq!((paused.rows_done, paused.rows_total, paused.eta), (0, 240, None));
    die(running).await;

    // A restart does not make it go on.
    let former = holder(&world).await;
    let second = world.backfiller_of(named.clone());
    let running = run(&second);
    has_looked(&world, &former).await;
    assert!(rows(world.target.as_ref()).await.is_empty());
    // A row a second would take four minutes.
    second.throttle(&tenant(), NonZeroU32::new(1)).await.unwrap();
    second.resume(&tenant()).await.unwrap();
    let slow = until(&second, |_| true).await;
    assert!(slow.rows_done < 240);
    in_time(async {
        while rows(world.target.as_ref()).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    die(running).await;

    let third = world.backfiller_of(named);
    let pace = Pace {
        drive: Drive::Running,
        max_rows_per_second: NonZeroU32::new(1),
        target_latency: None,
    };
    assert_eq!(third.pace(&tenant()).await.unwrap(), pace);
    let running = run(&third);
    until(&third, |progress| progress.state == BackfillState::Running).await;
    assert!(rows(world.target.as_ref()).await.len() < 100, "it is slow still");
    // Faster from here on, though a write is waiting under the old rate.
    third.throttle(&tenant(), NonZeroU32::new(5_000)).await.unwrap();
    let report = in_time(running).await.unwrap().unwrap();
    assert!(report.completed.is_some(), "{report:?}");
    world.is_equal().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_done_is_not_read_again_by_the_next_run() {
    let world = World::new(memory(), memory()).await.ready(200).await;
    world.begin().await;
    let named = BackfillConfig {
        owner: "the backfiller".to_owned(),
        ..config()
    };
    let first = world.backfiller_of(named.clone());
    first.throttle(&tenant(), NonZeroU32::new(50)).await.unwrap();
    let running = run(&first);
    let seen = until(&first, |progress| progress.rows_done >= 160).await;
    assert!(seen.eta.is_some() || seen.rows_per_second == 0, "{seen:?}");
    die(running).await;
    let kept = first.progress(&tenant()).await.unwrap().unwrap().rows_done;
    assert!((160..240).contains(&kept), "{kept}");
    let second = world.backfiller_of(named);
    second.throttle(&tenant(), None).await.unwrap();
    let report = in_time(run(&second)).await.unwrap().unwrap();
    let progress = report.progress;
    assert_eq!(progress.rows_done, 240, "each row counts once");
    // Only what was applied and not yet kept is applied twice; all of it would be at least 160.
    assert!(progress.duplicates <= 240 - kept, "{progress:?}");
    assert_eq!(progress.applied + progress.duplicates, 240);
    world.is_equal().await;
}

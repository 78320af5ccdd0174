//! Whoever is erased before, meanwhile or in between is not brought back.

use kaireon_core::store::{Erasure, ErasureId, Generation};
use kaireon_migrate::BackfillState;

use super::*;

/// So many interactions, and those of one customer among them.
const COUNT: u64 = 200;
const THEIRS: u64 = COUNT / CUSTOMERS;

fn request() -> Erasure {
    Erasure {
        tenant: tenant(),
        customer: CustomerId::new(customer(3)).unwrap(),
        id: ErasureId::new("ticket").unwrap(),
    }
}

async fn is_gone(world: &World) {
    let left = rows(world.target.as_ref()).await;
    assert!(
        left.values()
            .all(|row| row.value.customer.as_str() != customer(3))
    );
    assert!(summaries(world.target.as_ref(), &customer(3)).await.is_empty());
    world.is_equal().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_erased_before_is_refused_by_the_target_from_the_first_line_on() {
    let world = World::new(memory(), memory()).await.ready(COUNT).await;
    let receipt = world.source.erase_customer(request()).await.unwrap();
    erase_half_way(&world, receipt.generation).await;
    world.begin().await;
    let report = in_time(world.backfiller().run(&tenant())).await.unwrap();
    assert!(report.completed.is_some(), "{report:?}");
    let progress = report.progress;
    // Their decisions belong to others: every fifth number has one, and theirs end in 3.
    assert_eq!(
        (progress.erased, progress.applied),
        (THEIRS, COUNT - THEIRS + COUNT / 5)
    );
    is_gone(&world).await;
}

/// An erasure from the archive whose process died before it had rewritten an object: the tombstone is there, and so are the
/// lines.
async fn erase_half_way(world: &World, generation: Generation) {
    let mut kept = world.objects();
    collect(&world.folder.path().join("exports/acme/_manifests"), &mut kept);
    let kept: Vec<_> = kept
        .into_iter()
        .map(|path| (path.clone(), std::fs::read(&path).unwrap()))
        .collect();
    world.archive.erase(&request(), generation).await.unwrap();
    for (path, bytes) in kept {
        std::fs::write(path, bytes).unwrap();
    }
}

/// Erases in the midst of a backfill, in the way that is asked for.
async fn erased_meanwhile(through: impl AsyncFn(&World)) {
    let world = World::new(memory(), memory()).await.ready(COUNT).await;
    world.begin().await;
    let backfiller = world.backfiller();
    let rate = std::num::NonZeroU32::new(100);
    backfiller.throttle(&tenant(), rate).await.unwrap();
    let run = tokio::spawn({
        let backfiller = backfiller.clone();
        async move { backfiller.run(&tenant()).await }
    });
    until(&backfiller, |progress| progress.rows_done > 80).await;
    backfiller.pause(&tenant()).await.unwrap();
    let paused = until(&backfiller, |progress| progress.state == BackfillState::Paused).await;
    assert!(paused.rows_done < paused.rows_total, "{paused:?}");
    let before = rows(world.target.as_ref()).await;
    assert!(
        before
            .values()
            .any(|row| row.value.customer.as_str() == customer(3))
    );
    through(&world).await;
    backfiller.throttle(&tenant(), None).await.unwrap();
    backfiller.resume(&tenant()).await.unwrap();
    let report = in_time(run).await.unwrap().unwrap();
    assert!(report.completed.is_some(), "{report:?}");
    is_gone(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_through_the_switch_is_honoured_while_it_runs() {
    erased_meanwhile(async |world: &World| {
        let receipt = world.switch.erase_customer(request()).await.unwrap();
        world.archive.erase(&request(), receipt.generation).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_that_only_the_archive_knows_of_is_honoured_while_it_runs() {
    erased_meanwhile(async |world: &World| {
        let receipt = world.source.erase_customer(request()).await.unwrap();
        world.archive.erase(&request(), receipt.generation).await.unwrap();
    })
    .await;
}

//! A backfill beside live dual writes.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};

use kaireon_core::relay::{Relay, RelayConfig};
use kaireon_migrate::{Phase, ReplicateSink, VerifyConfig};

use super::*;

/// Waits until nothing of the tenant's waits in the lane.
async fn emptied(store: &Arc<dyn InteractionStore>) {
    let outbox = store.outbox().unwrap();
    in_time(async {
        while !outbox
            .backlog(Lane::Replicate, &tenant())
            .await
            .unwrap()
            .is_empty()
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

async fn beside(source: Arc<dyn InteractionStore>, target: Arc<dyn InteractionStore>, dual_write: DualWrite) {
    let world = World::new(source, target).await;
    world.fill(0..300).await;
    world.start().await;
    let step = Step::SetDualWrite { dual_write };
    let change = Change::new(step, "test", "CHG-1", SystemClock.now()).unwrap();
    world.migrator.change(&tenant(), &change).await.unwrap();
    let sink = ReplicateSink::new(&world.switch, name("old"));
    let relay = RelayConfig {
        max_idle: Duration::from_millis(20),
        ..RelayConfig::new(Lane::Replicate)
    };
    let relay = Relay::spawn(world.source.outbox().unwrap(), sink, relay);
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4_u64)
        .map(|writer| {
            let (switch, stop) = (world.switch.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut number = 10_000 * (writer + 1);
                while !stop.load(Ordering::Relaxed) {
                    assert!(switch.record_event(event(number)).await.unwrap().is_new());
                    if number.is_multiple_of(7) {
                        switch.record_decision(decision(number)).await.unwrap();
                    }
                    number += 1;
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            })
        })
        .collect();
    // Of what is recorded meanwhile a part is in the export, and all of it in the lane.
    tokio::time::sleep(Duration::from_millis(50)).await;
    world.export().await;
    world.begin().await;
    let backfiller = world.backfiller();
    let rate = NonZeroU32::new(1_000);
    backfiller.throttle(&tenant(), rate).await.unwrap();
    let report = in_time(backfiller.run(&tenant())).await.unwrap();
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    assert!(report.completed.is_some(), "{report:?}");
    let progress = report.progress;
    assert!(progress.applied >= 360, "{progress:?}");
    emptied(&world.source).await;
    let all = rows(world.source.as_ref()).await.len();
    assert!(all > 300, "there were writers");
    world.is_equal().await;
    // The evidence holds: what was filled is found equal, and the gate opens.
    let (verified, _) = in_time(world.migrator.verify(&tenant(), VerifyConfig::default()))
        .await
        .unwrap();
    assert!(verified.is_clean(), "{verified:?}");
    world.migrator.measure(&tenant()).await.unwrap();
    let change = Change::new(Step::PassGate, "test", "CHG-1", SystemClock.now()).unwrap();
    let ready = world.migrator.change(&tenant(), &change).await.unwrap();
    assert_eq!(ready.setting.phase, Phase::Ready);
    relay.stop(Duration::from_secs(5)).await.unwrap();
    world.source.disconnect().await.unwrap();
    world.target.disconnect().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_sides_are_equal_after_a_backfill_beside_writers_who_do_not_wait() {
    beside(memory(), memory(), DualWrite::Async).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_sides_are_equal_after_a_backfill_of_the_embedded_store_beside_writers_who_wait() {
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let [source, target] = [&folders[0], &folders[1]];
    let budget = Duration::from_secs(5);
    let strict = DualWrite::Strict { budget };
    beside(
        embedded(source.path()).await,
        embedded(target.path()).await,
        strict,
    )
    .await;
}

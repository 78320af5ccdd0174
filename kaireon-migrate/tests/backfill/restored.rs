//! Stores that went back in time.

use std::sync::atomic::{AtomicU64, Ordering};

use kaireon_core::store::{
    BatchOutcome, FenceRequest, FenceState, RecordBatch, Recorded, StoreCapabilities, SummaryQuery,
};
use kaireon_core::{ErrorKind, RecommendationId, Result, TenantId};
use kaireon_migrate::{Missing, Phase, Side};
use kaireon_testkit::fault::{Fault, Faulty, Plan};

use super::begins::missing_of;
use super::*;

/// A store that says it has come no further than this; `u64::MAX` where it says how far it has, 0 where it does not answer.
#[derive(Debug)]
struct Restored(Arc<dyn InteractionStore>, Arc<AtomicU64>);

impl Restored {
    async fn told(&self, mut fence: FenceState) -> FenceState {
        let most = self.1.load(Ordering::SeqCst);
        if most == 0 {
            std::future::pending::<()>().await;
        }
        fence.sequence = fence.sequence.min(most);
        fence
    }
}

#[async_trait::async_trait]
impl InteractionStore for Restored {
    fn capabilities(&self) -> StoreCapabilities {
        self.0.capabilities()
    }

    async fn record_event(&self, event: Interaction) -> Result<Recorded> {
        self.0.record_event(event).await
    }

    async fn record_events(&self, batch: RecordBatch<Interaction>) -> Result<BatchOutcome<Recorded>> {
        self.0.record_events(batch).await
    }

    async fn record_decisions(
        &self,
        batch: RecordBatch<Decision>,
    ) -> Result<BatchOutcome<Recorded<RecommendationId>>> {
        self.0.record_decisions(batch).await
    }

    async fn get_summaries(&self, query: SummaryQuery) -> Result<Vec<Summary>> {
        self.0.get_summaries(query).await
    }

    async fn disconnect(&self) -> Result<()> {
        self.0.disconnect().await
    }

    async fn fence(&self, tenant: &TenantId) -> Result<FenceState> {
        Ok(self.told(self.0.fence(tenant).await?).await)
    }

    async fn raise_fence(&self, request: FenceRequest) -> Result<FenceState> {
        Ok(self.told(self.0.raise_fence(request).await?).await)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_that_has_seen_more_than_the_source_has_is_not_enough() {
    let at = Arc::new(AtomicU64::new(u64::MAX));
    let known = Arc::clone(&at);
    let world = World::asked_by(memory(), memory(), |source, target| {
        (Arc::new(Restored(source, known)), target)
    });
    let world = world.await;
    world.fill(0..20).await;
    world.start().await;
    for number in 20..30 {
        world.switch.record_event(event(number)).await.unwrap();
    }
    world.export().await;
    // Back to where the lanes were confirmed, which nobody has seen it beyond but the export.
    let setting = world.switch.settings().read(&tenant()).await.unwrap().setting;
    let confirmed = setting.under_way().unwrap().in_force.unwrap().source;
    at.store(confirmed.sequence, Ordering::SeqCst);
    let side = Side::Source;
    let refused = world.backfiller().begin(&tenant(), "test", "CHG-1").await;
    assert_eq!(missing_of(&refused.unwrap_err()), [Missing::SameStore { side }]);
    at.store(u64::MAX, Ordering::SeqCst);
    world.begin().await;
}

/// A world whose target is [`Restored`], and a run of its backfill that is under way and goes slowly.
async fn slowly(
    at: &Arc<AtomicU64>,
) -> (
    World,
    Backfiller,
    tokio::task::JoinHandle<Result<kaireon_migrate::BackfillReport>>,
) {
    let known = Arc::clone(at);
    let world = World::asked_by(memory(), memory(), |source, target| {
        (source, Arc::new(Restored(target, known)))
    });
    let world = world.await.ready(200).await;
    world.begin().await;
    let backfiller = world.backfiller();
    backfiller
        .throttle(&tenant(), std::num::NonZeroU32::new(40))
        .await
        .unwrap();
    let run = tokio::spawn({
        let backfiller = backfiller.clone();
        async move { backfiller.run(&tenant()).await }
    });
    until(&backfiller, |progress| progress.applied >= 20).await;
    (world, backfiller, run)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_is_put_back_to_a_moment_of_the_run_ends_the_migrations_backfill() {
    let at = Arc::new(AtomicU64::new(u64::MAX));
    let (world, backfiller, run) = slowly(&at).await;
    backfiller.pause(&tenant()).await.unwrap();
    until(&backfiller, |progress| {
        progress.state == kaireon_migrate::BackfillState::Paused
    })
    .await;
    // It has looked since the last write; what was written after the backfill began is lost.
    let come = world.target.fence(&tenant()).await.unwrap().sequence;
    in_time(async {
        loop {
            let kept: Option<serde_json::Value> =
                world.archive.checkpoint(&tenant(), "backfill-new").await.unwrap();
            if kept.unwrap()["target_seen"]["sequence"] == come {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let setting = world.switch.settings().read(&tenant()).await.unwrap().setting;
    let begun = setting.under_way().unwrap().in_force.unwrap().target;
    assert!(come - 1 > begun.sequence, "the setting alone could not tell");
    at.store(come - 1, Ordering::SeqCst);
    let ended = in_time(run).await.unwrap().unwrap_err();
    assert!(ended.to_string().contains("went back in time"), "{ended}");
    let known = world.switch.settings().read(&tenant()).await.unwrap();
    assert_eq!(known.setting.phase, Phase::DualWrite);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_is_put_back_between_two_runs_ends_the_migrations_backfill() {
    let at = Arc::new(AtomicU64::new(u64::MAX));
    let (world, backfiller, run) = slowly(&at).await;
    backfiller.pause(&tenant()).await.unwrap();
    until(&backfiller, |progress| {
        progress.state == kaireon_migrate::BackfillState::Paused
    })
    .await;
    run.abort();
    let _ = run.await;
    let kept: Option<serde_json::Value> = world.archive.checkpoint(&tenant(), "backfill-new").await.unwrap();
    let seen = kept.unwrap()["target_seen"]["sequence"].as_u64().unwrap();
    at.store(seen - 1, Ordering::SeqCst);
    backfiller.resume(&tenant()).await.unwrap();
    let ended = in_time(backfiller.run(&tenant())).await.unwrap_err();
    assert!(ended.to_string().contains("went back in time"), "{ended}");
    let known = world.switch.settings().read(&tenant()).await.unwrap();
    assert_eq!(known.setting.phase, Phase::DualWrite);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_holds_though_a_store_does_not_answer() {
    let at = Arc::new(AtomicU64::new(u64::MAX));
    let (world, backfiller, run) = slowly(&at).await;
    at.store(0, Ordering::SeqCst);
    backfiller.pause(&tenant()).await.unwrap();
    until(&backfiller, |progress| {
        progress.state == kaireon_migrate::BackfillState::Paused
    })
    .await;
    // And once it answers again, all goes on.
    at.store(u64::MAX, Ordering::SeqCst);
    backfiller
        .set_pace(&tenant(), kaireon_migrate::Pace::default())
        .await
        .unwrap();
    let report = in_time(run).await.unwrap().unwrap();
    assert!(report.completed.is_some());
    world.is_equal().await;
}

/// A migration that is under way, whose stores are asked through these.
async fn under_way(
    wrap: impl FnOnce(
        Arc<dyn InteractionStore>,
        Arc<dyn InteractionStore>,
    ) -> (Arc<dyn InteractionStore>, Arc<dyn InteractionStore>),
) -> (World, TenantSetting) {
    let world = World::asked_by(memory(), memory(), wrap).await.ready(20).await;
    world.begin().await;
    let setting = world.switch.settings().read(&tenant()).await.unwrap().setting;
    (world, setting)
}

/// It is noted that the source went back, whatever else was.
async fn is_begun_anew(world: &World, before: &TenantSetting) {
    let now = world.switch.settings().read(&tenant()).await.unwrap().setting;
    assert_eq!(now.phase, Phase::DualWrite);
    assert!(now.epoch > before.epoch);
    let migration = now.under_way().unwrap();
    assert!(migration.in_force.is_none() && migration.evidence.backfill.is_none());
    let last = now.last.unwrap().change;
    assert!(last.reason.contains("went back in time"), "{last:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_went_back_is_noted_and_the_fence_raised_behind_it() {
    let at = Arc::new(AtomicU64::new(u64::MAX));
    let known = Arc::clone(&at);
    let (world, before) = under_way(|source, target| (Arc::new(Restored(source, known)), target)).await;
    at.store(1, Ordering::SeqCst);
    let known = world.migrator.observe(&tenant()).await.unwrap();
    is_begun_anew(&world, &before).await;
    let fence = world.source.fence(&tenant()).await.unwrap();
    assert_eq!(fence.epoch, known.setting.epoch);
    // What is written from then on is looked for anew.
    world.migrator.confirm_lanes(&tenant()).await.unwrap();
    let known = world.migrator.observe(&tenant()).await.unwrap();
    assert!(known.setting.under_way().unwrap().in_force.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_went_back_is_noted_though_its_fence_cannot_be_raised_or_the_target_is_away() {
    for (of_source, fails) in [(true, "raise_fence"), (false, "fence")] {
        let at = Arc::new(AtomicU64::new(u64::MAX));
        let (known, plan) = (Arc::clone(&at), Plan::script([]));
        let faults = plan.clone();
        let (world, before) = under_way(|source, target| {
            let restored: Arc<dyn InteractionStore> = Arc::new(Restored(source, known));
            match of_source {
                true => (Arc::new(Faulty::new(restored, faults)), target),
                false => (restored, Arc::new(Faulty::new(target, faults))),
            }
        })
        .await;
        at.store(1, Ordering::SeqCst);
        plan.meet_next(fails, Fault::Before);
        let error = world.migrator.observe(&tenant()).await;
        match of_source {
            // Of the other one nothing is relied on any more.
            false => drop(error.unwrap()),
            true => assert_eq!(error.unwrap_err().kind(), ErrorKind::Unavailable),
        }
        is_begun_anew(&world, &before).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_went_back_is_noted_though_the_source_is_away() {
    let at = Arc::new(AtomicU64::new(u64::MAX));
    let (known, plan) = (Arc::clone(&at), Plan::script([]));
    let faults = plan.clone();
    let (world, before) = under_way(|source, target| {
        (
            Arc::new(Faulty::new(source, faults)),
            Arc::new(Restored(target, known)),
        )
    })
    .await;
    // It had come further when it was looked at last.
    fill(&world.target, 100..110).await;
    world.migrator.observe(&tenant()).await.unwrap();
    at.store(1, Ordering::SeqCst);
    plan.meet_next("fence", Fault::Before);
    let error = world.migrator.observe(&tenant()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    is_begun_anew(&world, &before).await;
}

//! What the archive or the target gets wrong: named, tried again, and never counted as done.

use std::fs;

use kaireon_core::ErrorKind;
use kaireon_core::wrap::{Retry, RetryPolicy};
use kaireon_migrate::{BackfillState, Phase};
use kaireon_testkit::fault::{Fault, Faulty, Odds, Plan, Reach};
use sha2::Digest;

use super::*;

fn name_of(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// Someone who edits an object by hand also edits its manifest.
pub(super) fn edit(world: &World, object: &Path, text: &str) {
    fs::write(object, text).unwrap();
    let sum = sha2::Sha256::digest(text.as_bytes());
    let sum: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut manifests = Vec::new();
    collect(
        &world.folder.path().join("exports/acme/_manifests"),
        &mut manifests,
    );
    for path in manifests {
        let mut manifest: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        for entry in manifest["objects"].as_array_mut().unwrap() {
            if entry["name"] == name_of(object).as_str() {
                entry["sha256"] = sum.clone().into();
                entry["bytes"] = text.len().into();
                entry["raw_bytes"] = text.len().into();
            }
        }
        fs::write(&path, manifest.to_string()).unwrap();
    }
}

async fn phase(world: &World) -> Phase {
    let known = world.switch.settings().read(&tenant()).await.unwrap();
    known.setting.phase
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_line_is_named_and_keeps_it_from_being_complete_until_it_is_mended() {
    let world = World::new(memory(), memory()).await.ready(200).await;
    let object = world.largest();
    let whole = fs::read_to_string(&object).unwrap();
    let mut lines: Vec<_> = whole.lines().map(str::to_owned).collect();
    lines[2] = "{\"schema\":1}".to_owned();
    edit(&world, &object, &(lines.join("\n") + "\n"));
    world.begin().await;
    let backfiller = world.backfiller();
    // Also the second run, which reads nothing else, does not take it for done.
    for run in 0..2 {
        let report = in_time(backfiller.run(&tenant())).await.unwrap();
        assert!(report.completed.is_none());
        let progress = report.progress;
        assert_eq!((progress.unapplied, progress.rows_done), (1, 239), "run {run}");
        let [bad] = &progress.which[..] else {
            panic!("{progress:?}")
        };
        assert_eq!(
            (bad.object.as_ref(), bad.line),
            (Some(&name_of(&object)), Some(3))
        );
        assert!(bad.reason.contains("no record of this schema"), "{bad:?}");
        assert_eq!(progress.days_done + 1, progress.days_total);
        assert_eq!(progress.state, BackfillState::Idle);
        assert_eq!(phase(&world).await, Phase::Backfilling);
    }
    edit(&world, &object, &whole);
    let report = in_time(backfiller.run(&tenant())).await.unwrap();
    assert!(report.completed.is_some());
    assert_eq!((report.progress.unapplied, report.progress.rows_done), (0, 240));
    world.is_equal().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_is_not_what_was_written_is_named_and_none_of_it_applied() {
    let world = World::new(memory(), memory()).await.ready(200).await;
    let object = world.largest();
    let whole = fs::read(&object).unwrap();
    // A digit of a record, so that only the checksum tells.
    let text = String::from_utf8(whole.clone()).unwrap();
    let theirs = text.lines().count() as u64;
    fs::write(&object, text.replacen("\"number\":", "\"number\":1", 1)).unwrap();
    world.begin().await;
    let backfiller = world.backfiller();
    let report = in_time(backfiller.run(&tenant())).await.unwrap();
    assert!(report.completed.is_none());
    let [unread] = &report.progress.which[..] else {
        panic!("{report:?}")
    };
    assert!(unread.reason.contains(&name_of(&object)), "{unread:?}");
    assert_eq!(
        report.progress.rows_done,
        240 - theirs,
        "the other objects are done"
    );
    assert_eq!(rows(world.target.as_ref()).await.len() as u64, 200 - theirs);
    assert_eq!(phase(&world).await, Phase::Backfilling);
    fs::write(&object, whole).unwrap();
    let report = in_time(backfiller.run(&tenant())).await.unwrap();
    assert!(report.completed.is_some());
    world.is_equal().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_the_target_refuses_is_named_by_its_line_and_the_others_are_applied() {
    let world = World::new(memory(), memory()).await.ready(200).await;
    // The target knows the key as another interaction's.
    let other = event(77)
        .edited(|fields| fields.offer = kaireon_core::OfferId::new("another").unwrap())
        .unwrap();
    world.target.record_event(other).await.unwrap();
    world.begin().await;
    let report = in_time(world.backfiller().run(&tenant())).await.unwrap();
    assert!(report.completed.is_none());
    let progress = report.progress;
    assert_eq!((progress.unapplied, progress.applied), (1, 239));
    let refused = &progress.which[0];
    assert!(refused.reason.starts_with("the target refused it"), "{refused:?}");
    let said = format!("{progress:?}");
    assert!(!said.contains("key-77") && !said.contains("customer-7"), "{said}");
    let objects = world.objects();
    let object = objects
        .iter()
        .find(|object| Some(&name_of(object)) == refused.object.as_ref())
        .unwrap();
    let line = usize::try_from(refused.line.unwrap()).unwrap();
    let text = fs::read_to_string(object).unwrap();
    assert!(text.lines().nth(line - 1).unwrap().contains("\"key-77\""));
    assert_eq!(rows(world.target.as_ref()).await.len(), 200);
}

type Away = Faulty<Arc<dyn InteractionStore>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_is_away_is_waited_for() {
    is_waited_for(|away| Arc::new(away)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_whose_retries_are_used_up_is_waited_for() {
    // What it hands on is not transient any more.
    let policy = RetryPolicy {
        max_attempts: 2,
        base_delay: Duration::from_millis(1),
        ..RetryPolicy::default()
    };
    is_waited_for(|away| Arc::new(Retry::new(away, policy))).await;
}

async fn is_waited_for(wrap: impl FnOnce(Away) -> Arc<dyn InteractionStore>) {
    let plan = Plan::script([]);
    let away = plan.clone();
    let world = World::asked_by(memory(), memory(), |source, target| {
        (source, wrap(Faulty::new(target, away)))
    });
    let world = world.await.ready(200).await;
    world.begin().await;
    // Away from the start, and again in the midst of it.
    plan.cut_off(true);
    let backfiller = world.backfiller();
    let rate = std::num::NonZeroU32::new(100);
    backfiller.throttle(&tenant(), rate).await.unwrap();
    let run = tokio::spawn({
        let backfiller = backfiller.clone();
        async move { backfiller.run(&tenant()).await }
    });
    let stalled = until(&backfiller, |progress| progress.state == BackfillState::Stalled).await;
    assert_eq!(stalled.rows_done, 0);
    assert!(stalled.stalled_by.unwrap().contains("a fault that was asked for"));
    plan.cut_off(false);
    until(&backfiller, |progress| progress.rows_done > 40).await;
    plan.cut_off(true);
    let stalled = until(&backfiller, |progress| progress.state == BackfillState::Stalled).await;
    assert!(stalled.rows_done < 240);
    plan.cut_off(false);
    let report = in_time(run).await.unwrap().unwrap();
    assert!(report.completed.is_some(), "{report:?}");
    assert_eq!(report.progress.unapplied, 0);
    world.is_equal().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_answers_delays_and_batches_cut_short_lose_nothing() {
    let odds = Odds {
        before: 0.1,
        after: 0.1,
        delay: 0.1,
        cut: 0.2,
        longest_delay: Duration::from_millis(5),
        reach: Reach::EveryOperation,
    };
    let plan = Plan::seeded(7, odds);
    let faults = plan.clone();
    let target = memory();
    let world = World::new(memory(), Arc::clone(&target)).await.ready(200).await;
    world.begin().await;
    let faulty: Arc<dyn InteractionStore> = Arc::new(Faulty::new(target, faults));
    let migrator = Migrator::new(switch_of(&world.settings, &world.source, &faulty));
    let backfiller = Backfiller::new(migrator, world.archive.clone(), config());
    let report = in_time(backfiller.run(&tenant())).await.unwrap();
    assert!(report.completed.is_some(), "{report:?}");
    assert!(plan.made() > 5, "{}", plan.made());
    let progress = report.progress;
    assert_eq!((progress.rows_done, progress.unapplied), (240, 0));
    world.is_equal().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_without_decisions_is_refused_before_anything_is_written() {
    let world = World::new(memory(), memory()).await.ready(40).await;
    world.begin().await;
    let less: Arc<dyn InteractionStore> = Arc::new(NoDecisions(Arc::clone(&world.target)));
    let migrator = Migrator::new(switch_of(&world.settings, &world.source, &less));
    let backfiller = Backfiller::new(migrator, world.archive.clone(), config());
    let refused = in_time(backfiller.run(&tenant())).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    assert!(rows(world.target.as_ref()).await.is_empty());
}

/// A store that has everything else.
#[derive(Debug)]
struct NoDecisions(Arc<dyn InteractionStore>);

#[async_trait::async_trait]
impl InteractionStore for NoDecisions {
    fn capabilities(&self) -> kaireon_core::store::StoreCapabilities {
        let mut can = self.0.capabilities();
        can.decisions = false;
        can
    }

    async fn record_event(&self, event: Interaction) -> kaireon_core::Result<kaireon_core::store::Recorded> {
        self.0.record_event(event).await
    }

    async fn get_summaries(
        &self,
        query: kaireon_core::store::SummaryQuery,
    ) -> kaireon_core::Result<Vec<Summary>> {
        self.0.get_summaries(query).await
    }

    async fn disconnect(&self) -> kaireon_core::Result<()> {
        self.0.disconnect().await
    }

    async fn fence(
        &self,
        of: &kaireon_core::TenantId,
    ) -> kaireon_core::Result<kaireon_core::store::FenceState> {
        self.0.fence(of).await
    }
}

/// The target's own latency decides how much is written at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_is_slower_than_it_should_be_is_spared() {
    let slow = Plan::script((0..10_000).map(|_| ("record_events", Fault::Delay(Duration::from_millis(3)))));
    let delays = slow.clone();
    let world = World::asked_by(memory(), memory(), |source, target| {
        (source, Arc::new(Faulty::new(target, delays)))
    });
    let world = world.await;
    world.fill(0..600).await;
    world.start().await;
    // Objects of more than a few rows.
    let place = Place::folder(world.folder.path()).unwrap();
    let large = Archive::open(ArchiveConfig::new(place, KEY)).await.unwrap();
    export(&exporter_of(&large, &world.source)).await;
    world.begin().await;
    let backfiller = world.backfiller_of(BackfillConfig {
        chunk_records: 1_000,
        ..config()
    });
    let pace = kaireon_migrate::Pace {
        target_latency: Some(Duration::from_millis(1)),
        ..kaireon_migrate::Pace::default()
    };
    backfiller.set_pace(&tenant(), pace).await.unwrap();
    let report = in_time(backfiller.run(&tenant())).await.unwrap();
    assert!(report.completed.is_some());
    // Unspared, each object is one write.
    let objects = world.objects().len() as u64;
    assert!(
        slow.made() > objects,
        "{} writes of {objects} objects",
        slow.made()
    );
    world.is_equal().await;
}

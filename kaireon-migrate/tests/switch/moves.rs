//! Moving a tenant while it is used.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use kaireon_core::outbox::{Lane, LaneSet};
use kaireon_core::{ErrorKind, InteractionStore};
use kaireon_migrate::{
    Backend, DualWrite, Migrator, OldRows, Phase, Settings, Step, Stores, SwitchConfig, SwitchStore,
    TenantSetting,
};
use kaireon_testkit::fault::{Fault, Faulty, Plan};

use super::{KEY, NAMES, Process, World, emptied, event, rows, summaries, tenant};

/// Writers of one process, who note what was acknowledged.
struct Writers {
    stop: Arc<AtomicBool>,
    tasks: Vec<tokio::task::JoinHandle<Vec<String>>>,
}

impl Writers {
    fn begin(process: &Process, prefix: &'static str, count: usize, numbers: &Arc<AtomicU64>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let tasks = (0..count).map(|writer| {
            let (switch, stop, numbers) = (process.switch.clone(), Arc::clone(&stop), Arc::clone(numbers));
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let number = numbers.fetch_add(1, Ordering::Relaxed);
                    let event = event(&format!("{prefix}{writer}"), number);
                    let key = event.idempotency_key.as_str().to_owned();
                    let recorded = switch.record_event(event).await.unwrap();
                    assert!(recorded.is_new(), "a fresh key is new on whichever store");
                    acknowledged.push(key);
                    tokio::task::yield_now().await;
                }
                acknowledged
            })
        });
        Self {
            tasks: tasks.collect(),
            stop,
        }
    }

    async fn end(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        let mut acknowledged = Vec::new();
        for task in self.tasks {
            acknowledged.extend(task.await.unwrap());
        }
        acknowledged
    }
}

async fn pause() {
    tokio::time::sleep(Duration::from_millis(100)).await;
}

/// Both stores hold exactly what was acknowledged, and fold it alike.
async fn are_equal(process: &Process, acknowledged: &[String]) {
    for store in &process.stores {
        emptied(store, Lane::Replicate).await;
    }
    let [old, new] = [&process.stores[0], &process.stores[1]];
    let (old_rows, new_rows) = (rows(old.as_ref()).await, rows(new.as_ref()).await);
    assert_eq!(old_rows.len(), acknowledged.len());
    assert!(acknowledged.iter().all(|key| old_rows.contains_key(key)));
    assert_eq!(old_rows, new_rows);
    let customers: BTreeMap<_, ()> = old_rows
        .values()
        .map(|row| (row.value.customer.as_str().to_owned(), ()))
        .collect();
    for customer in customers.keys() {
        assert_eq!(
            summaries(old.as_ref(), customer).await,
            summaries(new.as_ref(), customer).await
        );
    }
}

/// There and back, with writers in two processes all the time.
async fn there_and_back(dual_write: DualWrite) {
    let world = World::new();
    let (one, two) = (world.process(), world.process());
    let numbers = Arc::new(AtomicU64::new(0));
    let writers = [
        Writers::begin(&one, "one-", 8, &numbers),
        Writers::begin(&two, "two-", 8, &numbers),
    ];
    let relays = [one.replicate(), two.replicate()];
    pause().await;
    one.start(&world, dual_write).await;
    pause().await;
    let ready = one.make_ready(&world).await;
    assert_eq!(ready.setting.phase, Phase::Ready);
    let moved = one
        .migrator
        .change(&tenant(), &one.ask(Step::CutOver, &world))
        .await
        .unwrap();
    assert_eq!(
        (moved.setting.phase, moved.setting.authority.as_str()),
        (Phase::CutOver, "new")
    );
    pause().await;
    let back = two
        .migrator
        .change(&tenant(), &two.ask(Step::RollBack, &world))
        .await
        .unwrap();
    assert_eq!(
        (back.setting.phase, back.setting.authority.as_str()),
        (Phase::Single, "old")
    );
    let mut acknowledged = Vec::new();
    // What is written from here on is on the old store alone.
    for writers in writers {
        acknowledged.extend(writers.end().await);
    }
    let old = rows(one.stores[0].as_ref()).await;
    assert_eq!(
        old.len(),
        acknowledged.len(),
        "nothing is lost, nothing is there twice"
    );
    assert!(acknowledged.iter().all(|key| old.contains_key(key)));
    for relay in relays.into_iter().flatten() {
        relay.stop(Duration::from_secs(5)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_is_moved_there_and_back_while_it_is_written() {
    there_and_back(DualWrite::Async).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_is_moved_there_and_back_while_writers_wait_for_the_other_side() {
    let budget = Duration::from_secs(5);
    there_and_back(DualWrite::Strict { budget }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_cut_over_the_old_store_is_kept_complete_until_it_is_finalised() {
    let world = World::new();
    let process = world.process();
    let relays = process.replicate();
    let numbers = Arc::new(AtomicU64::new(0));
    let mut acknowledged = Writers::begin(&process, "before-", 2, &numbers).end().await;
    let writers = Writers::begin(&process, "c", 4, &numbers);
    process.start(&world, DualWrite::BestEffort).await;
    pause().await;
    process.make_ready(&world).await;
    let cut_over = process.ask(Step::CutOver, &world);
    process.migrator.change(&tenant(), &cut_over).await.unwrap();
    pause().await;
    acknowledged.extend(writers.end().await);
    are_equal(&process, &acknowledged).await;
    // A repeated key is known on the side that never saw its first call.
    let again = process.switch.record_event(event("c0", 0)).await;
    drop(again);
    let finalise = Step::Finalise {
        old_rows: OldRows::Keep,
    };
    let early = process
        .migrator
        .change(&tenant(), &process.ask(finalise.clone(), &world))
        .await;
    assert_eq!(early.unwrap_err().kind(), ErrorKind::Conflict);
    world.clock.advance(chrono::TimeDelta::days(8));
    let done = process
        .migrator
        .change(&tenant(), &process.ask(finalise, &world))
        .await
        .unwrap();
    assert_eq!(done.setting.phase, Phase::Finalised);
    let before = rows(process.stores[0].as_ref()).await.len();
    process.switch.record_event(event("late", 1)).await.unwrap();
    for store in &process.stores {
        emptied(store, Lane::Replicate).await;
    }
    assert_eq!(
        rows(process.stores[0].as_ref()).await.len(),
        before,
        "the old store is left alone"
    );
    for relay in relays {
        relay.stop(Duration::from_secs(5)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_is_a_duplicate_on_whichever_store() {
    let world = World::new();
    let process = world.process();
    let relays = process.replicate();
    let first = event("anna", 1);
    process.switch.record_event(first.clone()).await.unwrap();
    process.start(&world, DualWrite::Async).await;
    let second = event("anna", 2);
    process.switch.record_event(second.clone()).await.unwrap();
    process.make_ready(&world).await;
    let cut_over = process.ask(Step::CutOver, &world);
    process.migrator.change(&tenant(), &cut_over).await.unwrap();
    for known in [first, second] {
        let retry = known
            .edited(|fields| fields.id = kaireon_core::InteractionId::fresh())
            .unwrap();
        let again = process.switch.record_event(retry).await.unwrap();
        assert!(!again.is_new());
        assert_eq!(again.id(), &known.id);
    }
    drop(relays);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_whose_lane_is_not_emptied_in_time_is_not_taken() {
    let world = World::new();
    let process = world.process();
    let relays = process.replicate();
    process.start(&world, DualWrite::Async).await;
    process.make_ready(&world).await;
    for relay in relays {
        relay.stop(Duration::from_secs(5)).await.unwrap();
    }
    // Nobody reads the lane.
    process.switch.record_event(event("anna", 1)).await.unwrap();
    let (acme, cut_over) = (tenant(), process.ask(Step::CutOver, &world));
    let (kept, written) = tokio::join!(process.migrator.change(&acme, &cut_over), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        process.switch.record_event(event("anna", 2)).await
    });
    let kept = kept.unwrap().setting;
    assert_eq!((kept.phase, kept.authority.as_str()), (Phase::Ready, "old"));
    assert!(
        written.unwrap().is_new(),
        "who waited is answered by the store that was opened again"
    );
    assert_eq!(rows(process.stores[0].as_ref()).await.len(), 2);
    // What lies in the lane is delivered under the later epoch.
    let relays = process.replicate();
    emptied(&process.stores[0], Lane::Replicate).await;
    assert_eq!(rows(process.stores[1].as_ref()).await.len(), 2);
    drop(relays);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_not_heard_of_a_move_writes_to_the_right_store() {
    let world = World::new();
    let mut config = SwitchConfig::new(KEY);
    // It never looks by itself: only the fences tell it.
    config.freshness.bound = Duration::from_secs(3_600);
    let deaf = world.process_with(config);
    let process = world.process();
    let relays = process.replicate();
    assert!(deaf.switch.record_event(event("anna", 1)).await.unwrap().is_new());
    process.start(&world, DualWrite::Async).await;
    process.make_ready(&world).await;
    assert!(deaf.switch.record_event(event("anna", 2)).await.unwrap().is_new());
    emptied(&process.stores[0], Lane::Replicate).await;
    assert_eq!(
        rows(process.stores[1].as_ref()).await.len(),
        2,
        "its write carries a replicate entry"
    );
    let cut_over = process.ask(Step::CutOver, &world);
    process.migrator.change(&tenant(), &cut_over).await.unwrap();
    assert!(deaf.switch.record_event(event("anna", 3)).await.unwrap().is_new());
    assert_eq!(
        rows(process.stores[1].as_ref()).await.len(),
        3,
        "it was written to the new store"
    );
    emptied(&process.stores[1], Lane::Replicate).await;
    assert_eq!(
        rows(process.stores[0].as_ref()).await.len(),
        3,
        "and replicated back"
    );
    drop(relays);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_dies_in_the_middle_of_a_move_is_followed_by_another() {
    let world = World::new();
    let (dying, other) = (world.process(), world.process());
    let relays = other.replicate();
    dying.start(&world, DualWrite::Async).await;
    dying.make_ready(&world).await;
    // The change is set, and nobody acts on it.
    let cut_over = dying.ask(Step::CutOver, &world);
    let set = dying
        .switch
        .settings()
        .change(&tenant(), &cut_over)
        .await
        .unwrap();
    assert_eq!(set.setting.phase, Phase::Draining);
    let done = other.migrator.finish(&tenant()).await.unwrap();
    assert_eq!(
        (done.setting.phase, done.setting.authority.as_str()),
        (Phase::CutOver, "new")
    );
    assert!(
        dying
            .switch
            .record_event(event("anna", 1))
            .await
            .unwrap()
            .is_new()
    );
    assert_eq!(rows(other.stores[1].as_ref()).await.len(), 1);
    drop(relays);
}

/// A process to which one of the stores does not answer when a fence is to be raised.
fn hung(world: &World, at: usize) -> Migrator {
    let plan = Plan::script([("raise_fence", Fault::Hang); 40]);
    let stores = [0, 1].map(|each| -> (Backend, Arc<dyn InteractionStore>) {
        let store = world.places[each].open();
        match each == at {
            true => (
                super::name(NAMES[each]),
                Arc::new(Faulty::new(store, plan.clone())),
            ),
            false => (super::name(NAMES[each]), Arc::new(store)),
        }
    });
    let first = TenantSetting::single(super::name(NAMES[0]), LaneSet::NONE);
    let settings = Settings::new(Arc::clone(&world.settings), first);
    let switch = SwitchStore::new(Stores::new(stores).unwrap(), settings, SwitchConfig::new(KEY)).unwrap();
    Migrator::new(switch).with_clock(world.clock.clone())
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_does_not_keep_its_tenant_closed() {
    let world = World::new();
    let process = world.process();
    let relays = process.replicate();
    process.start(&world, DualWrite::Async).await;
    process.make_ready(&world).await;
    let cut_over = process.ask(Step::CutOver, &world);
    let refused = hung(&world, 0).change(&tenant(), &cut_over).await.unwrap_err();
    assert_eq!(
        refused.kind(),
        ErrorKind::Timeout,
        "its fence is raised by who reaches it"
    );
    let kept = process.migrator.finish(&tenant()).await.unwrap().setting;
    assert_eq!((kept.phase, kept.authority.as_str()), (Phase::Ready, "old"));
    assert!(
        process
            .switch
            .record_event(event("anna", 1))
            .await
            .unwrap()
            .is_new()
    );
    drop(relays);
}

#[tokio::test(start_paused = true)]
async fn a_side_that_does_not_answer_is_not_opened_and_one_that_is_left_by_force_is_not_waited_for() {
    let world = World::new();
    let process = world.process();
    let relays = process.replicate();
    process.start(&world, DualWrite::Async).await;
    process.make_ready(&world).await;
    let cut_over = process.ask(Step::CutOver, &world);
    let kept = hung(&world, 1)
        .change(&tenant(), &cut_over)
        .await
        .unwrap()
        .setting;
    assert_eq!((kept.phase, kept.authority.as_str()), (Phase::Ready, "old"));

    let cut_over = process.ask(Step::CutOver, &world);
    let moved = process
        .migrator
        .change(&tenant(), &cut_over)
        .await
        .unwrap()
        .setting;
    assert_eq!((moved.phase, moved.authority.as_str()), (Phase::CutOver, "new"));
    let forced = process.ask(Step::RollBack, &world).forced();
    let back = hung(&world, 1).change(&tenant(), &forced).await.unwrap().setting;
    assert_eq!((back.phase, back.authority.as_str()), (Phase::Single, "old"));
    assert!(
        process
            .switch
            .record_event(event("anna", 1))
            .await
            .unwrap()
            .is_new()
    );
    assert_eq!(rows(process.stores[0].as_ref()).await.len(), 1);
    drop(relays);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_direct_switch_takes_effect_at_once_and_leaves_history_behind() {
    let world = World::new();
    let process = world.process();
    process.switch.record_event(event("anna", 1)).await.unwrap();
    let direct = Step::SwitchDirectly {
        target: super::name("new"),
    };
    let moved = process
        .migrator
        .change(&tenant(), &process.ask(direct, &world))
        .await
        .unwrap();
    assert_eq!(
        (moved.setting.phase, moved.setting.authority.as_str()),
        (Phase::Single, "new")
    );
    process.switch.record_event(event("anna", 2)).await.unwrap();
    assert_eq!(rows(process.stores[0].as_ref()).await.len(), 1);
    assert_eq!(rows(process.stores[1].as_ref()).await.len(), 1);
}

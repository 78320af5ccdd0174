//! Live reads that are compared on both sides, and reads that show both.

use std::sync::Arc;
use std::time::Duration;

use kaireon_core::store::{HistoryQuery, SummaryQuery};
use kaireon_core::{CustomerId, ErrorKind, InteractionStore, RecommendationId, SettingsStore};
use kaireon_migrate::{
    Agreement, Backend, Migrator, ReadComparison, ReadSampling, Settings, Step, Stores, SwitchConfig,
    SwitchStore, TenantSetting,
};
use kaireon_testkit::fault::{Fault, Faulty, Plan};

use super::{KEY, NAMES, Process, World, event, name, tenant};

fn sampling(fraction: f64) -> SwitchConfig {
    SwitchConfig {
        reads: ReadSampling {
            fraction,
            // Long enough for a relay to start on a busy machine.
            deadline: Duration::from_secs(3),
            ..ReadSampling::default()
        },
        ..SwitchConfig::new(KEY)
    }
}

fn of(customer: &str) -> CustomerId {
    CustomerId::new(customer).unwrap()
}

/// A process whose target meets faults, in verifying.
async fn verifying(world: &World, config: SwitchConfig, plan: &Plan) -> Process {
    let mut process = world.process_with(config.clone());
    let [old, new] = &process.stores;
    let stores: [Arc<dyn InteractionStore>; 2] = [
        Arc::<kaireon_core::memory::MemoryStore>::clone(old),
        Arc::new(Faulty::new(
            Arc::<kaireon_core::memory::MemoryStore>::clone(new),
            plan.clone(),
        )),
    ];
    let settings = Settings::new(
        Arc::clone(&world.settings) as Arc<dyn SettingsStore>,
        TenantSetting::single(name("old"), kaireon_core::outbox::LaneSet::NONE),
    );
    let named = NAMES.map(name).into_iter().zip(stores);
    process.switch = SwitchStore::new(Stores::new(named).unwrap(), settings, config).unwrap();
    process.migrator = Migrator::new(process.switch.clone()).with_clock(world.clock.clone());
    for number in 0..5 {
        process.switch.record_event(event("anna", number)).await.unwrap();
    }
    process.to_verifying(world).await;
    // What is known of the setting is as old as the bound allows.
    process.switch.settings().read(&tenant()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    process
}

/// Reads a customer three ways.
async fn read(process: &Process, customer: &str) {
    let switch = &process.switch;
    switch
        .history(HistoryQuery::new(tenant(), of(customer)))
        .await
        .unwrap();
    switch
        .get_summaries(SummaryQuery::new(tenant(), of(customer)))
        .await
        .unwrap();
    let id = RecommendationId::new("none").unwrap();
    switch.decision(&tenant(), &id).await.unwrap();
}

/// The sample once so many reads were compared.
async fn compared(process: &Process, reads: u64) -> ReadComparison {
    for _ in 0..6_000 {
        let known = process.migrator.note_reads(&tenant()).await.unwrap();
        let sample = known.setting.under_way().unwrap().evidence.reads.unwrap();
        if sample.compared >= reads {
            return sample;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the reads are not compared");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_reads_of_equal_stores_agree_and_become_evidence() {
    let world = World::new();
    let process = verifying(&world, sampling(1.0), &Plan::script([])).await;
    for _ in 0..2 {
        read(&process, "anna").await;
    }
    let sample = compared(&process, 6).await;
    assert_eq!((sample.different, sample.baseline_different), (0, 0));
    assert_eq!(sample.baseline_compared, 6);
    assert!(sample.is_within_noise());
    // A sample is of one attempt, and can be begun anew.
    process.switch.restart_read_comparison(&tenant());
    let known = process.migrator.note_reads(&tenant()).await.unwrap();
    assert_eq!(
        known
            .setting
            .under_way()
            .unwrap()
            .evidence
            .reads
            .unwrap()
            .compared,
        0
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_reads_that_differ_are_counted_and_lag_is_waited_out() {
    let world = World::new();
    let process = verifying(&world, sampling(1.0), &Plan::script([])).await;
    // On its way, and brought while the first answer is looked at again.
    process.switch.record_event(event("bert", 1)).await.unwrap();
    read(&process, "bert").await;
    let relays = process.replicate();
    let sample = compared(&process, 3).await;
    assert_eq!((sample.compared, sample.different), (3, 0));
    // For good: the history and the summaries differ, the decision does not.
    crate::verify::put(process.stores[1].as_ref(), [event("carl", 1)]).await;
    read(&process, "carl").await;
    let sample = compared(&process, 6).await;
    assert_eq!((sample.compared, sample.different), (6, 2));
    assert_eq!(sample.baseline_different, 0);
    assert!(!sample.is_within_noise());
    drop(relays);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_side_that_fails_or_is_silent_differs_and_slows_no_caller() {
    for fault in [Fault::Before, Fault::Hang] {
        let world = World::new();
        let plan = Plan::script([("get_summaries", fault); 4_000]);
        let process = verifying(&world, sampling(1.0), &plan).await;
        read(&process, "anna").await;
        // The callers were answered before anything of the other side was known.
        let known = process.migrator.note_reads(&tenant()).await.unwrap();
        let early = known.setting.under_way().unwrap().evidence.reads.unwrap();
        assert_eq!(early.different, 0);
        let sample = compared(&process, 3).await;
        assert_eq!((sample.compared, sample.different), (3, 1), "{fault:?}");
        assert!(plan.made() > 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_are_left_out_where_too_many_are_compared() {
    let world = World::new();
    let plan = Plan::script([("history", Fault::Hang); 40]);
    let mut config = sampling(1.0);
    config.reads.in_flight = 1;
    let process = verifying(&world, config, &plan).await;
    let query = HistoryQuery::new(tenant(), of("anna"));
    for _ in 0..20 {
        process.switch.history(query.clone()).await.unwrap();
    }
    let sample = compared(&process, 1).await;
    assert_eq!((sample.compared, sample.different), (1, 1));
    assert_eq!(plan.made(), 1, "no other was asked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_differed_once_is_forgotten_with_its_window() {
    let world = World::new();
    let mut config = sampling(1.0);
    config.reads.window = Duration::from_millis(1_500);
    config.reads.deadline = Duration::from_millis(200);
    let plan = Plan::script([("get_summaries", Fault::Hang)]);
    let process = verifying(&world, config, &plan).await;
    read(&process, "anna").await;
    let sample = compared(&process, 3).await;
    assert_eq!(sample.different, 1, "a fluke");
    let forgotten = async {
        loop {
            read(&process, "anna").await;
            let known = process.migrator.note_reads(&tenant()).await.unwrap();
            let sample = known.setting.under_way().unwrap().evidence.reads.unwrap();
            if sample.compared > 0 && sample.different == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), forgotten)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_samples_of_two_processes_are_evidence_together() {
    let world = World::new();
    let plan = Plan::script([("get_summaries", Fault::Hang)]);
    let mut config = sampling(1.0);
    config.reads.deadline = Duration::from_millis(200);
    let first = verifying(&world, config, &plan).await;
    read(&first, "anna").await;
    assert_eq!(compared(&first, 3).await.different, 1);
    let second = world.process_with(sampling(1.0));
    // Who has compared nothing hides nothing.
    let known = second.migrator.note_reads(&tenant()).await.unwrap();
    let sample = known.setting.under_way().unwrap().evidence.reads.unwrap();
    assert_eq!((sample.compared, sample.different), (3, 1));
    read(&second, "anna").await;
    let sample = compared(&second, 6).await;
    assert_eq!(
        (sample.compared, sample.different),
        (6, 1),
        "and who has is added"
    );
    // Each in place of its own last one, and none once it is old.
    let known = second.migrator.note_reads(&tenant()).await.unwrap();
    assert_eq!(
        known
            .setting
            .under_way()
            .unwrap()
            .evidence
            .reads
            .unwrap()
            .compared,
        6
    );
    world.clock.advance(chrono::TimeDelta::hours(2));
    let known = second.migrator.note_reads(&tenant()).await.unwrap();
    let sample = known.setting.under_way().unwrap().evidence.reads.unwrap();
    assert_eq!(
        (sample.compared, sample.different),
        (3, 0),
        "the first said nothing since"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn comparisons_end_with_the_switch() {
    let world = World::new();
    let plan = Plan::script([("history", Fault::Hang); 40]);
    let mut config = sampling(1.0);
    config.reads.deadline = Duration::from_secs(3_600);
    let process = verifying(&world, config, &plan).await;
    let query = HistoryQuery::new(tenant(), of("anna"));
    process.switch.history(query).await.unwrap();
    let store = Arc::downgrade(&process.stores[0]);
    let begun = async {
        while plan.made() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), begun)
        .await
        .unwrap();
    process.switch.disconnect().await.unwrap();
    drop(process);
    assert!(store.upgrade().is_none(), "no task holds a store any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_of_a_store_that_does_not_answer_ends() {
    let world = World::new();
    let plan = Plan::script([("history", Fault::Hang)]);
    let mut config = sampling(0.0);
    config.reads.deadline = Duration::from_millis(100);
    let process = verifying(&world, config, &plan).await;
    let query = HistoryQuery::new(tenant(), of("anna"));
    let trace = tokio::time::timeout(Duration::from_secs(60), process.switch.trace_history(query));
    let trace = trace.await.unwrap().unwrap();
    assert_eq!(trace.agreement, Agreement::Unknown);
    assert!(trace.answered.answer.is_ok());
    assert_eq!(
        trace.other.unwrap().answer.unwrap_err().kind(),
        ErrorKind::Timeout
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_is_compared_by_default_or_without_a_migration() {
    let world = World::new();
    let plan = Plan::script([]);
    let process = verifying(&world, SwitchConfig::new(KEY), &plan).await;
    read(&process, "anna").await;
    let at = kaireon_core::time::Clock::now(&world.clock);
    assert_eq!(process.switch.read_comparison(&tenant(), at).await.unwrap(), None);
    let other = World::new();
    let process = other.process_with(sampling(1.0));
    process.switch.record_event(event("anna", 1)).await.unwrap();
    read(&process, "anna").await;
    assert_eq!(process.switch.read_comparison(&tenant(), at).await.unwrap(), None);
    for fraction in [-0.1, 1.1, f64::NAN] {
        let settings = Settings::new(
            Arc::clone(&world.settings),
            TenantSetting::single(Backend::new("old").unwrap(), kaireon_core::outbox::LaneSet::NONE),
        );
        let stores = process.switch.stores().clone();
        let error = SwitchStore::new(stores, settings, sampling(fraction)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{fraction}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_shows_what_both_sides_answer() {
    let world = World::new();
    let plan = Plan::script([]);
    let process = verifying(&world, SwitchConfig::new(KEY), &plan).await;
    let switch = &process.switch;
    let history = |customer| HistoryQuery::new(tenant(), of(customer));
    let trace = switch.trace_history(history("anna")).await.unwrap();
    assert_eq!(trace.agreement, Agreement::Same);
    assert_eq!(trace.answered.store, name("old"));
    assert_eq!(trace.answered.answer.unwrap().items.len(), 5);
    let other = trace.other.unwrap();
    assert_eq!((other.store, other.answer.unwrap().items.len()), (name("new"), 5));
    // Not replicated yet.
    switch.record_event(event("bert", 1)).await.unwrap();
    let trace = switch.trace_history(history("bert")).await.unwrap();
    assert_eq!(trace.agreement, Agreement::Unlike);
    let summaries = SummaryQuery::new(tenant(), of("bert"));
    let trace = switch.trace_summaries(summaries.clone()).await.unwrap();
    assert_eq!(trace.agreement, Agreement::Unlike);
    assert!(trace.other.unwrap().answer.unwrap().is_empty());
    let id = RecommendationId::new("none").unwrap();
    let trace = switch.trace_decision(&tenant(), &id).await.unwrap();
    assert_eq!(trace.agreement, Agreement::Same);
    plan.cut_off(true);
    let trace = switch.trace_summaries(summaries).await.unwrap();
    assert_eq!(trace.agreement, Agreement::Unknown);
    assert!(trace.answered.answer.is_ok() && trace.other.unwrap().answer.is_err());
    // Without a migration there is one side.
    plan.cut_off(false);
    let back = process.ask(Step::RollBack, &world);
    process.migrator.change(&tenant(), &back).await.unwrap();
    let trace = switch.trace_history(history("anna")).await.unwrap();
    assert_eq!(trace.agreement, Agreement::Unknown);
    assert!(trace.other.is_none());
}

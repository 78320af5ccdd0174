//! Each broken store fails the cases named after its rule, and passes those that have nothing to do with it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kaireon_testkit::broken::{Fixture, Flaw};
use kaireon_testkit::{StoreFixture, model, store, suite};

/// A case that waits for what a broken store lost has failed long before.
const LIMIT: Duration = Duration::from_secs(60);

/// How often a case named after a rule is run until it fails: a race shows itself in most runs, not in all.
const TRIES: usize = 6;

/// How many broken stores are run at once: more would starve each other, and hide races.
const AT_ONCE: usize = 3;

/// The name of the threads on which broken stores run.
const QUIET: &str = "broken-store";

async fn fails(case: &suite::Case<dyn StoreFixture>, flaw: Flaw) -> bool {
    let fixture = Fixture::broken(flaw);
    suite::attempt(case, &fixture, LIMIT).await.is_err()
}

/// The names of the cases that fail on a store with this flaw.
async fn failing(flaw: Flaw) -> BTreeSet<&'static str> {
    let mut failing = BTreeSet::new();
    for case in store::CASES {
        let tries = if flaw.caught_by().contains(&case.name) {
            TRIES
        } else {
            1
        };
        for _ in 0..tries {
            if fails(case, flaw).await {
                failing.insert(case.name);
                break;
            }
        }
    }
    failing
}

/// All flaws, a few at once.
fn all_failing() -> Vec<(Flaw, BTreeSet<&'static str>)> {
    let places = Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
    // Cases that fail as they should are no news: what their threads panic with is not printed.
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().name() != Some(QUIET) {
            usual(panic);
        }
    }));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .thread_name(QUIET)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let run = |&flaw: &Flaw| {
            let places = Arc::clone(&places);
            let task = tokio::spawn(async move {
                let _place = places.acquire().await.expect("nobody closes it");
                failing(flaw).await
            });
            (flaw, task)
        };
        let tasks: Vec<_> = Flaw::ALL.iter().map(run).collect();
        let mut found = Vec::new();
        for (flaw, task) in tasks {
            found.push((flaw, task.await.expect("cases are caught when they panic")));
        }
        found
    })
}

#[test]
fn every_broken_store_fails_the_cases_of_its_rule_and_passes_the_others() {
    let listed: BTreeSet<_> = store::CASES.iter().map(|case| case.name).collect();
    let mut wrong = Vec::new();
    for (flaw, failing) in all_failing() {
        println!("{flaw:?}: {} of {} cases fail", failing.len(), listed.len());
        let must: BTreeSet<_> = flaw.caught_by().iter().copied().collect();
        let may: BTreeSet<_> = flaw.may_fail().iter().copied().collect();
        for name in must.union(&may).filter(|name| !listed.contains(*name)) {
            wrong.push(format!("{flaw:?}: {name} is not a case"));
        }
        if must.is_empty() {
            wrong.push(format!("{flaw:?}: no case is named after it"));
        }
        for name in &must {
            println!(
                "    {} {name}",
                if failing.contains(name) {
                    "caught by"
                } else {
                    "MISSED BY"
                }
            );
        }
        wrong.extend(
            must.difference(&failing)
                .map(|name| format!("{flaw:?}: {name} passes")),
        );
        let unrelated = failing
            .iter()
            .filter(|name| !must.contains(*name) && !may.contains(*name));
        wrong.extend(unrelated.map(|name| format!("{flaw:?}: {name} fails and has nothing to do with it")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Flaws that show only in what sequences reach: what follows after a retry, an erasure, a purge, a restart.
const FOUND_BY_THE_MODEL: [Flaw; 9] = [
    Flaw::ConflictOverwritesTheFirst,
    Flaw::SumsInFloats,
    Flaw::LastByArrival,
    Flaw::CursorSkipsEqualTimestamps,
    Flaw::JoinsTenantAndCustomer,
    Flaw::ReopensWithoutTheTail,
    Flaw::ErasureForgetsTheOutbox,
    Flaw::ErasureKeepsTheGeneration,
    Flaw::ReplayKeepsTheLetter,
];

#[test]
fn the_model_finds_what_breaks_in_sequences() {
    let mut missed = Vec::new();
    for flaw in FOUND_BY_THE_MODEL {
        let check = || model::check(|| async move { Fixture::broken(flaw) }, 200);
        if std::panic::catch_unwind(check).is_ok() {
            missed.push(flaw);
        }
    }
    assert!(missed.is_empty(), "the model passes {missed:?}");
}

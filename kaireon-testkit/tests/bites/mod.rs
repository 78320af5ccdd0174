//! Each broken store fails the cases named after its rule, and passes those that have nothing to do with it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use kaireon_testkit::broken::{Fixture, Flaw};
use kaireon_testkit::{StoreFixture, model, store, suite};
use parking_lot::Mutex;

/// A case that waits for what a broken store lost has failed long before.
const LIMIT: Duration = Duration::from_secs(60);

/// How often a case named after a rule is run until it fails: a race shows itself in most runs, not in all.
const TRIES: usize = 6;

/// How many broken stores are run at once: more would starve each other, and hide races.
const AT_ONCE: usize = 3;

/// How long all broken stores together may take to be done with one of them: whoever needs more has stopped.
const HANG: Duration = Duration::from_secs(600);

/// The name of the threads on which broken stores run.
const QUIET: &str = "broken-store";

async fn fails(case: &suite::Case<dyn StoreFixture>, flaw: Flaw) -> bool {
    let fixture = Fixture::broken(flaw);
    suite::attempt(case, &fixture, LIMIT).await.is_err()
}

/// The names of the cases that fail on a store with this flaw. `at` is told which one runs.
async fn failing(flaw: Flaw, at: impl Fn(&'static str)) -> BTreeSet<&'static str> {
    let mut failing = BTreeSet::new();
    for case in store::CASES {
        at(case.name);
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

/// A runtime for one broken store: what its cases leave behind, a relay that turns for ever, ends with it.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name(QUIET)
        .enable_all()
        .build()
        .unwrap()
}

/// All flaws, a few at once.
fn all_failing() -> Vec<(Flaw, BTreeSet<&'static str>)> {
    // Cases that fail as they should are no news: what their threads panic with is not printed.
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().name() != Some(QUIET) {
            usual(panic);
        }
    }));
    let next = Arc::new(AtomicUsize::new(0));
    let at_work = Arc::new(Mutex::new(BTreeMap::new()));
    let (done, results) = mpsc::channel();
    for place in 0..AT_ONCE {
        let (next, at_work, done) = (Arc::clone(&next), Arc::clone(&at_work), done.clone());
        let work = move || {
            while let Some(&flaw) = Flaw::ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
                let at = |case| {
                    at_work.lock().insert(place, (flaw, case));
                };
                let runtime = runtime();
                let failing = runtime.block_on(failing(flaw, at));
                runtime.shutdown_background();
                if done.send((flaw, failing)).is_err() {
                    return;
                }
            }
            at_work.lock().remove(&place);
        };
        let thread = std::thread::Builder::new().name(QUIET.to_owned());
        thread.spawn(work).unwrap();
    }
    drop(done);
    let mut found = Vec::new();
    loop {
        match results.recv_timeout(HANG) {
            Ok(result) => found.push(result),
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            // A case that never yields is not ended by its limit.
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("hangs: {:?}", at_work.lock()),
        }
    }
    assert_eq!(found.len(), Flaw::ALL.len(), "a case is caught when it panics");
    found
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

/// Cases that no flaw of the plain store is named for, each with the reason.
const CAUGHT_ELSEWHERE: [(&str, &str); 0] = [];

#[test]
fn every_case_is_one_that_a_broken_store_must_fail() {
    let caught: BTreeSet<_> = Flaw::ALL.iter().flat_map(|flaw| flaw.caught_by()).collect();
    let excused: BTreeSet<_> = CAUGHT_ELSEWHERE.iter().map(|(name, _)| name).collect();
    let listed: BTreeSet<_> = store::CASES.iter().map(|case| &case.name).collect();
    let named: BTreeSet<_> = caught.union(&excused).copied().collect();
    let unproven: Vec<_> = listed.difference(&named).collect();
    assert!(
        unproven.is_empty(),
        "no broken store shows that these bite: {unproven:?}"
    );
    let needless: Vec<_> = excused
        .iter()
        .filter(|name| caught.contains(*name) || !listed.contains(*name))
        .collect();
    assert!(needless.is_empty(), "these need no excuse: {needless:?}");
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

//! Each broken publisher, cache, limiter, breaker and settings store fails the cases named after its rule, and no unrelated ones.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::Duration;

use kaireon_testkit::suite::{self, Case};
use kaireon_testkit::{breaker, cache, limiter, publisher, settings};

/// A case that waits for what never comes has failed long before.
const LIMIT: Duration = Duration::from_secs(15);

/// A flaw, the cases that must fail, and those that may.
type Row<F> = (F, &'static [&'static str], &'static [&'static str]);

/// Runs every case against every flaw, and compares; the first row is the sound one.
fn check<T: ?Sized + Sync + 'static, F: Debug + Copy + Send>(
    cases: &'static [Case<T>],
    rows: Vec<Row<Option<F>>>,
    fixture: impl Fn(Option<F>) -> Box<T> + Send + Sync,
) where
    Box<T>: Send,
{
    let listed: BTreeSet<_> = cases.iter().map(|case| case.name).collect();
    let found = suite::block_on(futures_util::future::join_all(rows.iter().map(
        async |(flaw, ..)| {
            let failing = cases.iter().map(async |case| {
                let fixture = fixture(*flaw);
                let failure = suite::attempt(case, &*fixture, LIMIT).await.err()?;
                Some((case.name, failure))
            });
            let failing: Vec<_> = futures_util::future::join_all(failing).await;
            failing.into_iter().flatten().collect::<Vec<_>>()
        },
    )));
    let mut wrong = Vec::new();
    for ((flaw, must, may), failing) in rows.iter().zip(found) {
        let names: BTreeSet<_> = failing.iter().map(|(name, _)| *name).collect();
        println!(
            "{flaw:?}: {} of {} cases fail: {names:?}",
            names.len(),
            listed.len()
        );
        for name in must.iter().chain(*may).filter(|name| !listed.contains(**name)) {
            wrong.push(format!("{flaw:?}: {name} is not a case"));
        }
        for name in must.iter().filter(|name| !names.contains(**name)) {
            wrong.push(format!("{flaw:?}: {name} passes"));
        }
        for (name, failure) in failing {
            if !must.contains(&name) && !may.contains(&name) {
                wrong.push(format!("{flaw:?}: {name} has nothing to do with it: {failure}"));
            }
        }
        if flaw.is_some() && must.is_empty() {
            wrong.push(format!("{flaw:?}: no case is named after it"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

macro_rules! bites {
    ($name:ident, $family:ident, $fixture:expr) => {
        #[test]
        fn $name() {
            use $family::broken::Flaw;
            let sound: Row<Option<Flaw>> = (None, &[], &[]);
            let flaws = Flaw::ALL
                .iter()
                .map(|&flaw| (Some(flaw), flaw.caught_by(), flaw.may_fail()));
            check(
                $family::CASES,
                std::iter::once(sound).chain(flaws).collect(),
                $fixture,
            );
        }
    };
}

bites!(
    every_broken_publisher_fails_the_cases_of_its_rule_and_passes_the_others,
    publisher,
    |flaw| Box::new(publisher::broken::Fixture(flaw))
);
bites!(
    every_broken_cache_fails_the_cases_of_its_rule_and_passes_the_others,
    cache,
    |flaw| Box::new(cache::broken::Fixture::new(flaw))
);
bites!(
    every_broken_limiter_fails_the_cases_of_its_rule_and_passes_the_others,
    limiter,
    |flaw| Box::new(limiter::broken::Fixture::new(flaw))
);
bites!(
    every_broken_breaker_fails_the_cases_of_its_rule_and_passes_the_others,
    breaker,
    |flaw| Box::new(breaker::broken::Fixture::new(flaw))
);
bites!(
    every_broken_settings_store_fails_the_cases_of_its_rule_and_passes_the_others,
    settings,
    |flaw| Box::new(settings::broken::Fixture::new(flaw))
);

//! The search suite on the in-memory reference, and against the indexes that break a rule.

mod minimal;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kaireon_core::SearchIndex;
use kaireon_core::memory::MemorySearch;
use kaireon_core::wrap::{ConcurrencyLimit, Retry, RetryPolicy, Timeout, Trace};
use kaireon_testkit::Wrapped;
use kaireon_testkit::search::broken::{Fixture, Flaw};
use kaireon_testkit::search::{CASES, SearchFixture};
use kaireon_testkit::suite;

struct InMemory(MemorySearch);

#[async_trait]
impl SearchFixture for InMemory {
    async fn open(&self) -> Arc<dyn SearchIndex> {
        Arc::new(self.0.open_again())
    }
}

fn in_memory() -> InMemory {
    InMemory(MemorySearch::new())
}

mod memory {
    kaireon_testkit::search_suite!(super::in_memory());
}

mod wrapped {
    kaireon_testkit::search_suite!(super::Wrapped(super::in_memory(), super::wrap));
}

mod least {
    kaireon_testkit::search_suite!(super::Wrapped(super::in_memory(), super::minimal::minimal));
}

/// Every wrapper, in the order in which hosts use them.
fn wrap(index: Arc<dyn SearchIndex>) -> Arc<dyn SearchIndex> {
    let attempt = Timeout::new(ConcurrencyLimit::new(index, 8), Duration::from_secs(30));
    Arc::new(Trace::new(Retry::new(attempt, RetryPolicy::default())))
}

/// The names of the cases that fail on an index.
fn failing(make: impl Fn() -> Fixture) -> BTreeSet<&'static str> {
    let failed = CASES.iter().filter(|case| {
        let ended = suite::block_on(async {
            let fixture = make();
            suite::attempt(case, &fixture, Duration::from_secs(60)).await
        });
        ended.is_err()
    });
    failed.map(|case| case.name).collect()
}

#[test]
fn a_sound_index_passes_every_case() {
    assert_eq!(failing(Fixture::sound), BTreeSet::new());
}

#[test]
fn every_broken_index_is_caught_by_the_cases_of_its_rule_and_no_others() {
    let names: BTreeSet<_> = CASES.iter().map(|case| case.name).collect();
    let mut wrong = Vec::new();
    for &flaw in Flaw::ALL {
        let must: BTreeSet<_> = flaw.caught_by().iter().copied().collect();
        let may: BTreeSet<_> = flaw.may_fail().iter().copied().collect();
        assert!(!must.is_empty(), "{flaw:?} is not caught by any case");
        assert!(
            must.is_subset(&names) && may.is_subset(&names),
            "{flaw:?} names a case that is not"
        );
        let failed = failing(|| Fixture::broken(flaw));
        let missed: Vec<_> = must.difference(&failed).collect();
        let beside: Vec<_> = failed
            .iter()
            .filter(|name| !must.contains(*name) && !may.contains(*name))
            .collect();
        if !missed.is_empty() || !beside.is_empty() {
            wrong.push(format!("{flaw:?}: passed {missed:?}, failed beside {beside:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_index_that_does_what_it_declares_away_is_caught() {
    let failed = CASES.iter().filter(|case| {
        let ended = suite::block_on(async {
            let fixture = Wrapped(in_memory(), minimal::modest);
            suite::attempt(case, &fixture, Duration::from_secs(60)).await
        });
        ended.is_err()
    });
    let groups: BTreeSet<_> = failed.map(|case| case.group).collect();
    for group in ["facets", "highlights", "fuzzy", "erasure", "rebuilds"] {
        assert!(groups.contains(group), "{group} was declared away and works");
    }
}

//! The model test: any sequence of operations has the same answers as on the in-memory reference.
//!
//! Sequences are drawn with few tenants, customers, keys and days, so that they collide; one that fails shrinks
//! to the shortest that still does, and is printed.

mod answer;
mod lanes;
mod operation;
mod perform;
mod read;
mod values;

use std::future::Future;
use std::sync::Arc;

use kaireon_core::InteractionStore;
use kaireon_core::memory::{MemoryOptions, MemoryPlace};
use proptest::collection::vec;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use self::operation::{Operation, operations};
use self::perform::{Names, perform};
use self::read::read_everything;
use crate::StoreFixture;
use crate::suite::CASE_LIMIT;

/// How many sequences a generated model test draws; the variable `PROPTEST_CASES` overrides it.
pub const SEQUENCES: u32 = 48;

/// Makes one test that compares a store with the reference under any sequence of operations.
///
/// The expression makes a fresh [`StoreFixture`]; it is evaluated once per sequence, in an async block. The store
/// must have every capability but those that [`model::check`](crate::model::check) names.
///
/// ```
/// mod sound {
///     kaireon_testkit::store_model!(kaireon_testkit::broken::Fixture::sound());
/// }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! store_model {
    ($fixture:expr $(,)?) => {
        #[test]
        fn any_sequence_of_operations_answers_as_the_reference_does() {
            $crate::model::check(|| async { $fixture }, $crate::model::SEQUENCES);
        }
    };
    ($fixture:expr, needs = $needs:literal $(,)?) => {
        #[test]
        #[ignore = $needs]
        fn any_sequence_of_operations_answers_as_the_reference_does() {
            $crate::model::check(|| async { $fixture }, $crate::model::SEQUENCES);
        }
    };
}

/// Draws sequences and compares the store's answers with the reference's, operation by operation, and at the end
/// everything that can be read.
///
/// A store without `persistent` is not reopened; tombstones are installed and compared where the fixture tells
/// its master key.
///
/// # Panics
/// With the shortest sequence found whose answers differ.
pub fn check<F, M>(make: impl Fn() -> M, sequences: u32)
where
    F: StoreFixture,
    M: Future<Output = F>,
{
    let default = Config::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() {
        default.cases
    } else {
        sequences
    };
    // A published suite has no source file of its caller's to keep failures beside.
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 2_000,
        // In milliseconds: a store on a slow disk is not shrunk for an hour.
        max_shrink_time: 60_000,
        ..default
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime starts wherever threads do");
    let outcome = TestRunner::new(config).run(&vec(operations(), 1..60), |sequence| {
        runtime.block_on(async {
            let fixture = make().await;
            let outcome = tokio::time::timeout(CASE_LIMIT, compare(&fixture, &sequence)).await;
            fixture.close().await;
            let outcome = outcome.unwrap_or_else(|_| Err("the sequence did not end".to_owned()));
            outcome.map_err(TestCaseError::fail)
        })
    });
    if let Err(error) = outcome {
        panic!("the store and the reference differ: {error}");
    }
}

async fn compare(fixture: &dyn StoreFixture, sequence: &[Operation]) -> Result<(), String> {
    let mut options = MemoryOptions::default();
    if let Some(key) = fixture.master_key() {
        options = options.with_master_key(key);
    }
    if let Some(clock) = fixture.clock() {
        options = options.with_clock(clock);
    }
    let names = Names {
        key: fixture.master_key(),
    };
    let place = MemoryPlace::new(options);
    let mut reference: Arc<dyn InteractionStore> = Arc::new(place.open());
    let mut store = fixture.open().await;
    for (number, operation) in sequence.iter().enumerate() {
        if matches!(operation, Operation::Reopen) {
            if store.capabilities().persistent {
                store
                    .disconnect()
                    .await
                    .map_err(|error| format!("cannot disconnect: {error}"))?;
                reference
                    .disconnect()
                    .await
                    .map_err(|error| format!("cannot disconnect: {error}"))?;
                store = fixture.open().await;
                reference = Arc::new(place.open());
            }
            continue;
        }
        let (found, expected) = (
            perform(operation, number, &store, &names).await,
            perform(operation, number, &reference, &names).await,
        );
        if found != expected {
            return Err(format!(
                "operation {number}, {operation:?}: {found:?} where {expected:?} was expected"
            ));
        }
    }
    let (found, expected) = (
        read_everything(&store, &names).await,
        read_everything(&reference, &names).await,
    );
    for ((what, found), (_, expected)) in found.into_iter().zip(expected) {
        if found != expected {
            return Err(format!(
                "at the end, {what}: {found:?} where {expected:?} was expected"
            ));
        }
    }
    store
        .disconnect()
        .await
        .map_err(|error| format!("cannot disconnect: {error}"))
}

#[cfg(test)]
mod tests {
    use kaireon_core::outbox::Lane;

    use super::compare;
    use super::operation::Operation;
    use crate::broken::{Fixture, Flaw};

    /// What is given back last before a store is reopened without its tail would be held for ever, by a clock that stands
    /// still, and an erasure wait for it.
    #[tokio::test]
    async fn a_lease_that_a_flaw_would_bring_back_keeps_no_sequence_from_its_end() {
        let (customer, other) = (0, 2);
        let sequence = [
            Operation::Append {
                tenant: 0,
                customer: Some(customer),
                count: 1,
            },
            Operation::Deliver {
                lane: Lane::Publish,
                tenant: 1,
                customer: other,
                limit: 1,
                poison: false,
            },
            Operation::Reopen,
            Operation::Erase {
                tenant: 0,
                customer,
                ticket: 0,
            },
        ];
        for fixture in [Fixture::sound(), Fixture::broken(Flaw::ReopensWithoutTheTail)] {
            compare(&fixture, &sequence).await.unwrap();
        }
    }
}

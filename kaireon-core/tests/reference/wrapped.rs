//! The suite again, through everything that may stand between a caller and a store.

use std::sync::Arc;
use std::time::Duration;

use kaireon_core::InteractionStore;
use kaireon_core::outbox::{Lane, LaneSet};
use kaireon_core::store::{Recorded, ScanQuery, SummaryQuery};
use kaireon_core::wrap::{ConcurrencyLimit, Retry, RetryPolicy, Timeout, Trace};
use kaireon_core::{CustomerId, Interaction, Period, TenantId, Value, ValueSum};
use kaireon_testkit::fault::{Faulty, Odds, Plan, Reach};
use kaireon_testkit::{StoreFixture, Wrapped};

use super::Reference;

type Store = Arc<dyn InteractionStore>;

fn patient() -> RetryPolicy {
    RetryPolicy {
        max_attempts: 30,
        base_delay: Duration::from_micros(200),
        max_delay: Duration::from_millis(2),
        max_elapsed: Duration::from_secs(60),
    }
}

fn odds(reach: Reach) -> Odds {
    Odds {
        before: 0.15,
        after: 0.15,
        delay: 0.05,
        cut: 0.1,
        longest_delay: Duration::from_millis(1),
        reach,
    }
}

fn boxed(store: Store) -> Store {
    Arc::new(Box::new(store) as Box<dyn InteractionStore>)
}

fn every_wrapper(store: Store) -> Store {
    let attempt = Timeout::new(ConcurrencyLimit::new(store, 64), Duration::from_secs(30));
    Arc::new(Trace::new(Retry::new(attempt, RetryPolicy::default())))
}

fn retry_over_faults(store: Store) -> Store {
    let faulty = Faulty::new(store, Plan::seeded(20_240_515, odds(Reach::SameAnswer)));
    Arc::new(Retry::new(faulty, patient()))
}

mod through_arc_and_box {
    kaireon_testkit::store_suite!(super::Wrapped(super::Reference::new(), super::boxed));
}

mod through_every_wrapper {
    kaireon_testkit::store_suite!(super::Wrapped(super::Reference::new(), super::every_wrapper));
}

mod through_retry_over_faults {
    kaireon_testkit::store_suite!(super::Wrapped(super::Reference::new(), super::retry_over_faults));

    /// Few sequences: each waits out the pauses of many retries.
    #[test]
    fn any_sequence_of_operations_answers_as_without_faults() {
        let make = || async { super::Wrapped(super::Reference::new(), super::retry_over_faults) };
        kaireon_testkit::model::check(make, 10);
    }
}

fn shown(number: u32) -> Interaction {
    Interaction::builder("acme", "anna")
        .offer(format!("offer-{}", number % 3))
        .creative("banner")
        .channel("web")
        .idempotency_key(format!("key-{number}"))
        .value(Value::from_micros(i64::from(number)))
        .build()
        .unwrap()
}

/// With answers lost at random, every call ends well, and each record, sum and entry is there once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn retries_after_lost_answers_neither_lose_nor_double_anything() {
    let fixture = Reference::new();
    let bare = fixture.open().await;
    bare.outbox()
        .unwrap()
        .set_lanes(LaneSet::of(&[Lane::Publish]))
        .await
        .unwrap();
    let plan = Plan::seeded(7, odds(Reach::EveryOperation));
    let store: Store = Arc::new(Retry::new(
        Faulty::new(Arc::clone(&bare), plan.clone()),
        patient(),
    ));
    let writer = |task: u32| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let mut duplicates = 0;
            for number in (task..400).step_by(8) {
                let event = shown(number);
                match store.record_event(event.clone()).await.unwrap() {
                    Recorded::New { id, .. } => assert_eq!(id, event.id),
                    Recorded::Duplicate(id) => {
                        assert_eq!(id, event.id);
                        duplicates += 1;
                    }
                }
            }
            duplicates
        })
    };
    let mut duplicates = 0;
    for task in (0..8).map(writer).collect::<Vec<_>>() {
        duplicates += task.await.unwrap();
    }
    assert!(plan.made() > 100, "faults were made");
    assert!(duplicates > 0, "answers were lost");
    let (tenant, customer) = (TenantId::new("acme").unwrap(), CustomerId::new("anna").unwrap());
    let rows = bare.scan(ScanQuery::new(tenant.clone())).await.unwrap();
    assert_eq!(rows.items.len(), 400);
    let summaries = bare
        .get_summaries(SummaryQuery::new(tenant, customer))
        .await
        .unwrap();
    let all = summaries
        .iter()
        .filter(|summary| summary.period == Period::ALL_TIME && &*summary.value == "web");
    let (count, sum) = all.fold((0, ValueSum::default()), |(count, sum), summary| {
        (count + summary.stats.impressions, sum + summary.stats.total_value)
    });
    assert_eq!((count, sum), (400, ValueSum::from_micros(399 * 400 / 2)));
    let status = bare.outbox().unwrap().status(Lane::Publish).await.unwrap();
    assert_eq!(status.backlog, 400, "each record is told once");
}

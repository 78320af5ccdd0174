//! `switch.single`: a tenant that is on one store, asked through the switch and without it. Both ask the same store.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kaireon_benches::callers::{batches, bulk, events, one_by_one};
use kaireon_benches::workload::{Draw, Workload};
use kaireon_benches::{Goal, Side, caught_up};
use kaireon_core::outbox::{Lane, LaneSet};
use kaireon_core::store::SummaryQuery;
use kaireon_core::{CustomerId, InteractionStore};

use crate::places::{Engine, Places, Switched, name, tenant};
use crate::{Bench, Taken, report};

const GOAL: Goal = Goal::Reach("≤ 1.02");

pub(crate) fn measure(bench: &mut Bench, engine: Engine) {
    let id = |figure: &str| format!("switch.single/{}/{figure}", engine.name());
    let ids = ["record_1", "record_64", "bulk", "summaries"].map(id);
    if !bench.wants(&ids) {
        return;
    }
    let preload = bench.rounds.settings.scale(1_000_000, 20_000);
    let Bench {
        rounds, runtime, url, ..
    } = bench;
    let lanes = LaneSet::of(&[Lane::Publish]);
    let mut places = Places::new(url);
    let (store, switched) = runtime.block_on(async {
        let store = places.open(engine, lanes).await;
        let settings = places.settings(engine).await;
        let stores = [
            (name("here"), Arc::clone(&store)),
            // A switch has somewhere to move to.
            (name("there"), places.open(Engine::Embedded, lanes).await),
        ];
        let mut workload = Workload::new(Draw::Uniform, 1);
        for _ in 0..preload / 2_000 {
            bulk(&store, batches(&mut workload, 2)).await;
        }
        (store, Switched::over(&stores, settings, lanes))
    });
    let _ = caught_up();
    let switch = switched.store();
    let mut loads = [2, 3].map(|series| Workload::new(Draw::Uniform, series));
    let [bare_load, switch_load] = &mut loads;

    for (figure, callers, slice) in [("record_1", 1, 200), ("record_64", 64, 3_200)] {
        if !rounds.settings.wants(&id(figure)) {
            continue;
        }
        let take = |load: &mut Workload, store, count| {
            let took = runtime.block_on(one_by_one(store, callers, events(load, count)));
            let _ = caught_up();
            took
        };
        let sides = rounds.interleave(
            &id(figure),
            5,
            slice,
            [&mut |count| take(bare_load, &store, count), &mut |count| {
                take(switch_load, &switch, count)
            }],
        );
        let note = format!(
            "µs per call of {callers} caller(s), through the switch and on the store itself, which is the same one"
        );
        tell(id(figure), GOAL, &sides, note);
    }
    if rounds.settings.wants(&id("bulk")) {
        let take = |load: &mut Workload, store, count| {
            let took = runtime.block_on(bulk(store, batches(load, count)));
            let _ = caught_up();
            took
        };
        let sides = rounds.interleave(
            &id("bulk"),
            5,
            10,
            [&mut |count| take(bare_load, &store, count), &mut |count| {
                take(switch_load, &switch, count)
            }],
        );
        let note =
            "µs per batch of 1,000, two in flight, through the switch and on the store itself".to_owned();
        tell(id("bulk"), GOAL, &sides, note);
    }
    if rounds.settings.wants(&id("summaries")) {
        let mut random = fastrand::Rng::with_seed(5);
        let customers = bench.rounds.settings.scale(20_000, 1_000);
        let queries: Vec<SummaryQuery> = (0..customers)
            .map(|_| {
                let customer = format!("customer-{}", Draw::Uniform.customer(&mut random));
                SummaryQuery::new(
                    tenant("bench"),
                    CustomerId::new(customer).expect("a valid customer"),
                )
            })
            .collect();
        let (mut bare_at, mut switch_at) = (0, 0);
        let read = |store: &Arc<dyn InteractionStore>, at: &mut usize, count: u64| -> Duration {
            runtime.block_on(async {
                let begun = Instant::now();
                for _ in 0..count {
                    *at = (*at + 1) % queries.len();
                    let found = store.get_summaries(queries[*at].clone()).await;
                    std::hint::black_box(found.expect("the store can be read"));
                }
                begun.elapsed()
            })
        };
        let sides = bench.rounds.interleave(
            &id("summaries"),
            5,
            500,
            [&mut |count| read(&store, &mut bare_at, count), &mut |count| {
                read(&switch, &mut switch_at, count)
            }],
        );
        let note = "µs per read of all summaries of a drawn customer, one after the other".to_owned();
        tell(id("summaries"), GOAL, &sides, note);
    }
    bench.runtime.block_on(async {
        switch.disconnect().await.expect("the stores disconnect");
        places.close().await;
    });
}

/// Prints the ratio of ours to the bare side, in microseconds.
fn tell(id: String, goal: Goal, [bare, ours]: &[Side; 2], note: String) {
    report(Taken {
        id,
        unit: "×",
        goal,
        runs: ours.over(bare),
        raw: Some(bare.median() * 1e6),
        ours: ours.median() * 1e6,
        note,
    });
}

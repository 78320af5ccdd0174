//! `switch.dual_async`, `switch.dual_strict`: what callers pay for the writes into a second store.

use std::sync::Arc;
use std::time::Duration;

use kaireon_benches::callers::{batches, bulk, events, one_by_one};
use kaireon_benches::workload::{Draw, Workload};
use kaireon_benches::{Goal, Side, caught_up};
use kaireon_core::outbox::{Lane, LaneSet};
use kaireon_migrate::{DualWrite, Step};

use crate::places::{Engine, Places, Switched, emptied, name, tenant};
use crate::{Bench, Taken, report};

const GOAL: Goal = Goal::Reach("≤ 1.15");

/// Callers, and how many events they make in one slice.
const CALLERS: [(&str, usize, u64); 2] = [("record_1", 1, 200), ("record_64", 64, 3_200)];

pub(crate) fn measure(bench: &mut Bench, target: Engine) {
    let id = |mode: &str, figure: &str| format!("switch.dual_{mode}/{}/{figure}", target.pair());
    let ids: Vec<String> = ["async", "strict"]
        .iter()
        .flat_map(|mode| CALLERS.map(|(figure, ..)| id(mode, figure)))
        .collect();
    if !bench.wants(&ids) {
        return;
    }
    let preload = bench.rounds.settings.scale(400_000, 20_000);
    let Bench {
        rounds, runtime, url, ..
    } = bench;
    let lanes = LaneSet::of(&[Lane::Publish]);
    let mut places = Places::new(url);
    let (here, there) = (name("here"), name("there"));
    // Two tenants of the same stores, of as many rows: one is on one of them, the other is written into both.
    let (alone, moved) = (tenant("alone"), tenant("moved"));
    let (source, other, switched) = runtime.block_on(async {
        let source = places.open(Engine::Embedded, lanes).await;
        let other = places.open(target, lanes).await;
        let settings = places.settings(target).await;
        for name in ["alone", "moved"] {
            for store in [&source, &other] {
                let mut workload = Workload::new(Draw::Uniform, 1).of_tenant(name);
                for _ in 0..preload / 4_000 {
                    bulk(store, batches(&mut workload, 2)).await;
                }
            }
        }
        let stores = [
            (here.clone(), Arc::clone(&source)),
            (there.clone(), Arc::clone(&other)),
        ];
        let mut switched = Switched::over(&stores, settings, lanes);
        switched.start(&moved, &there).await;
        switched.replicate(&here, source.outbox().expect("it has an outbox"));
        (source, other, switched)
    });
    let _ = caught_up();
    let switch = switched.store();
    let [mut of_source, mut of_other, mut of_both] = [("alone", 2), ("alone", 3), ("moved", 4)]
        .map(|(of, series)| Workload::new(Draw::Uniform, series).of_tenant(of));
    assert_ne!(alone, moved);
    let settle = || {
        runtime.block_on(emptied(source.as_ref(), Lane::Replicate, &moved));
        let _ = caught_up();
    };
    for (mode, dual_write) in [
        ("async", DualWrite::Async),
        (
            "strict",
            DualWrite::Strict {
                budget: Duration::from_secs(10),
            },
        ),
    ] {
        runtime.block_on(switched.change(&moved, Step::SetDualWrite { dual_write }));
        // Until every call goes by it.
        std::thread::sleep(Duration::from_millis(300));
        for (figure, callers, slice) in CALLERS {
            if !rounds.settings.wants(&id(mode, figure)) {
                continue;
            }
            let take = |load: &mut Workload, store, count| {
                let took = runtime.block_on(one_by_one(store, callers, events(load, count)));
                settle();
                took
            };
            let [of_source, of_other, ours] = rounds.interleave(
                &id(mode, figure),
                3,
                slice,
                [
                    &mut |count| take(&mut of_source, &source, count),
                    &mut |count| take(&mut of_other, &other, count),
                    &mut |count| take(&mut of_both, &switch, count),
                ],
            );
            let (bare, what) = match dual_write {
                DualWrite::Async => (of_source, "the authority alone"),
                _ => (
                    of_source.and(&of_other),
                    "the two stores alone, one after the other",
                ),
            };
            tell(id(mode, figure), &bare, &ours, callers, what);
        }
    }
    runtime.block_on(async {
        switched.stop().await;
        switch.disconnect().await.expect("the stores disconnect");
        places.close().await;
    });
}

fn tell(id: String, bare: &Side, ours: &Side, callers: usize, what: &str) {
    report(Taken {
        id,
        unit: "×",
        goal: GOAL,
        runs: ours.over(bare),
        raw: Some(bare.median() * 1e6),
        ours: ours.median() * 1e6,
        note: format!(
            "µs per call of {callers} caller(s); raw is {what}; the relay that writes the other store runs beside the \
             callers, in the same process on the same cores"
        ),
    });
}

//! `switch.caller_p99`: the latency of live writes while a backfill goes on, which an operator has told to spare its
//! target, against the same while it stands still.

use std::sync::Arc;
use std::time::Duration;

use kaireon_benches::workload::{Draw, Workload};
use kaireon_benches::{Goal, median};
use kaireon_core::{Interaction, InteractionStore};
use kaireon_migrate::{BackfillState, Drive, Pace};
use tokio::time::{Instant, sleep, sleep_until};

use crate::exported::Exported;
use crate::places::{Engine, Places};
use crate::{Bench, Taken, report};

/// How many callers there are, and how many writes a second they make together.
const CALLERS: u32 = 16;
const RATE: u32 = 400;

/// The operator's target for a write of the backfill.
const TARGET: Duration = Duration::from_millis(10);

pub(crate) fn measure(bench: &mut Bench, target: Engine) {
    let id = format!("switch.caller_p99/{}", target.pair());
    if !bench.wants(std::slice::from_ref(&id)) {
        return;
    }
    let settings = &bench.rounds.settings;
    let (rows, rounds) = (settings.scale(600_000, 20_000), settings.rounds(5));
    let slice = Duration::from_millis(settings.scale(4_000, 100));
    let Bench { runtime, url, .. } = bench;
    let mut places = Places::new(url);
    let (mut ratios, mut without, mut during) = (Vec::new(), Vec::new(), Vec::new());
    let rate = runtime.block_on(async {
        let mut exported = Exported::new(&mut places, rows, target, 1).await;
        let outbox = exported.source.outbox().expect("it has an outbox");
        exported.switched.replicate(&exported.here.clone(), outbox);
        let backfiller = exported.begin(0).await;
        let pace = |drive| Pace {
            drive,
            target_latency: Some(TARGET),
            ..Pace::default()
        };
        let set = async |drive| {
            let set = backfiller.set_pace(&exported.tenant, pace(drive)).await;
            set.expect("the archive takes writes");
        };
        set(Drive::Paused).await;
        let running = {
            let (backfiller, tenant) = (backfiller.clone(), exported.tenant.clone());
            tokio::spawn(async move { backfiller.run(&tenant).await })
        };
        let switch = exported.switched.store();
        let mut workload = Workload::new(Draw::Uniform, 2);
        // What the first calls open and cache is no part of it.
        let _ = latencies(&switch, &mut workload, slice / 4).await;
        let mut applied = 0;
        for _ in 0..rounds {
            set(Drive::Paused).await;
            reached(&backfiller, &exported, BackfillState::Paused).await;
            let still = p99(latencies(&switch, &mut workload, slice).await);
            set(Drive::Running).await;
            reached(&backfiller, &exported, BackfillState::Running).await;
            let before = done(&backfiller, &exported).await;
            let going = p99(latencies(&switch, &mut workload, slice).await);
            let state = backfiller.progress(&exported.tenant).await;
            let state = state.expect("the archive can be read").expect("it was run").state;
            applied += done(&backfiller, &exported).await - before;
            // A slice in which it came to its end says less than it should.
            if state != BackfillState::Running && !ratios.is_empty() {
                break;
            }
            ratios.push(going / still);
            without.push(still * 1e3);
            during.push(going * 1e3);
        }
        set(Drive::Running).await;
        let fast = backfiller.set_pace(&exported.tenant, Pace::default()).await;
        fast.expect("the archive takes writes");
        let ended = running.await.expect("the backfill does not panic");
        assert!(ended.expect("the stores answer").completed.is_some());
        exported.switched.stop().await;
        switch.disconnect().await.expect("the stores disconnect");
        places.close().await;
        applied
    });
    report(Taken {
        id,
        unit: "×",
        goal: Goal::Reach("≤ 1.5"),
        runs: ratios.clone(),
        raw: Some(median(&without)),
        ours: median(&during),
        note: format!(
            "ms, the slowest hundredth of {RATE} writes a second of {CALLERS} callers, from when each was due, with \
             asynchronous dual writes; a backfill of {rows} rows stands still or goes on in slices of {} s, told to let a \
             write take {} ms; {rate} rows were applied in {} slices",
            slice.as_secs_f64(),
            TARGET.as_millis(),
            ratios.len()
        ),
    });
}

/// Makes writes at the rate for so long; from when each was due to its answer, in seconds.
async fn latencies(store: &Arc<dyn InteractionStore>, workload: &mut Workload, time: Duration) -> Vec<f64> {
    let every = Duration::from_secs(1) * CALLERS / RATE;
    let each = u32::try_from(time.as_nanos() / every.as_nanos()).unwrap_or(u32::MAX);
    let begun = Instant::now();
    let tasks: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let events: Vec<Interaction> = workload.by_ref().take(each as usize).collect();
            let store = Arc::clone(store);
            tokio::spawn(async move {
                let mut took = Vec::with_capacity(events.len());
                for (number, event) in (0_u32..).zip(events) {
                    let due = begun + every * number + every * caller / CALLERS;
                    sleep_until(due).await;
                    let recorded = store.record_event(event).await;
                    assert!(recorded.expect("the store takes writes").is_new());
                    took.push(due.elapsed().as_secs_f64());
                }
                took
            })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.expect("a caller does not panic"));
    }
    all
}

/// What one in a hundred is slower than.
fn p99(mut took: Vec<f64>) -> f64 {
    took.sort_by(f64::total_cmp);
    took[took.len() * 99 / 100]
}

async fn done(backfiller: &kaireon_migrate::Backfiller, exported: &Exported) -> u64 {
    let progress = backfiller.progress(&exported.tenant).await;
    let progress = progress.expect("the archive can be read");
    progress.map_or(0, |progress| progress.rows_done)
}

/// Waits until the backfill has noticed its pace, or has ended.
async fn reached(backfiller: &kaireon_migrate::Backfiller, exported: &Exported, wanted: BackfillState) {
    loop {
        let progress = backfiller.progress(&exported.tenant).await;
        let state = progress
            .expect("the archive can be read")
            .map(|progress| progress.state);
        if state.is_some_and(|state| state == wanted || state == BackfillState::Complete) {
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
}

//! `switch.backfill`: an archive applied to an empty store, against the same records given to such a store at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use kaireon_archive::{ReadOptions, ReadProgress};
use kaireon_benches::{Goal, caught_up, median};
use kaireon_core::outbox::LaneSet;
use kaireon_core::store::{Accepted, Origin, RecordBatch};
use kaireon_core::{Interaction, InteractionStore};
use kaireon_migrate::BackfillConfig;

use crate::exported::{DAYS, Exported};
use crate::places::{Engine, Places};
use crate::{Bench, Taken, report};

#[allow(clippy::cast_precision_loss, reason = "rows stay far below 2^52")]
pub(crate) fn measure(bench: &mut Bench, target: Engine) {
    let id = format!("switch.backfill/{}", target.pair());
    if !bench.wants(std::slice::from_ref(&id)) {
        return;
    }
    let rows = bench.rounds.settings.scale(300_000, 6_000);
    let times = bench.rounds.settings.rounds(3);
    let Bench { runtime, url, .. } = bench;
    let mut places = Places::new(url);
    let (exported, records, bares) = runtime.block_on(async {
        let exported = Exported::new(&mut places, rows, target, times).await;
        let mut bares = Vec::new();
        for _ in 0..times {
            bares.push(places.open(target, LaneSet::NONE).await);
        }
        let records = read(&exported).await;
        assert_eq!(records.len() as u64, rows);
        (exported, records, bares)
    });
    let _ = caught_up();
    let (mut ratios, mut raws, mut ours) = (Vec::new(), Vec::new(), Vec::new());
    for (round, bare) in bares.iter().enumerate() {
        let mut rates = [0.0; 2];
        // Who begins takes turns.
        for turn in [round, round + 1] {
            let took = match turn % 2 {
                0 => runtime.block_on(give(bare, &records)),
                _ => runtime.block_on(async {
                    let backfiller = exported.begin(round).await;
                    let begun = Instant::now();
                    let report = backfiller.run(&exported.tenant).await;
                    let report = report.expect("the stores and the archive answer");
                    let took = begun.elapsed();
                    assert!(report.completed.is_some() && report.progress.applied == rows);
                    exported.roll_back().await;
                    took
                }),
            };
            // What is left to be folded and compacted counts on either side.
            rates[turn % 2] = rows as f64 / (took + caught_up()).as_secs_f64();
        }
        ratios.push(rates[1] / rates[0]);
        raws.push(rates[0]);
        ours.push(rates[1]);
    }
    report(Taken {
        id,
        unit: "×",
        goal: Goal::Reach("≥ 0.7"),
        runs: ratios,
        raw: Some(median(&raws)),
        ours: median(&ours),
        note: format!(
            "rows/s of an archive of {rows} rows over {DAYS} days, from a folder, into an empty store; raw is \
             `record_events` of the same records out of memory, in batches and numbers in flight as the backfill's"
        ),
    });
    runtime.block_on(async {
        exported
            .switched
            .store()
            .disconnect()
            .await
            .expect("the stores disconnect");
        for bare in bares {
            bare.disconnect().await.expect("a store disconnects");
        }
        places.close().await;
    });
}

/// All of the archive, in the order in which a backfill reads it.
async fn read(exported: &Exported) -> Vec<Accepted<Interaction>> {
    let options = ReadOptions {
        parallel: 1,
        ..ReadOptions::default()
    };
    let start = ReadProgress::start();
    let reader = exported
        .archive
        .read::<Interaction>(&exported.tenant, &start, options);
    let mut reader = reader.await.expect("the archive can be read");
    let mut records = Vec::new();
    while let Some(chunk) = reader.next().await.expect("the archive can be read") {
        records.extend(chunk.records);
    }
    records
}

/// Gives a store records as a backfill does.
async fn give(store: &Arc<dyn InteractionStore>, records: &[Accepted<Interaction>]) -> Duration {
    let BackfillConfig {
        parallel,
        chunk_records,
        ..
    } = BackfillConfig::default();
    // Each of those that are in flight at once has its own days.
    let shares = records.chunks(records.len().div_ceil(parallel));
    let begun = Instant::now();
    let calls = shares.map(|share| async move {
        for some in share.chunks(chunk_records) {
            let batch = RecordBatch::accepted(Origin::Backfill, some.iter().cloned());
            let outcome = store.record_events(batch).await;
            assert!(outcome.expect("the store takes writes").is_complete());
        }
    });
    futures_util::stream::iter(calls)
        .buffer_unordered(parallel)
        .collect::<()>()
        .await;
    begun.elapsed()
}

//! `switch.verify`: comparing two stores that hold the same.

use std::sync::Arc;
use std::time::Instant;

use kaireon_benches::callers::{BATCH, events};
use kaireon_benches::workload::{Draw, Workload};
use kaireon_benches::{Goal, caught_up, median};
use kaireon_core::InteractionStore;
use kaireon_core::outbox::LaneSet;
use kaireon_core::store::{Accepted, Generation, Origin, RecordBatch, ScanQuery};
use kaireon_migrate::{Kind, Side, Verifier};

use crate::places::{Engine, Places, tenant};
use crate::{Bench, Taken, report};

#[allow(clippy::cast_precision_loss, reason = "rows stay far below 2^52")]
pub(crate) fn measure(bench: &mut Bench, target: Engine) {
    let id = format!("switch.verify/{}", target.pair());
    if !bench.wants(std::slice::from_ref(&id)) {
        return;
    }
    let rows = bench.rounds.settings.scale(500_000, 10_000);
    let Bench {
        rounds, runtime, url, ..
    } = bench;
    let mut places = Places::new(url);
    let (source, other) = runtime.block_on(async {
        let source = places.open(Engine::Embedded, LaneSet::NONE).await;
        let other = places.open(target, LaneSet::NONE).await;
        let mut workload = Workload::new(Draw::Uniform, 1).over_days(30);
        for _ in 0..rows / BATCH as u64 {
            let accepted: Vec<_> = events(&mut workload, BATCH as u64)
                .into_iter()
                .map(|value| Accepted {
                    value,
                    generation: Generation::ZERO,
                })
                .collect();
            for store in [&source, &other] {
                let batch = RecordBatch::accepted(Origin::Backfill, accepted.iter().cloned());
                let recorded = store.record_events(batch).await;
                assert!(recorded.expect("the store takes writes").is_complete());
            }
        }
        (source, other)
    });
    let _ = caught_up();
    let (mut rates, mut scans, mut compared) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds.settings.rounds(3) {
        let begun = Instant::now();
        let read = runtime.block_on(async {
            let (one, two) = tokio::join!(scan(&source), scan(&other));
            one + two
        });
        assert_eq!(read, 2 * rows);
        scans.push(read as f64 / begun.elapsed().as_secs_f64());
        let verifier = Verifier::new(
            tenant("bench"),
            Arc::clone(&source),
            Arc::clone(&other),
            Side::Source,
        );
        let begun = Instant::now();
        let verified = runtime.block_on(verifier.run()).expect("no bound is zero");
        let took = begun.elapsed().as_secs_f64();
        assert!(verified.is_clean(), "the two sides hold the same");
        let of = |kind| verified.of(kind).map_or(0, |report| report.equal);
        assert_eq!(of(Kind::Interactions), rows, "every row was compared");
        rates.push(verified.read as f64 / took);
        compared.push(of(Kind::Summaries));
    }
    report(Taken {
        id,
        unit: "rows/s",
        goal: Goal::Reach("≥ 200k"),
        raw: Some(median(&scans)),
        ours: median(&rates),
        runs: rates,
        note: format!(
            "rows read a second of both sides together, of {rows} rows on each side, and {} summaries compared beside \
             them; raw is reading both sides by pages of a thousand at the same time, and nothing else",
            compared[0]
        ),
    });
    runtime.block_on(async {
        for store in [source, other] {
            store.disconnect().await.expect("a store disconnects");
        }
        places.close().await;
    });
}

/// Reads everything; how many rows that were.
async fn scan(store: &Arc<dyn InteractionStore>) -> u64 {
    let mut query = ScanQuery::new(tenant("bench"));
    let mut read = 0;
    loop {
        let page = store.scan(query.clone()).await.expect("the store can be read");
        read += page.items.len() as u64;
        match page.next {
            Some(next) => query.cursor = Some(next),
            None => return read,
        }
    }
}
